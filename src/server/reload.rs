//! What SIGHUP replaces while the server runs: everything that decides whether a URL is accepted, and the tokens.
//!
//! Both are built and checked before either is replaced. Requests that have begun keep what they began with.

use std::collections::BTreeSet;
use std::sync::Arc;

use thiserror::Error;
use tokio::task::JoinHandle;

use super::Running;
use crate::config::{Config, ConfigErrors, Env, Given, Warning, vars};
use crate::http::{Redaction, Secrets};
use crate::live::Live;
use crate::monitoring;
use crate::options::PresetError;
use crate::service::rules::Rules;

/// Why the old configuration stays.
#[derive(Debug, Error)]
pub enum ReloadError {
    /// It would not have started the server.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// A preset is wrong.
    #[error(transparent)]
    Preset(#[from] PresetError),
    /// Half a file looks like a file in which a protection was taken out: that takes a restart.
    #[error("would switch off what {0} protects; only a restart does that")]
    Weaker(String),
}

/// The places that hold what can be replaced, and what the server was started with.
#[derive(Debug)]
pub(super) struct Reloader {
    pub(super) rules: Live<Rules>,
    pub(super) secrets: Live<Secrets>,
    pub(super) redaction: Live<Redaction>,
    given: Given,
    protections: BTreeSet<&'static str>,
}

impl Reloader {
    /// # Errors
    /// A preset is wrong.
    pub(super) fn new(config: &Config) -> Result<Self, PresetError> {
        Ok(Self {
            rules: Live::new(Rules::new(&config.url)?),
            secrets: Live::new(Secrets::new(&config.server)),
            redaction: Live::new(redaction(config, config.logging.redact_signature)),
            given: config.given.clone(),
            protections: protections(config),
        })
    }

    /// Replaces both, or neither. Names the variables that have changed and that only a restart reads.
    pub(super) fn reload(&mut self, config: &Config) -> Result<Vec<String>, ReloadError> {
        let protections = protections(config);
        let lost: Vec<_> = self.protections.difference(&protections).copied().collect();
        if !lost.is_empty() {
            return Err(ReloadError::Weaker(lost.join(", ")));
        }
        let rules = Rules::new(&config.url)?;
        self.rules.set(rules);
        self.secrets.set(Secrets::new(&config.server));
        let hide_from_log = self.redaction.get().hide_from_log;
        self.redaction.set(redaction(config, hide_from_log));
        self.protections = protections;
        let ignored = vars().filter(|var| !var.reloaded && self.given.differs(&config.given, var));
        Ok(ignored.map(|var| var.documented_name()).collect())
    }
}

/// Keys may come with a reload, and then there are signatures to hide.
fn redaction(config: &Config, hide_from_log: bool) -> Redaction {
    Redaction {
        signatures_are_checked: !config.url.keys.is_empty(),
        hide_from_log,
        arguments_separator: config.url.arguments_separator.clone(),
    }
}

/// Readings of the environment that SIGHUP has asked for. They may take a while, where it comes from elsewhere, so they
/// happen beside the server and one at a time.
pub(super) struct Reloads {
    env: Arc<dyn Env + Send + Sync>,
    running: Option<JoinHandle<Loaded>>,
    again: bool,
}

/// A configuration with its warnings, or what is wrong with it.
pub(super) type Loaded = Result<(Config, Vec<Warning>), ConfigErrors>;

impl Reloads {
    pub(super) fn new(env: Arc<dyn Env + Send + Sync>) -> Self {
        Self {
            env,
            running: None,
            again: false,
        }
    }

    /// Starts a reading, or another one behind the one that runs.
    pub(super) fn ask(&mut self) {
        if self.running.is_some() {
            self.again = true;
            return;
        }
        let env = Arc::clone(&self.env);
        self.running = Some(tokio::task::spawn_blocking(move || Config::load(&*env)));
    }

    /// The next reading that ends; waits for ever where none runs.
    pub(super) async fn loaded(&mut self) -> Loaded {
        loop {
            let Some(running) = &mut self.running else {
                return std::future::pending().await;
            };
            let ended = running.await;
            self.running = None;
            if std::mem::take(&mut self.again) {
                self.ask();
            }
            match ended {
                Ok(loaded) => return loaded,
                Err(error) => tracing::error!(%error, "reading the configuration"),
            }
        }
    }
}

/// Puts a reading to use, and says in log and metrics what came of it.
pub(super) fn apply(running: &mut Running, loaded: Loaded) {
    let result = loaded
        .map_err(ReloadError::from)
        .and_then(|(config, warnings)| {
            let ignored = running.reload(&config)?;
            Ok((ignored, warnings))
        });
    monitoring::reloaded(result.is_ok());
    match result {
        Ok((ignored, warnings)) => {
            for warning in warnings {
                tracing::warn!("{warning}");
            }
            for name in ignored {
                tracing::warn!("{name} has changed, which takes effect at the next start");
            }
            tracing::info!("the configuration was reloaded");
        }
        Err(ReloadError::Config(errors)) => {
            for error in errors.0 {
                tracing::error!("{error}");
            }
            tracing::error!("{KEPT}");
        }
        Err(error) => tracing::error!(%error, "{KEPT}"),
    }
}

const KEPT: &str = "the configuration was not reloaded, the old one stays in use";

/// The variables that protect something and are set.
fn protections(config: &Config) -> BTreeSet<&'static str> {
    let url = &config.url;
    let tokens = !config.server.secret.is_empty() || !config.server.secrets.is_empty();
    [
        ("IMGPROXY_KEY", !url.keys.is_empty()),
        (
            "IMGFORGE_ALLOW_UNSIGNED=false",
            !url.keys.is_empty() && !url.allows_unsigned(),
        ),
        ("IMGPROXY_SECRET", tokens),
        ("IMGPROXY_ALLOWED_SOURCES", !url.allowed_sources.is_empty()),
        (
            "IMGPROXY_ALLOWED_PROCESSING_OPTIONS",
            !url.allowed_processing_options.is_empty(),
        ),
        ("IMGPROXY_ONLY_PRESETS", url.only_presets),
    ]
    .into_iter()
    .filter_map(|(name, is_set)| is_set.then_some(name))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pairs: &[(&str, &str)]) -> Config {
        Config::from_pairs(pairs).unwrap()
    }

    #[test]
    fn protections_can_be_changed_and_not_be_lost() {
        let all = [
            ("IMGPROXY_KEY", "00,01"),
            ("IMGPROXY_SALT", "00,01"),
            ("IMGPROXY_SECRET", "a"),
            ("IMGPROXY_ALLOWED_SOURCES", "http://a/"),
            ("IMGPROXY_ALLOWED_PROCESSING_OPTIONS", "w"),
            ("IMGPROXY_ONLY_PRESETS", "true"),
        ];
        let other = [
            ("IMGPROXY_KEY", "02"),
            ("IMGPROXY_SALT", "03"),
            ("IMGFORGE_SECRETS", "b,c"),
            ("IMGPROXY_ALLOWED_SOURCES", "http://b/"),
            ("IMGPROXY_ALLOWED_PROCESSING_OPTIONS", "h,w"),
            ("IMGPROXY_ONLY_PRESETS", "true"),
        ];
        let mut reloader = Reloader::new(&config(&all)).unwrap();
        assert!(reloader.reload(&config(&other)).unwrap().is_empty());
        for name in [
            "IMGPROXY_KEY",
            "IMGFORGE_SECRETS",
            "IMGPROXY_ALLOWED_SOURCES",
        ] {
            let less: Vec<_> = other
                .into_iter()
                .filter(|(n, _)| *n != name && !(name == "IMGPROXY_KEY" && *n == "IMGPROXY_SALT"))
                .collect();
            let error = reloader.reload(&config(&less)).unwrap_err().to_string();
            let shown = name.replace("IMGFORGE_SECRETS", "IMGPROXY_SECRET");
            assert!(error.contains(&shown), "{name}: {error}");
        }
        let mut unsigned = other.to_vec();
        unsigned.push(("IMGFORGE_ALLOW_UNSIGNED", "true"));
        let error = reloader.reload(&config(&unsigned)).unwrap_err().to_string();
        assert!(error.contains("IMGFORGE_ALLOW_UNSIGNED"), "{error}");
        let error = reloader.reload(&config(&[])).unwrap_err().to_string();
        assert!(error.contains("IMGPROXY_ONLY_PRESETS"), "{error}");
    }

    #[test]
    fn what_only_a_restart_reads_is_named() {
        let mut reloader = Reloader::new(&config(&[("IMGPROXY_TTL", "5")])).unwrap();
        let changed = config(&[
            ("IMGPROXY_TTL", "6"),
            ("IMGPROXY_QUALITY", "70"),
            ("IMGPROXY_PRESETS", "a=w:1"),
        ]);
        let names = reloader.reload(&changed).unwrap();
        assert_eq!(names, ["IMGPROXY_QUALITY", "IMGPROXY_TTL"]);
        let bad = config(&[("IMGPROXY_TTL", "5"), ("IMGPROXY_PRESETS", "a=nothing:1")]);
        assert!(matches!(reloader.reload(&bad), Err(ReloadError::Preset(_))));
    }

    #[test]
    fn signatures_that_come_with_a_reload_are_hidden() {
        let mut reloader = Reloader::new(&config(&[])).unwrap();
        let place = reloader.redaction.clone();
        assert!(!place.get().signatures_are_checked);
        let keys = [("IMGPROXY_KEY", "00"), ("IMGPROXY_SALT", "00")];
        reloader.reload(&config(&keys)).unwrap();
        assert!(place.get().signatures_are_checked && place.get().hide_from_log);
    }
}
