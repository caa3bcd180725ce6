//! Digest of a request, and a look-up in a filled cache: what every hit costs besides parsing.

#![expect(clippy::unwrap_used, reason = "a benchmark stops at the first mistake")]

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use imgforge::cache::{
    CacheKey, Cached, Freshness, Kept, KeyParts, Lifetime, RESULTS, Store, Tags,
};
use imgforge::config::Config;
use imgforge::options::{ClientFeatures, Parser};

#[derive(Clone)]
struct Stored(Bytes);

impl Cached for Stored {
    fn weight(&self) -> u64 {
        self.0.len() as u64
    }

    fn body(&self) -> &Bytes {
        &self.0
    }

    fn describe(&self) -> Vec<u8> {
        Vec::new()
    }

    fn restore(_: &[u8], body: Bytes) -> Option<Self> {
        Some(Self(body))
    }
}

fn key(options: &str, source_url: &str) -> CacheKey {
    CacheKey::new(&KeyParts {
        options,
        source_url,
        features: "",
        forwarded: b"",
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

    let cache = Store::open(&config.cache.results, RESULTS);
    let mut keys = Vec::new();
    for n in 0..1000 {
        let source = format!("http://example.com/{n}.jpg");
        let key = key(&form, &source);
        keys.push(key);
        let kept = Kept {
            value: Stored(Bytes::from(vec![0; 10_000])),
            lifetime: Lifetime::new(Freshness::default()),
            tags: Tags {
                source: source.into(),
                variant_of: key,
            },
        };
        cache.put(key, kept, cache.epoch());
    }
    let mut next = 0;
    c.bench_function("hit among 1000 results", |b| {
        b.iter(|| {
            next = (next + 1) % keys.len();
            cache.peek(keys.get(next).unwrap()).unwrap().value.0.len()
        });
    });
}

criterion_group!(benches, cache_key);
criterion_main!(benches);
