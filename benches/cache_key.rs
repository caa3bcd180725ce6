//! Digest of a request, and a look-up in a filled cache: what every hit costs besides parsing.

#![expect(clippy::unwrap_used, reason = "a benchmark stops at the first mistake")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use imgforge::cache::{CacheKey, KeyParts, ResultCache, Weighted};
use imgforge::config::Config;
use imgforge::options::{ClientFeatures, Parser};

#[derive(Clone)]
struct Stored(u64);

impl Weighted for Stored {
    fn weight(&self) -> u64 {
        self.0
    }
}

fn key(options: &str, source_url: &str) -> CacheKey {
    CacheKey::new(&KeyParts {
        options,
        source_url,
        features: "",
        forwarded: "",
        conditions: "",
        environment: "",
    })
}

fn cache_key(c: &mut Criterion) {
    let config = Config::from_pairs(&[
        ("IMGFORGE_CACHE_TYPE", "memory"),
        ("IMGFORGE_CACHE_MEMORY_CAPACITY", "100000000"),
    ])
    .unwrap();
    let parser = Parser::new(&config.url, 0).unwrap();
    let path = "rs:fill:300:200/g:sm/q:80/plain/http://example.com/images/a.jpg@webp";
    let request = parser.parse(path, &ClientFeatures::default(), 0).unwrap();
    let form = request.options.cache_form();

    c.bench_function("key of a canonical form", |b| {
        b.iter(|| key(black_box(&form), black_box(&request.source_url)));
    });
    c.bench_function("canonical form and key", |b| {
        b.iter(|| {
            key(
                &black_box(&request.options).cache_form(),
                &request.source_url,
            )
        });
    });

    let cache = ResultCache::new(&config.cache);
    let mut keys = Vec::new();
    for n in 0..1000 {
        let key = key(&form, &format!("http://example.com/{n}.jpg"));
        keys.push(key);
        block_on(async {
            match cache.get_or_lead(key).await {
                imgforge::cache::Lookup::Lead(guard) => guard.complete(Stored(10_000)),
                _ => panic!("a key was there already"),
            }
        });
    }
    let mut next = 0;
    c.bench_function("hit among 1000 results", |b| {
        b.iter(|| {
            next = (next + 1) % keys.len();
            cache.get(keys.get(next).unwrap()).unwrap().0
        });
    });
}

fn block_on(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future);
}

criterion_group!(benches, cache_key);
criterion_main!(benches);
