//! What URLs turned out to ask for that were verified and parsed a moment ago: for a hit of the result cache that would
//! otherwise be most of the work. Only URLs that have hit are remembered.
//!
//! Owns which outcomes may be used again: never a refusal, and never one that depends on the time. It belongs to one set of
//! rules and goes with it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use quick_cache::sync::Cache;
use quick_cache::{Equivalent, Weighter};

use crate::cache::CacheKey;
use crate::options::{ClientFeatures, Delivery, ParsedRequest};

/// What a URL turned out to ask for, and texts that are made of it for each answer.
#[derive(Debug)]
pub struct Understood {
    pub(super) parsed: ParsedRequest,
    canonical: OnceLock<String>,
    key: OnceLock<CacheKey>,
    is_known: AtomicBool,
}

impl Understood {
    /// Wraps what was parsed.
    pub fn new(parsed: ParsedRequest) -> Self {
        Self {
            parsed,
            canonical: OnceLock::new(),
            key: OnceLock::new(),
            is_known: AtomicBool::new(false),
        }
    }

    /// The source URL after replacements and base URL.
    pub fn source_url(&self) -> &str {
        &self.parsed.source_url
    }

    /// Options that decide headers of the response.
    pub fn delivery(&self) -> &Delivery {
        &self.parsed.options.delivery
    }

    /// Canonical form of the options, for logs, traces and reports.
    pub fn canonical(&self) -> &str {
        self.canonical
            .get_or_init(|| self.parsed.options.to_string())
    }

    /// The key of the result, made by the first who asks for it. What it is made of besides the request is the same for
    /// all.
    pub(super) fn key(&self, make: impl FnOnce() -> CacheKey) -> CacheKey {
        *self.key.get_or_init(make)
    }
}

/// Requests by target and by what the `Accept` header contributes.
#[derive(Debug)]
pub(super) struct Known(Cache<Target, Arc<Understood>, Size>);

impl Known {
    pub(super) fn new() -> Self {
        Self(Cache::with_weighter(EXPECTED, CAPACITY, Size))
    }

    /// What was learnt of a target. Only what was verified is known.
    pub(super) fn recall(
        &self,
        target: &str,
        features: &ClientFeatures,
    ) -> Option<Arc<Understood>> {
        let formats = formats(features)?;
        self.0.get(&Asked { formats, target })
    }

    /// Keeps what a verified target asks for, unless that may be another thing later.
    pub(super) fn learn(
        &self,
        target: &str,
        features: &ClientFeatures,
        understood: &Arc<Understood>,
    ) {
        let never_expires = understood.parsed.options.delivery.expires.is_none();
        if let Some(formats) = formats(features)
            && never_expires
            && target.len() <= LONGEST
            && !understood.is_known.swap(true, Ordering::Relaxed)
        {
            let target = target.into();
            self.0
                .insert(Target { formats, target }, Arc::clone(understood));
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Target {
    formats: u8,
    target: Box<str>,
}

/// A [`Target`] that is asked for; hashes as that does.
#[derive(Hash)]
struct Asked<'a> {
    formats: u8,
    target: &'a str,
}

impl Equivalent<Target> for Asked<'_> {
    fn equivalent(&self, key: &Target) -> bool {
        self.formats == key.formats && *self.target == *key.target
    }
}

/// `None` with client hints, which are defaults of options and have too many values.
fn formats(features: &ClientFeatures) -> Option<u8> {
    let ClientFeatures {
        webp,
        avif,
        jxl,
        dpr: None,
        width: None,
    } = features
    else {
        return None;
    };
    Some(u8::from(*webp) | u8::from(*avif) << 1 | u8::from(*jxl) << 2)
}

#[derive(Clone, Debug)]
struct Size;

impl Weighter<Target, Arc<Understood>> for Size {
    fn weight(&self, target: &Target, understood: &Arc<Understood>) -> u64 {
        let texts = target.target.len() + understood.parsed.source_url.len();
        // The canonical form is about as long as the options in the target.
        (2 * texts + size_of::<Understood>()) as u64
    }
}

/// Bytes of all requests together.
const CAPACITY: u64 = 4 << 20;
const EXPECTED: usize = 1024;
/// Bytes of a target; longer ones are rare.
const LONGEST: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::service::rules::Rules;

    static RULES: OnceLock<Rules> = OnceLock::new();

    fn understood(target: &str) -> Arc<Understood> {
        let rules = RULES.get_or_init(|| Rules::new(&Config::default().url).unwrap());
        Arc::new(Understood::new(rules.parse_unsigned(target).unwrap()))
    }

    #[test]
    fn only_the_same_request_is_recalled() {
        let known = Known::new();
        let (plain, webp) = (
            ClientFeatures::default(),
            ClientFeatures {
                webp: true,
                ..ClientFeatures::default()
            },
        );
        let hinted = ClientFeatures {
            width: Some(3),
            ..plain
        };
        let target = "/_/w:1/plain/http://a/b";
        known.learn(target, &plain, &understood(target));
        known.learn(target, &hinted, &understood(target));
        assert_eq!(known.recall(target, &plain).unwrap().canonical(), "width:1");
        for (other, features) in [
            (target, webp),
            (target, hinted),
            ("/_/w:1/plain/http://a/B", plain),
            ("/x/w:1/plain/http://a/b", plain),
            ("", plain),
        ] {
            assert!(
                known.recall(other, &features).is_none(),
                "{other} {features:?}"
            );
        }
    }

    #[test]
    fn what_may_expire_or_is_long_is_not_kept_and_the_rest_is_bounded() {
        let known = Known::new();
        let features = ClientFeatures::default();
        let long = format!("/_/plain/http://a/{}", "x".repeat(LONGEST));
        for target in [
            "/_/exp:4000000000/plain/http://a/b",
            "/_/exp:4000000000/exp:0/plain/http://a/b",
            &long,
        ] {
            known.learn(target, &features, &understood(target));
            assert!(known.recall(target, &features).is_none(), "{target}");
        }
        for number in 0..5000 {
            let target = format!("/_/plain/http://a/{number}");
            known.learn(&target, &features, &understood(&target));
        }
        assert!(known.0.weight() <= CAPACITY);
        assert!(known.0.len() > 500);
    }
}
