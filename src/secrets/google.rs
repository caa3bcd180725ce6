//! Google Cloud Secret Manager.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::{SecretsError, within};
use crate::cloud::google::Google;
use crate::cloud::{Cloud, CloudError, whole};
use crate::config::secrets::GoogleSecret;

/// The text of a secret.
pub(super) async fn secret(cloud: &Cloud, secret: &GoogleSecret) -> Result<String, SecretsError> {
    let google =
        Google::new(cloud, secret.key.as_deref(), SCOPE).map_err(SecretsError::GoogleClient)?;
    within(LIMIT, access(cloud, &google, secret))
        .await
        .map_err(SecretsError::GoogleSecret)
}

async fn access(
    cloud: &Cloud,
    google: &Google,
    secret: &GoogleSecret,
) -> Result<String, CloudError> {
    let segment = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let uri = format!(
        "{ORIGIN}/v1/projects/{}/secrets/{}/versions/{}:access",
        segment(&secret.project),
        segment(&secret.id),
        segment(&secret.version),
    );
    let (mut parts, ()) = http::Request::get(uri)
        .body(())
        .map_err(|_| CloudError::Request("invalid name of a secret"))?
        .into_parts();
    google.authorize(&mut parts).await?;
    let response = cloud.send(parts, Bytes::new()).await?;
    let status = response.status();
    let body = whole(response.into_body()).await?;
    let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
    if !status.is_success() {
        let message = answer.pointer("/error/message").and_then(Value::as_str);
        return Err(CloudError::Refused {
            status: status.as_u16(),
            detail: message.unwrap_or_default().to_owned(),
        });
    }
    let data = answer.pointer("/payload/data").and_then(Value::as_str);
    let data = data.ok_or_else(|| CloudError::Answer("it has no payload".to_owned()))?;
    STANDARD
        .decode(data)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| CloudError::Answer("the payload is not text".to_owned()))
}

const ORIGIN: &str = "https://secretmanager.googleapis.com";
pub(super) const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
const LIMIT: Duration = Duration::from_secs(60);
