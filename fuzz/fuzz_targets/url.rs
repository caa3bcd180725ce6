//! Targets of requests: split, signature, options, presets, source.

#![no_main]

use std::sync::LazyLock;

use imgforge::config::{Config, UrlConfig};
use imgforge::options::{ClientFeatures, Parser};
use imgforge::url::path;
use imgforge::url::signature::Verifier;
use libfuzzer_sys::fuzz_target;

const NOW: i64 = 1_700_000_000;

static CONFIG: LazyLock<UrlConfig> = LazyLock::new(|| UrlConfig {
    presets: vec![
        "default=q:80/g:sm".to_owned(),
        "thumb=rs:fill:60:40/g:no".to_owned(),
        "nest=pr:thumb/bl:1".to_owned(),
    ],
    allow_security_options: true,
    allow_bypass_cache: true,
    ..Config::from_pairs(&[("IMGPROXY_KEY", "6b6579"), ("IMGPROXY_SALT", "73616c74")])
        .unwrap()
        .url
});
static VERIFIER: LazyLock<Verifier> = LazyLock::new(|| Verifier::new(&CONFIG));
static PARSER: LazyLock<Parser> = LazyLock::new(|| Parser::new(&CONFIG, NOW).unwrap());

fuzz_target!(|target: &str| {
    let Ok(split) = path::split(target) else {
        return;
    };
    let path = split.path.clone().into_owned();
    assert!(VERIFIER.verify(split).is_err(), "nobody knows the key");
    let features = ClientFeatures::default();
    let Ok(request) = PARSER.parse(&path, &features, NOW) else {
        return;
    };
    assert_eq!(PARSER.parse(&path, &features, NOW).unwrap(), request);
    let _ = request.options.cache_form();
});
