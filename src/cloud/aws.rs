//! Amazon Web Services: settings of the shared configuration files, credentials, signature version 4.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request};
use ini::Ini;
use reqsign_aws_v4::{
    AssumeRoleCredentialProvider, Credential, DefaultCredentialProvider, RequestSigner,
};
use reqsign_core::Signer;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Cloud, CloudError, credentials_error, whole};

/// The settings that all services of AWS share.
#[derive(Clone, Debug)]
pub struct Aws {
    cloud: Cloud,
    region: Option<String>,
}

/// A role to take on top of the found credentials.
#[derive(Clone, Debug)]
pub struct Role {
    /// Its ARN.
    pub arn: String,
    /// The external id that the role's owner asks for.
    pub external_id: Option<String>,
}

/// Signs requests for one service, and finds the credentials again before they expire.
pub type AwsSigner = Signer<Credential>;

impl Aws {
    /// Reads the region and the profile of the shared configuration files.
    ///
    /// # Errors
    ///
    /// `AWS_PROFILE` names a profile that no file has, or a file cannot be parsed.
    pub fn new(cloud: Cloud) -> Result<Self, CloudError> {
        let named = cloud.var("AWS_PROFILE");
        let profile = named.unwrap_or("default");
        let config = read_ini(&cloud, "AWS_CONFIG_FILE", "config")?;
        let credentials = read_ini(&cloud, "AWS_SHARED_CREDENTIALS_FILE", "credentials")?;
        let section = config.as_ref().and_then(|ini| {
            ini.section(Some(format!("profile {profile}")))
                .or_else(|| ini.section(Some(profile)).filter(|_| profile == "default"))
        });
        let has_credentials = credentials
            .as_ref()
            .is_some_and(|ini| ini.section(Some(profile)).is_some());
        if let Some(name) = named
            && section.is_none()
            && !has_credentials
        {
            return Err(CloudError::Settings(format!(
                "failed to get shared config profile, {name}"
            )));
        }
        let region = cloud
            .var("AWS_REGION")
            .or_else(|| cloud.var("AWS_DEFAULT_REGION"))
            .or_else(|| section.and_then(|section| section.get("region")))
            .map(str::to_owned);
        Ok(Self { cloud, region })
    }

    /// The region that a service is asked in: `wanted`, else the environment's, else the profile's, else `us-west-1`.
    pub fn region(&self, wanted: Option<&str>) -> String {
        wanted
            .or(self.region.as_deref())
            .unwrap_or(LAST_REGION)
            .to_owned()
    }

    /// The endpoint that the environment names for a service, such as `SECRETS_MANAGER`.
    pub fn endpoint(&self, service: &str) -> Option<&str> {
        let ignored = self
            .cloud
            .var("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")
            .is_some_and(|value| value.eq_ignore_ascii_case("true"));
        if ignored {
            return None;
        }
        self.cloud
            .var(&format!("AWS_ENDPOINT_URL_{service}"))
            .or_else(|| self.cloud.var("AWS_ENDPOINT_URL"))
    }

    /// Signs for `service` (its name in signatures) in `region`.
    pub fn signer(&self, service: &str, region: &str, role: Option<&Role>) -> AwsSigner {
        let sign = RequestSigner::new(service, region);
        let context = self.sts(region).context();
        let chain = DefaultCredentialProvider::new();
        let Some(role) = role else {
            return Signer::new(context, chain, sign);
        };
        let own = Signer::new(context.clone(), chain, RequestSigner::new("sts", region));
        let mut assumed = AssumeRoleCredentialProvider::new(role.arn.clone(), own)
            .with_role_session_name(SESSION.to_owned())
            .with_region(region.to_owned())
            .with_regional_sts_endpoint();
        if let Some(id) = &role.external_id {
            assumed = assumed.with_external_id(id.clone());
        }
        Signer::new(context, assumed, sign)
    }

    /// The cloud underneath.
    pub fn cloud(&self) -> &Cloud {
        &self.cloud
    }

    /// The same with the token service where the environment says it is.
    fn sts(&self, region: &str) -> Cloud {
        let cloud = self.cloud.clone();
        match self.endpoint("STS") {
            Some(instead) => cloud
                .with_origin("https://sts.amazonaws.com", instead)
                .with_origin(
                    &format!("https://sts.{region}.{}", dns_suffix(region)),
                    instead,
                ),
            None => cloud,
        }
    }

    /// A service that talks JSON. `service` is its name in signatures and addresses, `variable` that in variables.
    pub fn json_api(
        &self,
        service: &str,
        variable: &str,
        region: &str,
        role: Option<&Role>,
    ) -> JsonApi {
        let endpoint = self.endpoint(variable).map_or_else(
            || format!("https://{service}.{region}.{}", dns_suffix(region)),
            |endpoint| endpoint.trim_end_matches('/').to_owned(),
        );
        JsonApi {
            cloud: self.cloud.clone(),
            signer: self.signer(service, region, role),
            endpoint,
        }
    }
}

/// One service that takes and gives JSON.
#[derive(Clone, Debug)]
pub struct JsonApi {
    cloud: Cloud,
    signer: AwsSigner,
    endpoint: String,
}

impl JsonApi {
    /// Calls the operation `target`. Failures that may pass are tried again, three times in all.
    ///
    /// # Errors
    ///
    /// No credentials, no answer, or a refusal.
    pub async fn call(&self, target: &str, body: &Value) -> Result<Value, CloudError> {
        let body = Bytes::from(body.to_string());
        let mut pause = FIRST_PAUSE;
        for _ in 1..ATTEMPTS {
            match self.call_once(target, body.clone()).await {
                Err(error) if is_passing(&error) => {}
                outcome => return outcome,
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        self.call_once(target, body).await
    }

    async fn call_once(&self, target: &str, body: Bytes) -> Result<Value, CloudError> {
        let digest = hex(&Sha256::digest(&body));
        let (mut parts, ()) = Request::builder()
            .method(Method::POST)
            .uri(format!("{}/", self.endpoint))
            .header(CONTENT_TYPE, "application/x-amz-json-1.1")
            .header("x-amz-target", target)
            .header("x-amz-content-sha256", digest)
            .body(())
            .map_err(|_| CloudError::Request("invalid endpoint"))?
            .into_parts();
        sign(&self.signer, &mut parts).await?;
        let response = self.cloud.send(parts, body).await?;
        let status = response.status();
        let text = whole(response.into_body()).await?;
        if !status.is_success() {
            return Err(CloudError::Refused {
                status: status.as_u16(),
                detail: json_error(&text),
            });
        }
        serde_json::from_slice(&text).map_err(|error| CloudError::Answer(error.to_string()))
    }
}

/// Signs `parts` with the header `Authorization`.
///
/// # Errors
///
/// No credentials could be found.
pub async fn sign(signer: &AwsSigner, parts: &mut http::request::Parts) -> Result<(), CloudError> {
    signer
        .sign(parts, None)
        .await
        .map_err(|error| credentials_error(&error))
}

/// The domain of a region's services.
pub fn dns_suffix(region: &str) -> &'static str {
    let partitions = [
        ("cn-", "amazonaws.com.cn"),
        ("eusc-", "amazonaws.eu"),
        ("us-isob-", "sc2s.sgov.gov"),
        ("us-iso-", "c2s.ic.gov"),
    ];
    partitions
        .iter()
        .find(|(prefix, _)| region.starts_with(prefix))
        .map_or("amazonaws.com", |(_, suffix)| suffix)
}

/// A header value for a signed request.
///
/// # Errors
///
/// Bytes that a header cannot hold.
pub fn header_value(text: &str) -> Result<HeaderValue, CloudError> {
    HeaderValue::from_str(text).map_err(|_| CloudError::Request("invalid header value"))
}

/// One of the shared configuration files; a missing one is none.
fn read_ini(cloud: &Cloud, variable: &str, name: &str) -> Result<Option<Ini>, CloudError> {
    let home = || cloud.var("HOME").map(PathBuf::from);
    let path = match cloud.var(variable) {
        Some(path) => match (path.strip_prefix("~/"), home()) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => PathBuf::from(path),
        },
        None => match home() {
            Some(home) => home.join(".aws").join(name),
            None => return Ok(None),
        },
    };
    match Ini::load_from_file(&path) {
        Ok(ini) => Ok(Some(ini)),
        Err(ini::Error::Io(_)) => Ok(None),
        Err(error) => Err(CloudError::Settings(format!("{}: {error}", path.display()))),
    }
}

/// Whether another attempt may help.
fn is_passing(error: &CloudError) -> bool {
    match error {
        CloudError::Unreachable(_) => true,
        CloudError::Refused { status, detail } => {
            *status >= 500 || *status == 429 || detail.contains("Throttling")
        }
        _ => false,
    }
}

/// `Code: message` of an error body.
fn json_error(body: &[u8]) -> String {
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    let field = |names: &[&str]| {
        let found = names.iter().find_map(|name| value.get(name)?.as_str());
        found.unwrap_or_default().to_owned()
    };
    let code = field(&["__type", "code", "Code"]);
    // The code may stand behind a namespace.
    let code = code.rsplit('#').next().unwrap_or_default();
    format!("{code}: {}", field(&["message", "Message"]))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        text.push_str(&format!("{byte:02x}"));
        text
    })
}

/// Where neither variable nor profile names a region.
const LAST_REGION: &str = "us-west-1";
/// Name of the sessions of assumed roles.
const SESSION: &str = "imgforge";
const ATTEMPTS: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(200);
