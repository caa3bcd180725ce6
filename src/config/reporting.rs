//! Error reporting: which errors, and to which services.

use ::url::{ParseError, Url};

use super::types::format::{BOOL, INT, STRING};
use super::types::{boolean, integer};
use super::var::{Alias, Invalid, Scope, Var};

/// `spec/configuration.md` section 3.7.
#[derive(Clone, Debug, Default)]
pub struct ReportingConfig {
    /// `REPORT_DOWNLOADING_ERRORS`: also report sources that cannot be had.
    pub downloading_errors: bool,
    /// `REPORT_IO_ERRORS`: also report responses that could not be written.
    pub io_errors: bool,
    /// Sentry, where `SENTRY_DSN` is set.
    pub sentry: SentryConfig,
    /// Honeybadger, where `HONEYBADGER_KEY` is set.
    pub honeybadger: KeyedConfig,
    /// Bugsnag, where `BUGSNAG_KEY` is set.
    pub bugsnag: KeyedConfig,
    /// Airbrake, where `AIRBRAKE_PROJECT_KEY` is set.
    pub airbrake: KeyedConfig,
    /// `AIRBRAKE_PROJECT_ID`.
    pub airbrake_project: i64,
}

/// Sentry's settings.
#[derive(Clone, Debug, Default)]
pub struct SentryConfig {
    /// `SENTRY_DSN`; `None` is off.
    pub dsn: Option<SentryDsn>,
    /// `SENTRY_ENVIRONMENT`.
    pub environment: String,
    /// `SENTRY_RELEASE`.
    pub release: String,
}

/// A service that knows its customers by a key.
#[derive(Clone, Default)]
pub struct KeyedConfig {
    /// The key; empty is off.
    pub key: String,
    /// Environment or stage.
    pub environment: String,
    /// Base URL of the service; `None` only before the tables were read.
    pub endpoint: Option<Url>,
}

impl std::fmt::Debug for KeyedConfig {
    // Not derived: it would show the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyedConfig")
            .field("is_on", &!self.key.is_empty())
            .field("environment", &self.environment)
            .field("endpoint", &self.endpoint.as_ref().map(Url::as_str))
            .finish()
    }
}

/// Where Sentry is, and as who to report.
#[derive(Clone, PartialEq, Eq)]
pub struct SentryDsn {
    /// Where envelopes go.
    pub envelope_url: Url,
    /// The user name of the DSN.
    pub public_key: String,
    /// The password of the DSN, which old servers want.
    pub secret_key: Option<String>,
}

impl std::fmt::Debug for SentryDsn {
    // Not derived: it would show the keys.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SentryDsn({})", self.envelope_url)
    }
}

pub(super) const VARS: &[Var] = &[
    Var::new(
        "REPORT_DOWNLOADING_ERRORS",
        "true",
        BOOL,
        "Report sources that cannot be had, beside errors of the server and broken images.",
        |d, v| boolean(v).map(|b| d.config.reporting.downloading_errors = b),
    ),
    Var::new(
        "REPORT_IO_ERRORS",
        "false",
        BOOL,
        "Report responses that could not be written to their end, mostly because the client has gone.",
        |d, v| boolean(v).map(|b| d.config.reporting.io_errors = b),
    ),
    Var::new(
        "SENTRY_DSN",
        "",
        "http(s)://public_key@host/project_id",
        "Data source name of a Sentry project; reports errors there.",
        |d, v| dsn(v).map(|dsn| d.config.reporting.sentry.dsn = Some(dsn)),
    )
    .secret(),
    Var::new(
        "SENTRY_ENVIRONMENT",
        "production",
        STRING,
        "Environment named in reports to Sentry.",
        |d, v| {
            d.config.reporting.sentry.environment = v.to_owned();
            Ok(())
        },
    ),
    Var::new(
        "SENTRY_RELEASE",
        concat!("imgforge@", env!("CARGO_PKG_VERSION")),
        STRING,
        "Release named in reports to Sentry.",
        |d, v| {
            d.config.reporting.sentry.release = v.to_owned();
            Ok(())
        },
    ),
    Var::new(
        "HONEYBADGER_KEY",
        "",
        STRING,
        "API key of a Honeybadger project; reports errors there.",
        |d, v| {
            d.config.reporting.honeybadger.key = v.to_owned();
            Ok(())
        },
    )
    .secret(),
    Var::new(
        "HONEYBADGER_ENV",
        "production",
        STRING,
        "Environment named in reports to Honeybadger.",
        |d, v| {
            d.config.reporting.honeybadger.environment = v.to_owned();
            Ok(())
        },
    ),
    Var::new(
        "HONEYBADGER_ENDPOINT",
        "https://api.honeybadger.io",
        ENDPOINT,
        "Base URL of Honeybadger, for the EU region or a proxy.",
        |d, v| endpoint(v).map(|url| d.config.reporting.honeybadger.endpoint = Some(url)),
    )
    .scope(Scope::Own),
    Var::new(
        "BUGSNAG_KEY",
        "",
        STRING,
        "API key of a Bugsnag project; reports errors there.",
        |d, v| {
            d.config.reporting.bugsnag.key = v.to_owned();
            Ok(())
        },
    )
    .secret(),
    Var::new(
        "BUGSNAG_STAGE",
        "production",
        STRING,
        "Release stage named in reports to Bugsnag.",
        |d, v| {
            d.config.reporting.bugsnag.environment = v.to_owned();
            Ok(())
        },
    ),
    Var::new(
        "BUGSNAG_ENDPOINT",
        "https://notify.bugsnag.com",
        ENDPOINT,
        "URL of Bugsnag's notifier, for Bugsnag On-premise or a proxy.",
        |d, v| endpoint(v).map(|url| d.config.reporting.bugsnag.endpoint = Some(url)),
    )
    .scope(Scope::Own),
    Var::new(
        "AIRBRAKE_PROJECT_ID",
        "0",
        INT,
        "Number of an Airbrake project.",
        |d, v| integer(v).map(|n| d.config.reporting.airbrake_project = n),
    ),
    Var::new(
        "AIRBRAKE_PROJECT_KEY",
        "",
        STRING,
        "API key of an Airbrake project; reports errors there.",
        |d, v| {
            d.config.reporting.airbrake.key = v.to_owned();
            Ok(())
        },
    )
    .secret(),
    Var::new(
        "AIRBRAKE_ENVIRONMENT",
        "production",
        STRING,
        "Environment named in reports to Airbrake.",
        |d, v| {
            d.config.reporting.airbrake.environment = v.to_owned();
            Ok(())
        },
    )
    .aliases(&[Alias::synonym("AIRBRAKE_ENV")]),
    Var::new(
        "AIRBRAKE_ENDPOINT",
        "https://api.airbrake.io",
        ENDPOINT,
        "Base URL of Airbrake, for Errbit or a proxy.",
        |d, v| endpoint(v).map(|url| d.config.reporting.airbrake.endpoint = Some(url)),
    )
    .scope(Scope::Own),
];

/// The base URL of a service; paths are put behind it.
fn endpoint(text: &str) -> Result<Url, Invalid> {
    let url = Url::parse(text).map_err(|error| Invalid::parse(error.to_string()))?;
    if !is_web(&url) || url.query().is_some() || url.fragment().is_some() {
        return Err(Invalid::parse("not an http or https URL without a query"));
    }
    Ok(url)
}

/// A data source name, with the words that imgproxy has for its mistakes.
fn dsn(text: &str) -> Result<SentryDsn, Invalid> {
    parse_dsn(text).map_err(|reason| Invalid::value(format!("[Sentry] DsnParseError: {reason}")))
}

fn parse_dsn(text: &str) -> Result<SentryDsn, String> {
    let url = Url::parse(text).map_err(|error| match error {
        ParseError::RelativeUrlWithoutBase => "invalid scheme".to_owned(),
        ParseError::EmptyHost => "empty host".to_owned(),
        ParseError::InvalidPort => "invalid port".to_owned(),
        other => format!("invalid url: {other}"),
    })?;
    if !escapes_are_valid(text) {
        return Err("invalid url: invalid escape".to_owned());
    }
    if !is_web(&url) {
        return Err("invalid scheme".to_owned());
    }
    if url.username().is_empty() {
        return Err("empty username".to_owned());
    }
    let (path, project) = url.path().rsplit_once('/').unwrap_or_default();
    if project.is_empty() {
        return Err("empty project id".to_owned());
    }
    let mut envelope_url = url.clone();
    envelope_url.set_path(&format!("{path}/api/{project}/envelope/"));
    envelope_url.set_query(None);
    envelope_url.set_fragment(None);
    // Fails for URLs without a host only, which these are not.
    let _ = envelope_url.set_username("");
    let _ = envelope_url.set_password(None);
    Ok(SentryDsn {
        envelope_url,
        public_key: url.username().to_owned(),
        secret_key: url.password().map(str::to_owned),
    })
}

fn is_web(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
}

fn escapes_are_valid(text: &str) -> bool {
    text.split('%').skip(1).all(|after| {
        let mut digits = after.bytes().take(2);
        let mut is_digit = || digits.next().is_some_and(|b| b.is_ascii_hexdigit());
        is_digit() && is_digit()
    })
}

const ENDPOINT: &str = "http(s)://host";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_source_names() {
        let url = |text| parse_dsn(text).map(|dsn| dsn.envelope_url.to_string());
        for (text, expected) in [
            (
                "https://k@o1.ingest.sentry.io/42",
                "https://o1.ingest.sentry.io/api/42/envelope/",
            ),
            (
                "http://k:s@127.0.0.1:9000/1",
                "http://127.0.0.1:9000/api/1/envelope/",
            ),
            ("https://k@h/a/b/7?x#y", "https://h/a/b/api/7/envelope/"),
        ] {
            assert_eq!(url(text).as_deref(), Ok(expected), "{text}");
        }
        for (text, reason) in [
            ("rubbish", "invalid scheme"),
            ("ftp://k@127.0.0.1/1", "invalid scheme"),
            ("http://127.0.0.1/1", "empty username"),
            ("http://:s@127.0.0.1/1", "empty username"),
            ("http://k@127.0.0.1", "empty project id"),
            ("http://k@127.0.0.1/", "empty project id"),
            ("http://k@127.0.0.1/a/", "empty project id"),
            ("http://k@127.0.0.1/x y%zz", "invalid url: invalid escape"),
            ("http://k@:80/1", "empty host"),
            ("http://k@h:99999/1", "invalid port"),
        ] {
            assert_eq!(url(text).unwrap_err(), reason, "{text}");
        }
        let dsn = parse_dsn("http://pub:sec@h/1").unwrap();
        assert_eq!(
            (dsn.public_key.as_str(), dsn.secret_key.as_deref()),
            ("pub", Some("sec"))
        );
        assert!(!format!("{dsn:?}").contains("sec"), "{dsn:?}");
    }

    #[test]
    fn endpoints() {
        for text in ["https://h", "http://h:1/base/"] {
            assert!(endpoint(text).is_ok(), "{text}");
        }
        for text in ["h", "ftp://h", "https://h/?a", "https://h/#a"] {
            assert!(endpoint(text).is_err(), "{text}");
        }
    }
}
