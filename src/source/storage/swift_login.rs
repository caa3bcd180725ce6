//! The three logins of Swift. Rule: `spec/sources.md` section 8.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Request, Response};
use serde_json::{Value, json};

use super::swift::Session;
use crate::cloud::{Body, Cloud, CloudError, whole};
use crate::config::storage::SwiftConfig;

/// Logs in with the configured version, or the one that the address names.
pub(super) async fn log_in(cloud: &Cloud, config: &SwiftConfig) -> Result<Session, CloudError> {
    let version = match config.auth_version {
        0 => ["v3", "v2", "v1"]
            .iter()
            .position(|name| config.auth_url.contains(name))
            .map(|found| 3 - found),
        given => usize::try_from(given).ok(),
    };
    match version {
        Some(1) => version_1(cloud, config).await,
        Some(2) => version_2(cloud, config).await,
        Some(3) => version_3(cloud, config).await,
        _ => Err(CloudError::Settings(
            "the address does not tell the version, set IMGPROXY_SWIFT_AUTH_VERSION".to_owned(),
        )),
    }
}

async fn version_1(cloud: &Cloud, config: &SwiftConfig) -> Result<Session, CloudError> {
    let request = Request::get(&config.auth_url)
        .header("x-auth-user", &config.username)
        .header("x-auth-key", &config.api_key)
        .body(())
        .map_err(|_| CloudError::Request("invalid login address or credentials"))?;
    let (parts, ()) = request.into_parts();
    let response = accepted(cloud.send(parts, Bytes::new()).await?)?;
    let storage_url = text(response.headers(), "x-storage-url")?;
    session(response.headers(), "x-auth-token", &storage_url, None)
}

async fn version_2(cloud: &Cloud, config: &SwiftConfig) -> Result<Session, CloudError> {
    // Rackspace's keys have 32 digits; where the guess is wrong, the other kind is tried.
    let is_key = config.api_key.len() == 32;
    let answer = match tokens_2(cloud, config, is_key).await {
        Err(CloudError::Refused { .. }) => tokens_2(cloud, config, !is_key).await?,
        outcome => outcome?,
    };
    let access = answer.get("access").unwrap_or(&Value::Null);
    let catalog = access.get("serviceCatalog");
    let url = endpoint(catalog, |endpoint| endpoint.get("publicURL")?.as_str())?;
    let field = |name: &str| access.pointer(name).and_then(Value::as_str);
    let token = HeaderValue::from_str(field("/token/id").unwrap_or_default());
    let headers = token
        .map(|token| HeaderMap::from_iter([(AUTH_TOKEN, token)]))
        .map_err(|_| CloudError::Answer("invalid token".to_owned()))?;
    session(&headers, "x-auth-token", &url, field("/token/expires"))
}

async fn tokens_2(cloud: &Cloud, config: &SwiftConfig, is_key: bool) -> Result<Value, CloudError> {
    let (kind, secret) = if is_key {
        ("RAX-KSKEY:apiKeyCredentials", "apiKey")
    } else {
        ("passwordCredentials", "password")
    };
    let mut auth = serde_json::Map::new();
    let credentials = json!({ "username": config.username, secret: config.api_key });
    auth.insert(kind.to_owned(), credentials);
    if let Some(tenant) = &config.tenant {
        auth.insert("tenantName".to_owned(), json!(tenant));
    }
    let response = post(cloud, &config.auth_url, "tokens", &json!({ "auth": auth })).await?;
    parsed(response).await
}

async fn version_3(cloud: &Cloud, config: &SwiftConfig) -> Result<Session, CloudError> {
    let domain = json!({ "name": config.domain.as_deref().unwrap_or("Default") });
    let user = json!({
        "name": config.username,
        "password": config.api_key,
        "domain": domain,
    });
    let mut auth = serde_json::Map::new();
    let identity = json!({ "methods": ["password"], "password": { "user": user } });
    auth.insert("identity".to_owned(), identity);
    if let Some(tenant) = &config.tenant {
        let project = json!({ "project": { "name": tenant, "domain": domain } });
        auth.insert("scope".to_owned(), project);
    }
    let asked = json!({ "auth": auth });
    let response = post(cloud, &config.auth_url, "auth/tokens", &asked).await?;
    let headers = response.headers().clone();
    let answer = parsed(response).await?;
    let token = answer.get("token").unwrap_or(&Value::Null);
    let url = endpoint(token.get("catalog"), |endpoint| {
        let is_public = endpoint.get("interface")?.as_str()? == "public";
        is_public.then(|| endpoint.get("url")?.as_str())?
    })?;
    let expires = token.get("expires_at").and_then(Value::as_str);
    session(&headers, "x-subject-token", &url, expires)
}

async fn post(
    cloud: &Cloud,
    base: &str,
    path: &str,
    body: &Value,
) -> Result<Response<Body>, CloudError> {
    let uri = format!("{}/{path}", base.trim_end_matches('/'));
    let (parts, ()) = Request::post(uri)
        .header(CONTENT_TYPE, "application/json")
        .body(())
        .map_err(|_| CloudError::Request("invalid login address"))?
        .into_parts();
    accepted(cloud.send(parts, Bytes::from(body.to_string())).await?)
}

fn accepted(response: Response<Body>) -> Result<Response<Body>, CloudError> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let reason = status.canonical_reason().unwrap_or_default();
    Err(CloudError::Refused {
        status: status.as_u16(),
        detail: reason.to_owned(),
    })
}

async fn parsed(response: Response<Body>) -> Result<Value, CloudError> {
    let body = whole(response.into_body()).await?;
    // The parser's own message could repeat parts of a token.
    serde_json::from_slice(&body).map_err(|_| CloudError::Answer("it is not JSON".to_owned()))
}

/// The first endpoint of the object store in a catalogue for which `url` gives anything.
fn endpoint<'a>(
    catalog: Option<&'a Value>,
    url: impl Fn(&'a Value) -> Option<&'a str>,
) -> Result<String, CloudError> {
    let services = catalog.and_then(Value::as_array).into_iter().flatten();
    services
        .filter(|service| service.get("type").and_then(Value::as_str) == Some("object-store"))
        .filter_map(|service| service.get("endpoints")?.as_array())
        .flatten()
        .find_map(url)
        .map(str::to_owned)
        .ok_or_else(|| CloudError::Answer("the catalogue has no object store".to_owned()))
}

fn session(
    headers: &HeaderMap,
    token: &str,
    storage_url: &str,
    expires: Option<&str>,
) -> Result<Session, CloudError> {
    let missing = || CloudError::Answer(format!("{token} is missing"));
    let mut token = headers.get(token).cloned().ok_or_else(missing)?;
    if token.is_empty() {
        return Err(missing());
    }
    token.set_sensitive(true);
    Ok(Session {
        token,
        storage_url: storage_url.trim_end_matches('/').to_owned(),
        expires: expires.and_then(|text| crate::config::datetime::parse(text).ok()),
    })
}

fn text(headers: &HeaderMap, name: &str) -> Result<String, CloudError> {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned)
        .ok_or_else(|| CloudError::Answer(format!("{name} is missing")))
}

const AUTH_TOKEN: http::HeaderName = http::HeaderName::from_static("x-auth-token");
