//! Region, endpoint and credentials as the tools of AWS find them: the environment, the shared files, the services of the
//! machine.

use std::collections::HashMap;

use bytes::Bytes;
use http::{Request, Response};
use reqsign_aws_v4::{Credential, DefaultCredentialProvider, RequestSigner};
use reqsign_core::{Context, Error, FileRead, HttpSend, StaticEnv};

/// Signs requests, and finds the credentials again before they expire.
pub(super) type Signer = reqsign_core::Signer<Credential>;

/// What the environment and the shared configuration file say.
#[derive(Debug)]
pub(super) struct Settings {
    environment: HashMap<String, String>,
    /// `region` of the profile.
    region: Option<String>,
}

impl Settings {
    /// Reads the profile that `AWS_PROFILE` names; one that is named has to be there.
    pub(super) fn new(environment: HashMap<String, String>) -> Result<Self, String> {
        let mut settings = Self {
            environment,
            region: None,
        };
        let named = settings.var("AWS_PROFILE");
        let profile = named.unwrap_or("default");
        let config = settings.file("AWS_CONFIG_FILE", "config");
        let credentials = settings.file("AWS_SHARED_CREDENTIALS_FILE", "credentials");
        let section = section(&config, &format!("profile {profile}"))
            .or_else(|| section(&config, profile).filter(|_| profile == "default"));
        if let Some(name) = named
            && section.is_none()
            && self::section(&credentials, name).is_none()
        {
            return Err(format!("failed to get shared config profile, {name}"));
        }
        settings.region = section.and_then(|section| section.get("region").cloned());
        Ok(settings)
    }

    /// `wanted`, else that of the environment, else that of the profile, else `us-west-1`.
    pub(super) fn region(&self, wanted: &str) -> String {
        Some(wanted)
            .filter(|region| !region.is_empty())
            .or_else(|| self.var("AWS_REGION"))
            .or_else(|| self.var("AWS_DEFAULT_REGION"))
            .or(self.region.as_deref())
            .unwrap_or("us-west-1")
            .to_owned()
    }

    /// Where CloudWatch is; the environment may name another place.
    pub(super) fn endpoint(&self, region: &str) -> String {
        let named = self
            .var("AWS_ENDPOINT_URL_CLOUDWATCH")
            .or_else(|| self.var("AWS_ENDPOINT_URL"));
        let suffix = if region.starts_with("cn-") {
            "amazonaws.com.cn"
        } else {
            "amazonaws.com"
        };
        named.map_or_else(
            || format!("https://monitoring.{region}.{suffix}"),
            |endpoint| endpoint.trim_end_matches('/').to_owned(),
        )
    }

    /// Signs for CloudWatch in `region`; credentials are first looked for when they are first needed.
    pub(super) fn signer(&self, region: &str, client: reqwest::Client) -> Signer {
        let context = Context::new()
            .with_env(StaticEnv {
                home_dir: self.var("HOME").map(Into::into),
                envs: self.environment.clone(),
            })
            .with_file_read(Files)
            .with_http_send(Http(client));
        let sign = RequestSigner::new("monitoring", region);
        Signer::new(context, DefaultCredentialProvider::new(), sign)
    }

    fn var(&self, name: &str) -> Option<&str> {
        let value = self.environment.get(name).map(String::as_str);
        value.filter(|value| !value.is_empty())
    }

    /// One of the shared files; a missing one is empty.
    fn file(&self, variable: &str, name: &str) -> String {
        let home = self.var("HOME").unwrap_or_default();
        let path = match self.var(variable) {
            Some(path) => path.to_owned(),
            None => format!("{home}/.aws/{name}"),
        };
        std::fs::read_to_string(path).unwrap_or_default()
    }
}

/// The pairs below `[name]`; `None` where there is no such heading.
fn section(file: &str, name: &str) -> Option<HashMap<String, String>> {
    let heading = |line: &str| {
        let inner = line.strip_prefix('[')?.split(']').next()?;
        Some(inner.split_whitespace().collect::<Vec<_>>().join(" "))
    };
    let mut lines = file.lines().map(str::trim);
    lines.find(|line| heading(line).as_deref() == Some(name))?;
    let pairs = lines
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split_once('='));
    let pairs = pairs.map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()));
    Some(pairs.collect())
}

/// Credential files.
#[derive(Clone, Copy, Debug)]
struct Files;

impl FileRead for Files {
    async fn file_read(&self, path: &str) -> reqsign_core::Result<Vec<u8>> {
        let read = tokio::fs::read(path).await;
        read.map_err(|error| Error::unexpected("cannot read a credential file").with_source(error))
    }
}

/// The services that give out credentials.
#[derive(Clone, Debug)]
struct Http(reqwest::Client);

impl HttpSend for Http {
    async fn http_send(&self, request: Request<Bytes>) -> reqsign_core::Result<Response<Bytes>> {
        let failed = |error: reqwest::Error| Error::unexpected("no answer").with_source(error);
        let (head, body) = request.into_parts();
        let request = self
            .0
            .request(head.method, head.uri.to_string())
            .headers(head.headers)
            .body(body);
        let answer = request.send().await.map_err(failed)?;
        let status = answer.status();
        let mut response = Response::new(answer.bytes().await.map_err(failed)?);
        *response.status_mut() = status;
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Result<Settings, String> {
        let pairs = pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        Settings::new(pairs.collect())
    }

    #[test]
    fn regions_and_endpoints() {
        let none = settings(&[]).unwrap();
        assert_eq!(none.region(""), "us-west-1");
        assert_eq!(
            none.endpoint("eu-west-1"),
            "https://monitoring.eu-west-1.amazonaws.com"
        );
        let some = settings(&[
            ("AWS_REGION", "eu-west-3"),
            ("AWS_ENDPOINT_URL", "http://a/"),
        ])
        .unwrap();
        assert_eq!(
            (some.region(""), some.region("x")),
            ("eu-west-3".to_owned(), "x".to_owned())
        );
        assert_eq!(some.endpoint("x"), "http://a");
    }

    #[test]
    fn profiles() {
        let path = std::env::temp_dir().join(format!("imgforge-aws-{}", std::process::id()));
        std::fs::write(&path, "[default]\nregion = a\n[profile own]\nregion=b\n").unwrap();
        let file = path.to_string_lossy().into_owned();
        let with = |profile| {
            let pairs = [("AWS_CONFIG_FILE", file.as_str()), ("AWS_PROFILE", profile)];
            settings(&pairs).map(|s| s.region(""))
        };
        assert_eq!(with(""), Ok("a".to_owned()));
        assert_eq!(with("own"), Ok("b".to_owned()));
        assert!(with("none").unwrap_err().contains("none"));
        std::fs::remove_file(path).unwrap();
    }
}
