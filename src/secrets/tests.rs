use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use serde_json::{Value, json};

use super::*;
use crate::cloud::fake::{Answer, Asked, Fake, answer, header, signed_by};
use crate::config::MapEnv;

const KEYS: [(&str, &str); 3] = [
    ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
    ("AWS_SECRET_ACCESS_KEY", "very/secret"),
    ("AWS_EC2_METADATA_DISABLED", "true"),
];

fn env(pairs: &[(&str, &str)]) -> MapEnv {
    MapEnv::new(&[&KEYS[..], &[("HOME", "/nonexistent")], pairs].concat())
}

/// The names and values that a load gives for the names that are asked.
async fn load_from<const N: usize>(
    env: &MapEnv,
    names: [&str; N],
) -> Result<[Option<String>; N], String> {
    let client: Arc<dyn Connection> = Arc::new(cloud_client().unwrap());
    let loaded = load_with(env, |env| {
        let values = env.names().into_iter();
        let values = values.filter_map(|name| Some((name.clone(), env.get(&name)?)));
        Cloud::new(values, Arc::clone(&client))
    });
    let loaded = loaded.await.map_err(|error| error.to_string())?;
    Ok(names.map(|name| loaded.get(name)))
}

fn json_of(asked: &Asked) -> Value {
    serde_json::from_slice(asked.body()).unwrap()
}

fn json_answer(value: &Value) -> Answer {
    let headers = [("content-type", "application/x-amz-json-1.1")];
    answer(200, &headers, value.to_string())
}

#[tokio::test]
async fn a_secret_is_asked_for_with_a_signature() {
    let fake = Fake::start(|_| {
        json_answer(&json!({ "Name": "s", "SecretString": "A=1\n# c\nexport B='2'\n" }))
    })
    .await;
    let env = env(&[
        ("AWS_ENDPOINT_URL_SECRETS_MANAGER", &fake.url()),
        ("IMGPROXY_ENV_AWS_SECRET_ID", "prod/imgforge"),
        ("IMGPROXY_ENV_AWS_SECRET_VERSION_STAGE", "AWSPREVIOUS"),
        ("IMGPROXY_ENV_AWS_SECRET_REGION", "eu-central-1"),
        ("AWS_REGION", "us-east-2"),
        ("A", "0"),
        ("C", "3"),
    ]);
    let found = load_from(&env, ["A", "B", "C"]).await.unwrap();
    assert_eq!(found.map(Option::unwrap), ["1", "2", "3"]);
    let asked = fake.asked();
    let [asked] = &asked[..] else {
        panic!("{asked:?}")
    };
    let (key, region, service) = signed_by(asked, "very/secret").unwrap();
    assert_eq!(
        (key.as_str(), region.as_str(), service.as_str()),
        ("AKIDEXAMPLE", "eu-central-1", "secretsmanager")
    );
    let target = header(asked.headers(), "x-amz-target");
    assert_eq!(target, "secretsmanager.GetSecretValue");
    let expected = json!({ "SecretId": "prod/imgforge", "VersionStage": "AWSPREVIOUS" });
    assert_eq!(json_of(asked), expected);
}

#[tokio::test]
async fn a_version_beats_a_stage_and_regions_have_a_last_one() {
    let fake = Fake::start(|_| json_answer(&json!({ "SecretBinary": "AA==" }))).await;
    let env = env(&[
        ("AWS_ENDPOINT_URL", &fake.url()),
        ("IMGFORGE_ENV_AWS_SECRET_ID", "s"),
        ("IMGPROXY_ENV_AWS_SECRET_VERSION_ID", "v"),
        ("IMGPROXY_ENV_AWS_SECRET_VERSION_STAGE", "AWSPREVIOUS"),
        ("AWS_SESSION_TOKEN", "session"),
    ]);
    load_from(&env, []).await.unwrap();
    let asked = &fake.asked()[0];
    let (_, region, _) = signed_by(asked, "very/secret").unwrap();
    assert_eq!(region, "us-west-1");
    assert_eq!(header(asked.headers(), "x-amz-security-token"), "session");
    let expected = json!({ "SecretId": "s", "VersionId": "v" });
    assert_eq!(json_of(asked), expected);
}

#[tokio::test]
async fn all_pages_of_parameters_count() {
    let parameter = |name: &str, value: &str, kind: &str| {
        json!({ "Name": format!("/prod/img/{name}"), "Value": value, "Type": "SecureString",
                "DataType": kind })
    };
    let pages = [
        json!({ "Parameters": [parameter("IMGPROXY_TTL", "7", "text")], "NextToken": "t1" }),
        json!({ "Parameters": [], "NextToken": "t2" }),
        json!({ "Parameters": [
            parameter("IMGPROXY_CLOUD_WATCH/REGION", "eu", "text"),
            parameter("IMAGE", "ami-1", "aws:ec2:image"),
        ] }),
    ];
    let fake = Fake::start(move |asked| {
        let next = json_of(asked)["NextToken"].as_str().map(str::to_owned);
        let page = match next.as_deref() {
            None => 0,
            Some("t1") => 1,
            _ => 2,
        };
        json_answer(&pages[page])
    })
    .await;
    let env = env(&[
        ("AWS_ENDPOINT_URL_SSM", &format!("{}/", fake.url())),
        ("IMGPROXY_ENV_AWS_SSM_PARAMETERS_PATH", "/prod/img"),
        ("AWS_REGION", "us-east-2"),
    ]);
    let names = ["IMGPROXY_TTL", "IMGPROXY_CLOUD_WATCH_REGION", "IMAGE"];
    let found = load_from(&env, names).await.unwrap();
    assert_eq!(found, [Some("7".to_owned()), Some("eu".to_owned()), None]);
    let asked = fake.asked();
    assert_eq!(asked.len(), 3);
    for (asked, token) in asked.iter().zip([Value::Null, json!("t1"), json!("t2")]) {
        let (_, region, service) = signed_by(asked, "very/secret").unwrap();
        assert_eq!((region.as_str(), service.as_str()), ("us-east-2", "ssm"));
        let body = json_of(asked);
        assert_eq!(body["Recursive"], true);
        assert_eq!(body["WithDecryption"], true);
        assert_eq!(body["NextToken"], token);
    }
}

#[tokio::test]
async fn later_stores_see_and_beat_earlier_ones() {
    let fake = Fake::start(|asked| {
        if header(asked.headers(), "x-amz-target").ends_with("GetSecretValue") {
            json_answer(&json!({
                "SecretString": "A=secret\nB=secret\nIMGPROXY_ENV_AWS_SSM_PARAMETERS_PATH=/p\nAWS_REGION=eu-north-1"
            }))
        } else {
            json_answer(&json!({ "Parameters": [
                { "Name": "/p/A", "Value": "parameter", "DataType": "text" }
            ] }))
        }
    })
    .await;
    let env = env(&[
        ("AWS_ENDPOINT_URL", &fake.url()),
        ("IMGPROXY_ENV_AWS_SECRET_ID", "s"),
    ]);
    let found = load_from(&env, ["A", "B"]).await.unwrap();
    assert_eq!(found.map(Option::unwrap), ["parameter", "secret"]);
    let (_, region, _) = signed_by(&fake.asked()[1], "very/secret").unwrap();
    assert_eq!(region, "eu-north-1");
}

#[tokio::test]
async fn failures_have_imgproxys_texts() {
    let fake = Fake::start(|asked| match header(asked.headers(), "x-amz-target") {
        "secretsmanager.GetSecretValue" if json_of(asked)["SecretId"] == "bad" => {
            json_answer(&json!({ "SecretString": "rubbish" }))
        }
        _ => answer(
            400,
            &[],
            r#"{"__type":"com.amazon#ResourceNotFoundException","Message":"no such thing"}"#,
        ),
    })
    .await;
    let url = fake.url();
    let endpoint = ("AWS_ENDPOINT_URL", url.as_str());
    let cases: [(&[(&str, &str)], &str); 6] = [
        (
            &[endpoint, ("IMGPROXY_ENV_AWS_SECRET_ID", "none")],
            "can't retrieve config from AWS Secrets Manager: the service answered with status 400: \
             ResourceNotFoundException: no such thing",
        ),
        (
            &[endpoint, ("IMGPROXY_ENV_AWS_SECRET_ID", "bad")],
            "can't parse config from AWS Secrets Manager: line 1",
        ),
        (
            &[
                ("IMGPROXY_ENV_AWS_SECRET_ID", "s"),
                ("AWS_PROFILE", "nobody"),
            ],
            "can't load AWS Secrets Manager config: failed to get shared config profile, nobody",
        ),
        (
            &[endpoint, ("IMGPROXY_ENV_AWS_SSM_PARAMETERS_PATH", "/p")],
            "can't retrieve parameters from AWS SSM: the service answered with status 400",
        ),
        (
            &[
                ("IMGPROXY_ENV_AWS_SSM_PARAMETERS_PATH", "/p"),
                ("AWS_PROFILE", "nobody"),
            ],
            "can't load AWS SSM config: failed to get shared config profile, nobody",
        ),
        (
            &[
                ("IMGPROXY_ENV_GCP_SECRET_ID", "s"),
                ("IMGPROXY_ENV_GCP_KEY", "{}"),
            ],
            "can't create Google Cloud Secret Manager client: the key has no type",
        ),
    ];
    for (pairs, expected) in cases {
        let error = load_from(&env(pairs), []).await.unwrap_err();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[tokio::test]
async fn what_may_pass_is_tried_three_times() {
    let fake = Fake::start(|_| answer(500, &[], "{}")).await;
    let env = env(&[
        ("AWS_ENDPOINT_URL", &fake.url()),
        ("IMGPROXY_ENV_AWS_SECRET_ID", "s"),
    ]);
    load_from(&env, []).await.unwrap_err();
    assert_eq!(fake.asked().len(), 3);
}

#[test]
fn nothing_is_asked_where_nothing_is_wanted() {
    let env = env(&[("IMGPROXY_ENV_GCP_KEY", "rubbish"), ("A", "1")]);
    let loaded = load(&env).unwrap();
    assert_eq!(loaded.get("A").as_deref(), Some("1"));
}

/// The token service and the secret service of Google in one, for keys that `fixtures/service-account.pem` signs.
fn google(asked: &Asked) -> Answer {
    match asked.uri().path() {
        "/token" => {
            let form = String::from_utf8(asked.body().to_vec()).unwrap();
            let (_, jwt) = form.split_once("assertion=").unwrap();
            let (signed, signature) = jwt.rsplit_once('.').unwrap();
            let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
            ring::signature::UnparsedPublicKey::new(
                &ring::signature::RSA_PKCS1_2048_8192_SHA256,
                public_key(),
            )
            .verify(signed.as_bytes(), &signature)
            .unwrap();
            let claims = URL_SAFE_NO_PAD
                .decode(signed.split_once('.').unwrap().1)
                .unwrap();
            let claims: Value = serde_json::from_slice(&claims).unwrap();
            assert_eq!(claims["iss"], "reader@example.iam.gserviceaccount.com");
            assert_eq!(claims["scope"], google::SCOPE);
            answer(200, &[], r#"{"access_token":"t","expires_in":3600}"#)
        }
        "/v1/projects/p/secrets/s/versions/latest:access" => {
            assert_eq!(header(asked.headers(), "authorization"), "Bearer t");
            let data = STANDARD.encode("A=1\nB=2");
            answer(200, &[], json!({ "payload": { "data": data } }).to_string())
        }
        _ => answer(404, &[], r#"{"error":{"message":"Secret not found"}}"#),
    }
}

fn key_pair() -> ring::rsa::KeyPair {
    let pem = include_str!("fixtures/service-account.pem");
    let base64: String = pem.lines().filter(|line| !line.starts_with("--")).collect();
    ring::rsa::KeyPair::from_pkcs8(&STANDARD.decode(base64).unwrap()).unwrap()
}

fn public_key() -> Bytes {
    Bytes::copy_from_slice(key_pair().public().as_ref())
}

#[tokio::test]
async fn a_google_secret_is_read_with_a_service_account() {
    let fake = Fake::start(google).await;
    let key = json!({
        "type": "service_account",
        "client_email": "reader@example.iam.gserviceaccount.com",
        "private_key": include_str!("fixtures/service-account.pem"),
    })
    .to_string();
    let mut env = env(&[
        ("IMGPROXY_ENV_GCP_SECRET_ID", "s"),
        ("IMGPROXY_ENV_GCP_SECRET_PROJECT_ID", "p"),
        ("IMGPROXY_ENV_GCP_KEY", &key),
    ]);
    let url = fake.url();
    let cloud = |env: &dyn Env| {
        let values = env.names().into_iter();
        let values = values.filter_map(|name| Some((name.clone(), env.get(&name)?)));
        Cloud::new(values, Arc::new(cloud_client().unwrap()))
            .with_origin("https://oauth2.googleapis.com", &url)
            .with_origin("https://secretmanager.googleapis.com", &url)
    };
    let loaded = load_with(&env, cloud).await.unwrap();
    assert_eq!(loaded.get("A").as_deref(), Some("1"));
    assert_eq!(loaded.get("B").as_deref(), Some("2"));
    drop(loaded);
    let version = "IMGPROXY_ENV_GCP_SECRET_VERSION_ID".to_owned();
    env.0.insert(version, "9".to_owned());
    let error = load_with(&env, cloud).await.unwrap_err().to_string();
    assert_eq!(
        error,
        "can't get Google Cloud Secret Manager secret: the service answered with status 404: Secret not found"
    );
}

#[tokio::test]
async fn a_google_secret_is_read_with_the_metadata_server() {
    let fake = Fake::start(|asked| match asked.uri().path() {
        "/computeMetadata/v1/instance/service-accounts/default/token" => {
            assert_eq!(header(asked.headers(), "metadata-flavor"), "Google");
            answer(200, &[], r#"{"access_token":"t","expires_in":3600}"#)
        }
        _ => google(asked),
    })
    .await;
    let env = env(&[
        ("IMGPROXY_ENV_GCP_SECRET_ID", "s"),
        ("IMGPROXY_ENV_GCP_SECRET_PROJECT_ID", "p"),
        ("GCE_METADATA_HOST", &fake.authority()),
    ]);
    let url = fake.url();
    let loaded = load_with(&env, |env| {
        let values = env.names().into_iter();
        let values = values.filter_map(|name| Some((name.clone(), env.get(&name)?)));
        Cloud::new(values, Arc::new(cloud_client().unwrap()))
            .with_origin("https://secretmanager.googleapis.com", &url)
    });
    assert_eq!(loaded.await.unwrap().get("B").as_deref(), Some("2"));
}
