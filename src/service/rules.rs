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

    /// Verifies the target, unless it has satisfied these rules before.
    pub(super) fn verify<'a>(
        &self,
        target: &'a str,
        features: &ClientFeatures,
    ) -> Result<Verified<'a>, Error> {
        if let Some(understood) = self.known.recall(target, features) {
            return Ok(Verified::Known(understood));
        }
        let path = self.verifier.verify(path::split(target)?)?;
        Ok(Verified::Path(path))
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

    /// What a verified target asks for.
    pub(super) fn parse(
        &self,
        verified: Verified<'_>,
        features: &ClientFeatures,
    ) -> Result<Arc<Understood>, Error> {
        let path = match verified {
            Verified::Known(understood) => return Ok(understood),
            Verified::Path(path) => path,
        };
        let parsed = self.parser.parse(&path, features, now_unix())?;
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

/// A target whose signature is right.
pub(super) enum Verified<'a> {
    /// It has been parsed before.
    Known(Arc<Understood>),
    /// The part that is left to parse.
    Path(Cow<'a, str>),
}

fn now_unix() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
