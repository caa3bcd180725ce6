//! What a URL has to satisfy: its signature, its options and presets, its source. Replaced as a whole on a reload.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::known::{Known, Understood};
use crate::config::UrlConfig;
use crate::error::Error;
use crate::options::{ClientFeatures, ParsedRequest, Parser, PresetError};
use crate::url::path;
use crate::url::signature::Verifier;

/// The rules of one configuration.
#[derive(Debug)]
pub struct Rules {
    verifier: Verifier,
    parser: Parser,
    known: Known,
}

impl Rules {
    /// Reads the configuration and tries every preset once.
    ///
    /// # Errors
    /// The first preset that is malformed or that would fail in every request.
    pub fn new(config: &UrlConfig) -> Result<Self, PresetError> {
        Ok(Self {
            verifier: Verifier::new(config),
            parser: Parser::new(config, now_unix())?,
            known: Known::new(),
        })
    }

    /// Splits the target and verifies it; gives the part that is left to parse.
    pub(super) fn verify<'a>(&self, target: &'a str) -> Result<Cow<'a, str>, Error> {
        Ok(self.verifier.verify(path::split(target)?)?)
    }

    /// What a target asks for that has satisfied these rules before.
    pub(super) fn recall(
        &self,
        target: &str,
        features: &ClientFeatures,
    ) -> Option<Arc<Understood>> {
        self.known.recall(target, features)
    }

    /// Remembers what a target asks for. It must have been verified and parsed by these same rules.
    pub(super) fn learn(
        &self,
        target: &str,
        features: &ClientFeatures,
        understood: &Arc<Understood>,
    ) {
        self.known.learn(target, features, understood);
    }

    /// What a verified path asks for.
    pub(super) fn parse(
        &self,
        path: &str,
        features: &ClientFeatures,
    ) -> Result<Arc<Understood>, Error> {
        let parsed = self.parser.parse(path, features, now_unix())?;
        Ok(Arc::new(Understood::new(parsed)))
    }

    /// What a target asks for, whoever has signed it, whenever it expires and whatever the client's headers say.
    pub(super) fn parse_unsigned(&self, target: &str) -> Result<ParsedRequest, Error> {
        let path = path::split(target)?.path;
        // At the beginning of time no URL has expired.
        self.parser
            .parse(&path, &ClientFeatures::default(), i64::MIN)
    }

    /// Whether a source URL, such as one that a redirect leads to, is among the allowed sources.
    pub fn allows_source(&self, url: &str) -> bool {
        self.parser.allows_source(url)
    }
}

fn now_unix() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
