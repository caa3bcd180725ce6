//! Splitting, verifying and decoding of request targets.

#![expect(clippy::unwrap_used, reason = "a benchmark stops at the first mistake")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use imgforge::config::url::KeyPair;
use imgforge::config::{Config, UrlConfig};
use imgforge::url::path::split;
use imgforge::url::signature::{Verifier, sign};
use imgforge::url::source_url;

const PATH: &str = "/rs:fill:300:400:0/g:sm/plain/http://example.com/images/curiosity.jpg@png";
const CHUNKS: &[&str] = &[
    "aHR0cDovL2V4YW1w",
    "bGUuY29tL2ltYWdl",
    "cy9jdXJpb3NpdHku",
    "anBn.png",
];

fn config(pairs: usize) -> UrlConfig {
    let pair = KeyPair {
        key: b"secret".to_vec(),
        salt: b"hello".to_vec(),
    };
    let mut keys = vec![
        KeyPair {
            key: b"other".to_vec(),
            salt: b"pair".to_vec(),
        };
        pairs - 1
    ];
    keys.push(pair);
    UrlConfig {
        keys,
        ..Config::from_pairs(&[]).unwrap().url
    }
}

fn url(c: &mut Criterion) {
    let target = format!("/{}{PATH}", sign(b"secret", b"hello", PATH, 32));
    c.bench_function("split", |b| b.iter(|| split(black_box(&target)).unwrap()));
    for pairs in [1, 3] {
        let verifier = Verifier::new(&config(pairs));
        c.bench_function(&format!("verify, {pairs} key pairs"), |b| {
            b.iter(|| verifier.verify(split(black_box(&target)).unwrap()).unwrap());
        });
    }
    let plain = ["plain", "http:", "", "example.com", "a%20b.jpg@png"];
    c.bench_function("decode plain", |b| {
        b.iter(|| source_url::decode(black_box(&plain), false).unwrap());
    });
    c.bench_function("decode base64", |b| {
        b.iter(|| source_url::decode(black_box(CHUNKS), false).unwrap());
    });
}

criterion_group!(benches, url);
criterion_main!(benches);
