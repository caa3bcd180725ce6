//! Objects of the S3 Encryption Client, from a storage and a key service that are played.

use bytes::Bytes;
use http::HeaderMap;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA512, KeyType, Salt};

use super::*;
use crate::source::{FetchRequest, Fetched, SourceImage, Sources};

const DATA_KEY: [u8; 32] = [7; 32];
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n and what follows";
const CONTEXT_2: &str = r#"{"aws:x-amz-cek-alg":"AES/GCM/NoPadding","team":"ü"}"#;
const CONTEXT_3: &str = r#"{"aws:x-amz-cek-alg":"115"}"#;

struct Bits(usize);

impl KeyType for Bits {
    fn len(&self) -> usize {
        self.0 / 8
    }
}

fn sealed(key: &[u8; 32], nonce: [u8; 12], additional: &[u8]) -> Vec<u8> {
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).unwrap());
    let mut text = PNG.to_vec();
    let nonce = Nonce::assume_unique_for_key(nonce);
    key.seal_in_place_append_tag(nonce, Aad::from(additional), &mut text)
        .unwrap();
    text
}

fn derived<const N: usize>(purpose: &str) -> [u8; N] {
    let info: [&[u8]; 2] = [&[0, 115], purpose.as_bytes()];
    let mut out = [0; N];
    let extracted = Salt::new(HKDF_SHA512, &[5; 28]).extract(&DATA_KEY);
    extracted
        .expand(&info, Bits(8 * N))
        .unwrap()
        .fill(&mut out)
        .unwrap();
    out
}

/// Fields of the second format, and the object's bytes.
fn second() -> (Vec<(&'static str, String)>, Vec<u8>) {
    let fields = vec![
        ("x-amz-key-v2", STANDARD.encode("wrapped")),
        ("x-amz-iv", STANDARD.encode([9; 12])),
        ("x-amz-matdesc", CONTEXT_2.to_owned()),
        ("x-amz-cek-alg", "AES/GCM/NoPadding".to_owned()),
        ("x-amz-wrap-alg", "kms+context".to_owned()),
        ("x-amz-tag-len", "128".to_owned()),
        ("x-amz-unencrypted-content-length", PNG.len().to_string()),
    ];
    (fields, sealed(&DATA_KEY, [9; 12], &[]))
}

/// The same of the third.
fn third() -> (Vec<(&'static str, String)>, Vec<u8>) {
    let fields = vec![
        ("x-amz-3", STANDARD.encode("wrapped")),
        ("x-amz-t", CONTEXT_3.to_owned()),
        ("x-amz-w", "12".to_owned()),
        ("x-amz-c", "115".to_owned()),
        ("x-amz-d", STANDARD.encode(derived::<28>("COMMITKEY"))),
        ("x-amz-i", STANDARD.encode([5; 28])),
    ];
    (fields, sealed(&derived("DERIVEKEY"), [1; 12], &[0, 115]))
}

fn with(
    mut fields: Vec<(&'static str, String)>,
    name: &'static str,
    value: &str,
) -> Vec<(&'static str, String)> {
    fields.retain(|(other, _)| *other != name);
    if !value.is_empty() {
        fields.push((name, value.to_owned()));
    }
    fields
}

fn object_of(fields: &[(&'static str, String)], body: Vec<u8>) -> Answer {
    let mut response = answer(200, &[("accept-ranges", "bytes"), ("etag", "\"t\"")], body);
    for (name, value) in fields {
        let name: http::HeaderName = format!("x-amz-meta-{name}").parse().unwrap();
        let value = http::HeaderValue::from_bytes(value.as_bytes()).unwrap();
        response.headers_mut().insert(name, value);
    }
    response
}

fn instruction(fields: &[(&'static str, String)]) -> Answer {
    let fields = fields
        .iter()
        .map(|(name, value)| ((*name).to_owned(), json!(value)));
    answer(200, &[], Value::Object(fields.collect()).to_string())
}

/// The key service: it knows one key, under the context that it was made with.
fn key_service(asked: &Asked) -> Answer {
    let (_, region, service) = signed_by(asked, SECRET).expect("a good signature");
    assert_eq!((region.as_str(), service.as_str()), ("eu-west-3", "kms"));
    assert_eq!(
        header(asked.headers(), "x-amz-target"),
        "TrentService.Decrypt"
    );
    let question: Value = serde_json::from_slice(asked.body()).unwrap();
    let context = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let known = [context(CONTEXT_2), context(CONTEXT_3)].contains(&question["EncryptionContext"]);
    if question["CiphertextBlob"] != STANDARD.encode("wrapped") || !known {
        let refusal = r#"{"__type":"InvalidCiphertextException","message":"no"}"#;
        return answer(400, &[], refusal);
    }
    let key =
        json!({ "KeyId": "arn:aws:kms:eu-west-3:1:key/k", "Plaintext": STANDARD.encode(DATA_KEY) });
    answer(200, &[], key.to_string())
}

fn bucket(asked: &Asked) -> Answer {
    let (two, bytes_two) = second();
    let (three, bytes_three) = third();
    let part = |names: &[&str], of: &[(&'static str, String)], is_in: bool| {
        let fields = of.iter().filter(|(name, _)| names.contains(name) == is_in);
        fields.cloned().collect::<Vec<_>>()
    };
    let of_object = ["x-amz-c", "x-amz-d", "x-amz-i"];
    let mut altered = bytes_two.clone();
    altered[3] ^= 1;
    let object_two = |fields: Vec<(&'static str, String)>| object_of(&fields, second().1);
    match asked.uri().path() {
        "/b/second.png" => object_of(&two, bytes_two),
        "/b/third.png" => object_of(&three, bytes_three),
        "/b/second-beside" => object_of(&[], bytes_two),
        "/b/second-beside.instruction" => instruction(&two),
        "/b/third-beside" => object_of(&part(&of_object, &three, true), bytes_three),
        "/b/third-beside.instruction" => instruction(&part(&of_object, &three, false)),
        "/b/third-all-beside" => object_of(&[], bytes_three),
        "/b/third-all-beside.instruction" => instruction(&three),
        "/b/altered" => object_of(&two, altered),
        "/b/short" => object_of(&two, vec![0; 15]),
        "/b/other-key" => object_two(with(two, "x-amz-key-v2", &STANDARD.encode("other"))),
        "/b/other-context" => object_two(with(
            two,
            "x-amz-matdesc",
            r#"{"aws:x-amz-cek-alg":"AES/GCM/NoPadding"}"#,
        )),
        "/b/other-cipher" => object_two(with(two, "x-amz-matdesc", CONTEXT_3)),
        "/b/no-context" => object_two(with(two, "x-amz-matdesc", "")),
        "/b/cbc" => object_two(with(two, "x-amz-cek-alg", "AES/CBC/PKCS5Padding")),
        "/b/kms" => object_two(with(two, "x-amz-wrap-alg", "kms")),
        "/b/tag" => object_two(with(two, "x-amz-tag-len", "96")),
        "/b/nonce" => object_two(with(two, "x-amz-iv", "AAAA")),
        "/b/first" => object_two(with(with(two, "x-amz-key-v2", ""), "x-amz-key", "AAAA")),
        "/b/both" => object_two(with(two, "x-amz-3", "AAAA")),
        "/b/commitment" => object_of(
            &with(three, "x-amz-d", &STANDARD.encode([0; 28])),
            bytes_three,
        ),
        "/b/rsa" => object_of(&with(three, "x-amz-w", "22"), bytes_three),
        "/b/bare" => object_of(&[], PNG.to_vec()),
        _ => answer(404, &[], "<Error><Code>NoSuchKey</Code></Error>"),
    }
}

async fn start() -> (Fake, Sources) {
    let fake = Fake::start(|asked| {
        if asked.method() == "POST" {
            key_service(asked)
        } else {
            bucket(asked)
        }
    })
    .await;
    let config = Config::from_pairs(&[
        ("AWS_ACCESS_KEY_ID", KEY),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("HOME", "/nonexistent"),
        ("AWS_ENDPOINT_URL_KMS", &fake.url()),
        ("IMGPROXY_USE_S3", "1"),
        ("IMGPROXY_S3_USE_DECRYPTION_CLIENT", "1"),
        ("IMGPROXY_S3_ENDPOINT", &fake.url()),
        ("IMGPROXY_S3_REGION", "eu-west-3"),
    ]);
    let sources = Sources::new(&config.unwrap().source).unwrap();
    (fake, sources)
}

fn request(key: &str, max_bytes: u64) -> FetchRequest {
    FetchRequest {
        url: format!("s3://b/{key}"),
        headers: HeaderMap::new(),
        max_bytes,
        deadline: None,
        claim: None,
    }
}

async fn fetched(sources: &Sources, key: &str) -> Result<Bytes, (u16, String)> {
    match sources.fetch(request(key, 0)).await {
        Ok(Fetched::Image(SourceImage { bytes, .. })) => Ok(bytes),
        Ok(other) => panic!("{other:?}"),
        Err(error) => {
            let text = error.to_string();
            Err((crate::Error::from(error).outcome().status, text))
        }
    }
}

#[tokio::test]
async fn both_formats_with_and_without_instruction_files() {
    let (_fake, sources) = start().await;
    for key in ["second.png", "third.png", "second-beside", "third-beside"] {
        assert_eq!(fetched(&sources, key).await.as_deref(), Ok(PNG), "{key}");
    }
}

#[tokio::test]
async fn what_cannot_be_trusted_is_refused() {
    let (_fake, sources) = start().await;
    for (key, status, text) in [
        ("bare", 404, "not encrypted"),
        ("none", 404, "NoSuchKey"),
        ("third-all-beside", 404, "belongs to the object"),
        ("altered", 422, "not what was encrypted"),
        ("short", 422, "not what was encrypted"),
        ("other-key", 400, "InvalidCiphertextException"),
        ("other-context", 400, "InvalidCiphertextException"),
        ("other-cipher", 404, "aws:x-amz-cek-alg"),
        ("no-context", 404, "x-amz-matdesc is missing"),
        ("cbc", 404, "AES/CBC/PKCS5Padding"),
        ("kms", 404, "\"kms\""),
        ("tag", 404, "128 bits"),
        ("nonce", 404, "12 bytes"),
        ("first", 404, "first format"),
        ("both", 404, "several formats"),
        ("commitment", 404, "commits to"),
        ("rsa", 404, "\"22\""),
    ] {
        let (found, why) = fetched(&sources, key).await.unwrap_err();
        assert_eq!(found, status, "{key}: {why}");
        assert!(why.contains(text), "{key}: {why}");
    }
}

#[tokio::test]
async fn limits_count_the_text() {
    let (_fake, sources) = start().await;
    let size = PNG.len() as u64;
    assert!(sources.fetch(request("second.png", size)).await.is_ok());
    let error = sources.fetch(request("second.png", size - 1)).await;
    assert!(
        matches!(error, Err(FetchError::DeclaredTooLarge { declared, .. }) if declared == size),
        "{error:?}"
    );
}

#[tokio::test]
async fn raw_replies_are_whole_and_decrypted() {
    let (fake, sources) = start().await;
    let mut wanted = request("second.png", 0);
    wanted.headers.insert("range", "bytes=0-3".parse().unwrap());
    wanted
        .headers
        .insert("if-none-match", "\"other\"".parse().unwrap());
    let opened = sources.stream(wanted).await.unwrap();
    assert_eq!(opened.status, 200);
    assert_eq!(
        header(&opened.headers, "content-length"),
        PNG.len().to_string()
    );
    assert_eq!(header(&opened.headers, "accept-ranges"), "");
    let chunks: Vec<_> = opened.body.collect().await;
    let bytes: Vec<u8> = chunks
        .into_iter()
        .flat_map(|chunk| chunk.unwrap())
        .collect();
    assert_eq!(bytes, PNG);
    let asked = fake.asked();
    assert_eq!(header(asked[0].headers(), "range"), "");
    assert_eq!(header(asked[0].headers(), "if-none-match"), "\"other\"");
    // Not a byte of an altered one gets out.
    let error = sources.stream(request("altered", 0)).await;
    assert!(
        matches!(error, Err(FetchError::Undetectable(_))),
        "{error:?}"
    );
}
