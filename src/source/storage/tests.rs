use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt;
use hmac::{Hmac, Mac};
use http::HeaderMap;
use serde_json::{Value, json};
use sha2::Sha256;

use super::*;
use crate::cloud::fake::{Answer, Asked, Fake, answer, header, signed_by};
use crate::config::Config;

mod sealed;

const KEY: &str = "AKIDEXAMPLEAKIDEXAMPLE";
const SECRET: &str = "very/secret";

/// The storages that `pairs` turn on, with `origins` answered by `fake`.
fn storages(fake: &Fake, pairs: &[(&str, &str)], origins: &[&str]) -> Storages {
    let aws = [
        ("AWS_ACCESS_KEY_ID", KEY),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("HOME", "/nonexistent"),
    ];
    let config = Config::from_pairs(&[&aws[..], pairs].concat())
        .unwrap()
        .source;
    let connection: Arc<dyn Connection> = Arc::new(HttpClient::unguarded(&config).unwrap());
    let mut cloud = Cloud::new(config.storage.environment.0.clone(), connection);
    for origin in origins {
        cloud = cloud.with_origin(origin, &fake.url());
    }
    Storages::over(&config, &cloud).unwrap()
}

/// S3 at `fake`, with more variables.
fn s3(fake: &Fake, pairs: &[(&str, &str)]) -> Storages {
    let url = fake.url();
    let on = [("IMGPROXY_USE_S3", "1"), ("IMGPROXY_S3_ENDPOINT", &url)];
    storages(fake, &[&on[..], pairs].concat(), &[])
}

async fn open(
    storages: &Storages,
    url: &str,
    headers: &[(&'static str, &str)],
) -> Result<Opened, FetchError> {
    let headers: HeaderMap = headers
        .iter()
        .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
        .collect::<Vec<(http::HeaderName, http::HeaderValue)>>()
        .into_iter()
        .collect();
    let (scheme, _) = url.split_once(':').unwrap();
    storages.open(scheme, url, &headers).await.unwrap()
}

async fn body(opened: Opened) -> String {
    let chunks: Vec<_> = opened.body.collect().await;
    let bytes: Vec<u8> = chunks
        .into_iter()
        .flat_map(|chunk| chunk.unwrap())
        .collect();
    String::from_utf8(bytes).unwrap()
}

fn status(outcome: Result<Opened, FetchError>) -> u16 {
    match outcome {
        Ok(opened) => opened.status.as_u16(),
        Err(error) => crate::Error::from(error).outcome().status,
    }
}

/// A bucket `b` with one object in two versions, as a service of any kind would answer for it.
fn object(asked: &Asked) -> Answer {
    let tag = [("etag", "\"t\""), ("x-amz-meta-secret", "no")];
    let range = |name| header(asked.headers(), name);
    match asked.uri().path() {
        "/b/a%20b.jpg" if range("if-none-match") == "\"t\"" => answer(304, &tag, ""),
        "/b/a%20b.jpg" if range("range") == "bytes=1-2" || range("x-ms-range") == "bytes=1-2" => {
            answer(206, &[("content-range", "bytes 1-2/5")], "el")
        }
        "/b/a%20b.jpg" => {
            let text = asked.uri().query().unwrap_or("hello");
            answer(
                200,
                &[tag[0], tag[1], ("content-type", "image/jpeg")],
                text.to_owned(),
            )
        }
        "/b/secret" => answer(403, &[], "<Error><Code>AccessDenied</Code></Error>"),
        "/b/broken" => answer(503, &[], "<Error><Code>SlowDown</Code></Error>"),
        _ => answer(404, &[], "<Error><Code>NoSuchKey</Code></Error>"),
    }
}

/// What all storages have in common; `version` is a query and what it becomes.
async fn behaves(storages: &Storages, scheme: &str, version: (&str, &str)) {
    let at = |key: &str| format!("{scheme}://b/{key}");
    let opened = open(storages, &at("a b.jpg"), &[]).await.unwrap();
    assert_eq!((opened.status.as_u16(), opened.length), (200, Some(5)));
    assert_eq!(opened.extension.as_deref(), Some("jpg"));
    assert_eq!(header(&opened.headers, "etag"), "\"t\"");
    assert_eq!(header(&opened.headers, "content-type"), "image/jpeg");
    assert_eq!(body(opened).await, "hello");
    let opened = open(storages, &at("a b.jpg"), &[("if-none-match", "\"t\"")]).await;
    let opened = opened.unwrap();
    assert_eq!(opened.status, 304);
    assert_eq!(header(&opened.headers, "etag"), "\"t\"");
    // A range puts conditions aside.
    let range = [("range", "bytes=1-2"), ("if-none-match", "\"t\"")];
    let opened = open(storages, &at("a b.jpg"), &range).await.unwrap();
    assert_eq!(opened.status, 206);
    assert_eq!(header(&opened.headers, "content-range"), "bytes 1-2/5");
    assert_eq!(body(opened).await, "el");
    let (query, becomes) = version;
    let opened = open(storages, &at(&format!("a b.jpg?{query}")), &[]).await;
    assert_eq!(body(opened.unwrap()).await, becomes);
    for (key, expected) in [("secret", 403), ("broken", 502), ("none", 404), ("", 404)] {
        let outcome = open(storages, &at(key), &[]).await;
        assert_eq!(status(outcome), expected, "{key}");
    }
    let denied = open(storages, &format!("{scheme}://denied/a"), &[]).await;
    assert!(matches!(denied, Err(FetchError::Bucket(_))), "{denied:?}");
}

#[tokio::test]
async fn s3_with_an_endpoint_of_its_own() {
    let fake = Fake::start(|asked| {
        let claims = signed_by(asked, SECRET).expect("a good signature");
        assert_eq!(
            claims,
            (KEY.to_owned(), "eu-west-3".to_owned(), "s3".to_owned())
        );
        object(asked)
    })
    .await;
    let storages = storages(
        &fake,
        &[
            ("IMGPROXY_USE_S3", "1"),
            ("IMGPROXY_S3_ENDPOINT", &fake.authority()),
            ("IMGPROXY_S3_DENIED_BUCKETS", "denied"),
            ("AWS_REGION", "eu-west-3"),
        ],
        &[],
    );
    behaves(&storages, "s3", ("v 1", "versionId=v%201")).await;
    // Dot segments and double slashes are part of the key.
    open(&storages, "s3://b/../c//./k", &[]).await.unwrap_err();
    let last = fake.asked().pop().unwrap();
    assert_eq!(last.uri().path(), "/b/../c//./k");
    let opened = open(&storages, "s3://b/a b.jpg", &[]).await.unwrap();
    assert!(!opened.headers.contains_key("x-amz-meta-secret"));
}

#[tokio::test]
async fn s3_follows_a_bucket_to_its_region_and_stays_there() {
    let fake = Fake::start(|asked| {
        let (_, region, _) = signed_by(asked, SECRET).expect("a good signature");
        match (region.as_str(), asked.uri().path()) {
            ("us-west-1", _) => answer(301, &[("x-amz-bucket-region", "eu-north-1")], ""),
            ("eu-north-1", "/loop/k") => answer(301, &[("x-amz-bucket-region", "us-west-1")], ""),
            ("eu-north-1", _) => answer(200, &[], "there"),
            _ => answer(500, &[], ""),
        }
    })
    .await;
    let storages = s3(&fake, &[]);
    for _ in 0..2 {
        let opened = open(&storages, "s3://b/k", &[]).await.unwrap();
        assert_eq!(body(opened).await, "there");
    }
    assert_eq!(fake.asked().len(), 3, "one redirect, then straight");
    assert_eq!(status(open(&storages, "s3://loop/k", &[]).await), 404);
    assert_eq!(fake.asked().len(), 5, "one redirect per request");
}

#[tokio::test]
async fn s3_assumes_a_role() {
    let fake = Fake::start(|asked| {
        if asked.method() == "POST" || asked.uri().query().is_some_and(|q| q.contains("Action=")) {
            let (key, region, service) = signed_by(asked, SECRET).expect("a good signature");
            assert_eq!(
                (key.as_str(), region.as_str(), service.as_str()),
                (KEY, "us-east-2", "sts")
            );
            let form = format!(
                "{}&{}",
                asked.uri().query().unwrap_or(""),
                String::from_utf8_lossy(asked.body())
            );
            assert!(form.contains("ExternalId=tenant-7"), "{form}");
            assert!(form.contains("role%2Freader"), "{form}");
            return answer(
                200,
                &[],
                "<AssumeRoleResponse><AssumeRoleResult><Credentials>\
                 <AccessKeyId>ASIAEXAMPLEASIAEXAMPLE</AccessKeyId>\
                 <SecretAccessKey>assumed</SecretAccessKey>\
                 <SessionToken>session</SessionToken>\
                 <Expiration>2099-01-01T00:00:00Z</Expiration>\
                 </Credentials></AssumeRoleResult></AssumeRoleResponse>",
            );
        }
        let (key, ..) = signed_by(asked, "assumed").expect("a good signature");
        assert_eq!(key, "ASIAEXAMPLEASIAEXAMPLE");
        assert_eq!(header(asked.headers(), "x-amz-security-token"), "session");
        object(asked)
    })
    .await;
    let storages = s3(
        &fake,
        &[
            ("IMGPROXY_S3_REGION", "us-east-2"),
            (
                "IMGPROXY_S3_ASSUME_ROLE_ARN",
                "arn:aws:iam::123456789012:role/reader",
            ),
            ("IMGPROXY_S3_ASSUME_ROLE_EXTERNAL_ID", "tenant-7"),
            ("AWS_ENDPOINT_URL_STS", &fake.url()),
        ],
    );
    for _ in 0..2 {
        let opened = open(&storages, "s3://b/a b.jpg", &[]).await.unwrap();
        assert_eq!(body(opened).await, "hello");
    }
    assert_eq!(fake.asked().len(), 3, "the role is taken once");
}

#[tokio::test]
async fn without_credentials_s3_is_unreachable() {
    let fake = Fake::start(object).await;
    let storages = s3(&fake, &[("AWS_ACCESS_KEY_ID", "")]);
    assert_eq!(status(open(&storages, "s3://b/a", &[]).await), 404);
    assert!(fake.asked().is_empty());
}

#[tokio::test]
async fn gcs_with_a_service_account() {
    let fake = Fake::start(|asked| {
        if asked.uri().path() == "/token" {
            return answer(200, &[], r#"{"access_token":"t","expires_in":3600}"#);
        }
        assert_eq!(header(asked.headers(), "authorization"), "Bearer t");
        assert_eq!(header(asked.headers(), "accept-encoding"), "");
        object(asked)
    })
    .await;
    let key = json!({
        "type": "service_account",
        "client_email": "reader@example.iam.gserviceaccount.com",
        "private_key": include_str!("../../secrets/fixtures/service-account.pem"),
    });
    let storages = storages(
        &fake,
        &[
            ("IMGPROXY_USE_GCS", "1"),
            ("IMGPROXY_GCS_KEY", &key.to_string()),
            (
                "IMGPROXY_GCS_ENDPOINT",
                &format!("{}/storage/v1/", fake.url()),
            ),
            ("IMGPROXY_GCS_DENIED_BUCKETS", "denied"),
        ],
        &["https://oauth2.googleapis.com"],
    );
    behaves(
        &storages,
        "gs",
        ("1700000000000001", "generation=1700000000000001"),
    )
    .await;
    let opened = open(&storages, "gs://b/a b.jpg?-1", &[]).await.unwrap();
    assert_eq!(body(opened).await, "hello");
    let tokens = fake.asked();
    let tokens = tokens.iter().filter(|asked| asked.uri().path() == "/token");
    assert_eq!(tokens.count(), 1);
}

#[tokio::test]
async fn an_emulator_of_gcs_wants_no_credentials() {
    let fake = Fake::start(|asked| {
        assert!(!asked.headers().contains_key("authorization"));
        object(asked)
    })
    .await;
    let storages = storages(
        &fake,
        &[
            ("IMGPROXY_USE_GCS", "1"),
            ("STORAGE_EMULATOR_HOST", &fake.authority()),
            ("IMGPROXY_GCS_DENIED_BUCKETS", "denied"),
        ],
        &[],
    );
    behaves(&storages, "gs", ("7", "generation=7")).await;
}

/// The shared key signature of the service's documentation, computed from a request.
fn shared_key(asked: &Asked, account: &str, key: &[u8]) -> String {
    let headers = asked.headers();
    let mut own: Vec<&str> = headers
        .keys()
        .map(http::HeaderName::as_str)
        .filter(|name| name.starts_with("x-ms-"))
        .collect();
    own.sort_unstable();
    let mut text = "GET\n\n\n\n\n\n\n".to_owned();
    for name in [
        "if-modified-since",
        "if-match",
        "if-none-match",
        "if-unmodified-since",
        "range",
    ] {
        text += header(headers, name);
        text.push('\n');
    }
    for name in own {
        text += &format!("{name}:{}\n", header(headers, name));
    }
    text += &format!("/{account}{}", asked.uri().path());
    for pair in asked
        .uri()
        .query()
        .unwrap_or("")
        .split('&')
        .filter(|pair| !pair.is_empty())
    {
        let (name, value) = pair.split_once('=').unwrap();
        let value = percent_encoding::percent_decode_str(value).decode_utf8_lossy();
        text += &format!("\n{name}:{value}");
    }
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    format!(
        "SharedKey {account}:{}",
        STANDARD.encode(mac.finalize().into_bytes())
    )
}

#[tokio::test]
async fn abs_with_a_shared_key() {
    let fake = Fake::start(|asked| {
        let authorization = header(asked.headers(), "authorization");
        assert_eq!(authorization, shared_key(asked, "acc", b"secret"));
        object(asked)
    })
    .await;
    let storages = storages(
        &fake,
        &[
            ("IMGPROXY_USE_ABS", "1"),
            ("IMGPROXY_ABS_NAME", "acc"),
            ("IMGPROXY_ABS_KEY", &STANDARD.encode("secret")),
            ("IMGPROXY_ABS_ENDPOINT", &format!("{}/", fake.url())),
            ("IMGPROXY_ABS_DENIED_BUCKETS", "denied"),
        ],
        &[],
    );
    let moment = "2021-08-03T15:54:10Z";
    let becomes = "versionid=2021-08-03T15%3A54%3A10Z";
    behaves(&storages, "abs", (moment, becomes)).await;
}

#[tokio::test]
async fn abs_with_a_managed_identity() {
    let fake = Fake::start(|asked| {
        if asked.uri().path() == "/metadata/identity/oauth2/token" {
            assert_eq!(header(asked.headers(), "metadata"), "true");
            let body = r#"{"access_token":"t","expires_on":"4102444800"}"#;
            return answer(200, &[], body);
        }
        assert_eq!(header(asked.headers(), "authorization"), "Bearer t");
        object(asked)
    })
    .await;
    let storages = storages(
        &fake,
        &[
            ("IMGPROXY_USE_ABS", "1"),
            ("IMGPROXY_ABS_NAME", "acc"),
            ("IMGPROXY_ABS_ENDPOINT", &fake.url()),
            ("IMGPROXY_ABS_DENIED_BUCKETS", "denied"),
        ],
        &["http://169.254.169.254"],
    );
    behaves(&storages, "abs", ("x", "hello")).await;
}

fn swift(fake: &Fake, login: &str, pairs: &[(&str, &str)]) -> Storages {
    let url = format!("{}{login}", fake.url());
    let common = [
        ("IMGPROXY_USE_SWIFT", "1"),
        ("IMGPROXY_SWIFT_USERNAME", "me"),
        ("IMGPROXY_SWIFT_API_KEY", "key"),
        ("IMGPROXY_SWIFT_AUTH_URL", &url),
        ("IMGPROXY_SWIFT_DENIED_BUCKETS", "denied"),
    ];
    storages(fake, &[&common[..], pairs].concat(), &[])
}

#[tokio::test]
async fn swift_version_1_renews_its_token() {
    let logins = std::sync::atomic::AtomicUsize::new(0);
    let fake = Fake::start(move |asked| {
        if asked.uri().path() == "/auth/v1.0" {
            let headers = asked.headers();
            if (
                header(headers, "x-auth-user"),
                header(headers, "x-auth-key"),
            ) != ("me", "key")
            {
                return answer(401, &[], "");
            }
            let count = logins.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let host = header(headers, "host");
            let headers = [
                ("x-storage-url", &*format!("http://{host}/")),
                ("x-auth-token", &*format!("t{count}")),
                ("x-auth-token-expires", "3600"),
            ];
            return answer(200, &headers, "");
        }
        match header(asked.headers(), "x-auth-token") {
            "t0" if asked.uri().path() == "/b/late" => answer(401, &[], ""),
            "t0" | "t1" if asked.uri().path() == "/b/late" => {
                answer(200, &[("etag", "0f343b09"), ("x-timestamp", "1")], "late")
            }
            "t0" | "t1" => object(asked),
            _ => answer(401, &[], ""),
        }
    })
    .await;
    let storages = swift(&fake, "/auth/v1.0", &[]);
    storages.log_in().await.unwrap();
    behaves(&storages, "swift", ("x", "hello")).await;
    let opened = open(&storages, "swift://b/late", &[]).await.unwrap();
    assert_eq!(header(&opened.headers, "etag"), "\"0f343b09\"");
    assert_eq!(header(&opened.headers, "x-timestamp"), "1");
    let wrong = swift(&fake, "/auth/v1.0", &[("IMGPROXY_SWIFT_API_KEY", "wrong")]);
    let error = wrong.log_in().await.unwrap_err().to_string();
    assert!(
        error.starts_with("swift authentication failed: "),
        "{error}"
    );
    let none = swift(&fake, "/auth", &[]).log_in().await.unwrap_err();
    assert!(none.to_string().contains("SWIFT_AUTH_VERSION"), "{none}");
}

#[tokio::test]
async fn swift_versions_2_and_3() {
    let fake = Fake::start(|asked| {
        let body: Value = serde_json::from_slice(asked.body()).unwrap_or_default();
        let url = format!("http://{}", header(asked.headers(), "host"));
        match asked.uri().path() {
            "/v2.0/tokens" => {
                let expected = json!({ "auth": {
                    "passwordCredentials": { "username": "me", "password": "key" },
                    "tenantName": "project",
                } });
                assert_eq!(body, expected);
                let access = json!({ "access": {
                    "token": { "id": "t", "expires": "2099-01-01T00:00:00Z" },
                    "serviceCatalog": [
                        { "type": "compute", "endpoints": [{ "publicURL": "http://x.invalid" }] },
                        { "type": "object-store", "endpoints": [{ "publicURL": url }] },
                    ],
                } });
                answer(200, &[], access.to_string())
            }
            "/v3/auth/tokens" => {
                let domain = json!({ "name": "corp" });
                let expected = json!({ "auth": {
                    "identity": { "methods": ["password"], "password": { "user": {
                        "name": "me", "password": "key", "domain": domain,
                    } } },
                    "scope": { "project": { "name": "project", "domain": domain } },
                } });
                assert_eq!(body, expected);
                let token = json!({ "token": {
                    "expires_at": "2099-01-01T00:00:00.000000Z",
                    "catalog": [{ "type": "object-store", "endpoints": [
                        { "interface": "internal", "url": "http://x.invalid" },
                        { "interface": "public", "url": url },
                    ] }],
                } });
                answer(201, &[("x-subject-token", "t")], token.to_string())
            }
            _ => {
                assert_eq!(header(asked.headers(), "x-auth-token"), "t");
                object(asked)
            }
        }
    })
    .await;
    for login in ["/v2.0", "/v3/"] {
        let pairs = [
            ("IMGPROXY_SWIFT_TENANT", "project"),
            ("IMGPROXY_SWIFT_DOMAIN", "corp"),
        ];
        let storages = swift(&fake, login, &pairs);
        storages.log_in().await.unwrap();
        behaves(&storages, "swift", ("x", "hello")).await;
    }
}

#[tokio::test]
async fn a_storage_that_is_off_is_none() {
    let fake = Fake::start(object).await;
    let storages = storages(&fake, &[], &[]);
    for scheme in ["s3", "gs", "abs", "swift", "ftp"] {
        let url = format!("{scheme}://b/k");
        let opened = storages.open(scheme, &url, &HeaderMap::new()).await;
        assert!(opened.is_none(), "{scheme}");
    }
}
