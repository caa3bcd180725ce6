//! Object storages as sources. Rule: `spec/configuration.md` section 3.3.

mod rows;

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::draft::Draft;
use super::env::Env;
use super::errors::ConfigError;

pub(super) use self::rows::VARS;

/// `spec/sources.md` sections 5 to 8. A storage that is `None` is off.
#[derive(Clone, Debug, Default)]
pub struct StorageConfig {
    /// `USE_S3`.
    pub s3: S3Config,
    /// `USE_GCS`.
    pub gcs: GcsConfig,
    /// `USE_ABS`.
    pub abs: AbsConfig,
    /// `USE_SWIFT`.
    pub swift: SwiftConfig,
    /// What the clouds' own variables said at the start; empty where no storage is on.
    pub environment: Environment,
}

/// Names and values of the environment, which hold secrets of others.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment(pub BTreeMap<String, String>);

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Environment(..)")
    }
}

/// Which buckets may be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Buckets {
    /// Only these; empty is all.
    pub allowed: Vec<String>,
    /// Never these, even where they are allowed.
    pub denied: Vec<String>,
}

impl Buckets {
    /// Whether `bucket` may be read.
    pub fn permit(&self, bucket: &str) -> bool {
        let listed = |list: &[String]| list.iter().any(|name| name == bucket);
        (self.allowed.is_empty() || listed(&self.allowed)) && !listed(&self.denied)
    }
}

/// Amazon S3 and what speaks its protocol.
#[derive(Clone, Debug, Default)]
pub struct S3Config {
    /// `USE_S3`.
    pub enabled: bool,
    /// `S3_REGION`.
    pub region: Option<String>,
    /// `S3_ENDPOINT` with a scheme.
    pub endpoint: Option<String>,
    /// `S3_ENDPOINT_USE_PATH_STYLE`.
    pub path_style: bool,
    /// `S3_USE_DECRYPTION_CLIENT`: every object is one of the S3 Encryption Client.
    pub decrypt: bool,
    /// `S3_ASSUME_ROLE_ARN`.
    pub role_arn: Option<String>,
    /// `S3_ASSUME_ROLE_EXTERNAL_ID`.
    pub role_external_id: Option<String>,
    /// `S3_ALLOWED_BUCKETS`, `S3_DENIED_BUCKETS`.
    pub buckets: Buckets,
    /// `S3_ACCESS_POINTS`: names that stand for ARNs.
    pub access_points: Vec<(String, String)>,
}

/// Google Cloud Storage.
#[derive(Clone, Default)]
pub struct GcsConfig {
    /// `USE_GCS`.
    pub enabled: bool,
    /// `GCS_KEY`: JSON of a credential.
    pub key: Option<String>,
    /// `GCS_ENDPOINT`.
    pub endpoint: Option<String>,
    /// `GCS_ALLOWED_BUCKETS`, `GCS_DENIED_BUCKETS`.
    pub buckets: Buckets,
}

impl std::fmt::Debug for GcsConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GcsConfig")
            .field("enabled", &self.enabled)
            .field("endpoint", &self.endpoint)
            .field("buckets", &self.buckets)
            .finish_non_exhaustive()
    }
}

/// Azure Blob Storage.
#[derive(Clone, Default)]
pub struct AbsConfig {
    /// `USE_ABS`.
    pub enabled: bool,
    /// `ABS_NAME`: the account.
    pub name: String,
    /// `ABS_KEY`: its shared key in Base64.
    pub key: Option<String>,
    /// `ABS_ENDPOINT`.
    pub endpoint: Option<String>,
    /// `ABS_ALLOWED_BUCKETS`, `ABS_DENIED_BUCKETS`.
    pub buckets: Buckets,
}

impl std::fmt::Debug for AbsConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AbsConfig")
            .field("enabled", &self.enabled)
            .field("name", &self.name)
            .field("endpoint", &self.endpoint)
            .field("buckets", &self.buckets)
            .finish_non_exhaustive()
    }
}

/// OpenStack Swift.
#[derive(Clone, Default)]
pub struct SwiftConfig {
    /// `USE_SWIFT`.
    pub enabled: bool,
    /// `SWIFT_USERNAME`.
    pub username: String,
    /// `SWIFT_API_KEY`.
    pub api_key: String,
    /// `SWIFT_AUTH_URL`.
    pub auth_url: String,
    /// `SWIFT_AUTH_VERSION`: 1 to 3; 0 is by the URL.
    pub auth_version: i64,
    /// `SWIFT_DOMAIN`.
    pub domain: Option<String>,
    /// `SWIFT_TENANT`.
    pub tenant: Option<String>,
    /// `SWIFT_CONNECT_TIMEOUT_SECONDS`, up to the head of an answer; below zero only where Swift is off.
    pub connect_timeout: i64,
    /// `SWIFT_TIMEOUT_SECONDS`, between two parts of a body; below zero only where Swift is off.
    pub timeout: i64,
    /// `SWIFT_ALLOWED_BUCKETS`, `SWIFT_DENIED_BUCKETS`.
    pub buckets: Buckets,
}

impl SwiftConfig {
    /// How long the head of an answer may take.
    pub fn head_limit(&self) -> Duration {
        Duration::from_secs(u64::try_from(self.connect_timeout).unwrap_or(0))
    }

    /// How long a body may pause.
    pub fn pause_limit(&self) -> Duration {
        Duration::from_secs(u64::try_from(self.timeout).unwrap_or(0))
    }
}

impl std::fmt::Debug for SwiftConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SwiftConfig")
            .field("enabled", &self.enabled)
            .field("username", &self.username)
            .field("auth_url", &self.auth_url)
            .field("auth_version", &self.auth_version)
            .field("buckets", &self.buckets)
            .finish_non_exhaustive()
    }
}

/// Checks that hold only for storages that are on, and the variables of the clouds for those.
pub(super) fn complete(draft: &mut Draft, env: &dyn Env) {
    let storage = &mut draft.config.source.storage;
    let mut mistakes = Vec::new();
    if storage.s3.enabled {
        for (name, arn) in &storage.s3.access_points {
            if arn.is_empty() {
                mistakes.push((
                    "S3_ACCESS_POINTS",
                    format!("access point {name:?} ARN is empty"),
                ));
            } else if access_point(arn).is_none() {
                let text = format!(
                    "access point {name:?}: not the ARN of an access point with a region; \
                     multi-region access points are not supported"
                );
                mistakes.push(("S3_ACCESS_POINTS", text));
            }
        }
    }
    if storage.abs.enabled {
        if storage.abs.name.is_empty() {
            mistakes.push(("ABS_NAME", "cannot be empty".to_owned()));
        }
        if let Some(key) = &storage.abs.key
            && STANDARD.decode(key).is_err()
        {
            mistakes.push(("ABS_KEY", "not Base64".to_owned()));
        }
        if let Some(endpoint) = &storage.abs.endpoint
            && ::url::Url::parse(endpoint).map_or(true, |url| !url.has_host())
        {
            mistakes.push(("ABS_ENDPOINT", "not a URL".to_owned()));
        }
    }
    if storage.swift.enabled {
        if !(0..=3).contains(&storage.swift.auth_version) {
            mistakes.push(("SWIFT_AUTH_VERSION", "must be between 0 and 3".to_owned()));
        }
        for (name, seconds) in [
            (
                "SWIFT_CONNECT_TIMEOUT_SECONDS",
                storage.swift.connect_timeout,
            ),
            ("SWIFT_TIMEOUT_SECONDS", storage.swift.timeout),
        ] {
            if seconds < 0 {
                mistakes.push((name, "cannot be negative".to_owned()));
            }
        }
    }
    let any =
        storage.s3.enabled || storage.gcs.enabled || storage.abs.enabled || storage.swift.enabled;
    if any {
        let names = env.names().into_iter();
        storage.environment.0 = names
            .filter_map(|name| Some((name.clone(), env.get(&name)?)))
            .collect();
    }
    let errors = mistakes.into_iter().map(|(name, reason)| {
        ConfigError::Together(format!("invalid IMGPROXY_{name} value: {reason}"))
    });
    draft.errors.extend(errors);
}

/// Region, account and name of a regional access point's ARN.
pub fn access_point(arn: &str) -> Option<(&str, &str, &str)> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let ["arn", partition, "s3", region, account, resource] = parts[..] else {
        return None;
    };
    let name = resource
        .strip_prefix("accesspoint")
        .and_then(|rest| rest.strip_prefix(['/', ':']))?;
    let is_label = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    (partition.starts_with("aws") && is_label(region) && is_label(account) && is_label(name))
        .then_some((region, account, name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn denied_buckets_win() {
        let list = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
        for (allowed, denied, expected) in [
            (&[][..], &[][..], true),
            (&["b"][..], &[][..], true),
            (&["B", "bb"][..], &[][..], false),
            (&["b"][..], &["b"][..], false),
            (&[][..], &["b"][..], false),
            (&[][..], &["c"][..], true),
        ] {
            let buckets = Buckets {
                allowed: list(allowed),
                denied: list(denied),
            };
            assert_eq!(buckets.permit("b"), expected, "{buckets:?}");
        }
    }

    #[test]
    fn access_points() {
        let arn = "arn:aws:s3:us-west-2:123456789012:accesspoint/mine";
        assert_eq!(
            access_point(arn),
            Some(("us-west-2", "123456789012", "mine"))
        );
        for bad in [
            "",
            "mine",
            "arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap",
            "arn:aws:s3:us-west-2:123456789012:bucket/mine",
            "arn:aws:s3:us-west-2:123456789012:accesspoint/",
            "arn:aws:s3:evil.test/:123456789012:accesspoint/mine",
        ] {
            assert_eq!(access_point(bad), None, "{bad}");
        }
    }

    #[test]
    fn checks_wait_for_the_switch() {
        for (switch, name, value, text) in [
            (
                "USE_S3",
                "S3_ACCESS_POINTS",
                "a=",
                "access point \"a\" ARN is empty",
            ),
            (
                "USE_S3",
                "S3_ACCESS_POINTS",
                "a=arn:aws:s3::1:accesspoint/x.mrap",
                "multi-region",
            ),
            ("USE_ABS", "ABS_KEY", "no base64!", "IMGPROXY_ABS_KEY"),
            (
                "USE_ABS",
                "ABS_ENDPOINT",
                "http://%zz",
                "IMGPROXY_ABS_ENDPOINT",
            ),
            (
                "USE_ABS",
                "ABS_NAME",
                " ",
                "IMGPROXY_ABS_NAME value: cannot be empty",
            ),
            (
                "USE_SWIFT",
                "SWIFT_AUTH_VERSION",
                "4",
                "IMGPROXY_SWIFT_AUTH_VERSION",
            ),
            (
                "USE_SWIFT",
                "SWIFT_TIMEOUT_SECONDS",
                "-1",
                "cannot be negative",
            ),
        ] {
            let name = format!("IMGPROXY_{name}");
            let switch = format!("IMGPROXY_{switch}");
            let off = Config::from_pairs(&[(&name, value)]);
            assert!(off.is_ok(), "{name}: {off:?}");
            let on = Config::from_pairs(&[(&switch, "true"), (&name, value)]);
            let error = on.unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        }
    }

    #[test]
    fn older_names() {
        let config = Config::from_pairs(&[
            ("IMGPROXY_SWIFT_TIMEOUT_SECONDS", "7"),
            ("IMGPROXY_S3_DECRYPTION_CLIENT_ENABLED", "true"),
            ("IMGPROXY_S3_ENDPOINT", "minio:9000"),
            ("IMGPROXY_S3_ACCESS_POINTS", " a=b ;; c=d=e "),
            ("IMGPROXY_GCS_DENIED_BUCKETS", "x, y"),
        ]);
        let storage = config.unwrap().source.storage;
        assert_eq!(storage.swift.pause_limit(), Duration::from_secs(7));
        assert_eq!(storage.swift.head_limit(), Duration::from_secs(10));
        assert!(storage.s3.decrypt && storage.s3.path_style);
        assert_eq!(storage.s3.endpoint.as_deref(), Some("http://minio:9000"));
        let pairs = [("a", "b"), ("c", "d=e")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(storage.s3.access_points, pairs);
        assert_eq!(storage.gcs.buckets.denied, ["x", "y"]);
        assert!(storage.environment.0.is_empty());
    }
}
