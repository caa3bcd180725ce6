//! Parsing options and writing their canonical form.

#![expect(clippy::unwrap_used, reason = "a benchmark stops at the first mistake")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use imgforge::config::{Config, UrlConfig};
use imgforge::options::{ClientFeatures, Parser};

const NOW: i64 = 1_700_000_000;

fn config() -> UrlConfig {
    UrlConfig {
        allowed_sources: vec!["http://example.com/".to_owned()],
        presets: vec![
            "thumb=rs:fill:60:40/g:no".to_owned(),
            "nest=pr:thumb/bl:1".to_owned(),
        ],
        ..Config::from_pairs(&[]).unwrap().url
    }
}

fn options(c: &mut Criterion) {
    let parser = Parser::new(&config(), NOW).unwrap();
    let features = ClientFeatures::default();
    for (name, path) in [
        ("no options", "plain/http://example.com/a.jpg"),
        (
            "typical",
            "rs:fill:300:200/g:sm/q:80/plain/http://example.com/a.jpg@webp",
        ),
        (
            "nested preset",
            "pr:nest/w:30/plain/http://example.com/a.jpg",
        ),
        (
            "many",
            "rs:fill:300:200:1:1:so:1:2/c:0.5:300:nowe:10:10/t:10:fff:1:1/pd:1:2:3:4/bg:f80/bl:0.5/sh:0.7/wm:0.5:soea:10:10:0.2\
             /q:80/fq:jpg:70:webp:75/sm:1/kcr:1/cb:v2/exp:1800000000/fn:name/att:1/plain/http://example.com/a.jpg@avif",
        ),
    ] {
        c.bench_function(&format!("parse, {name}"), |b| {
            b.iter(|| parser.parse(black_box(path), &features, NOW).unwrap());
        });
        let request = parser.parse(path, &features, NOW).unwrap();
        c.bench_function(&format!("cache form, {name}"), |b| {
            b.iter(|| black_box(&request.options).cache_form());
        });
    }
}

criterion_group!(benches, options);
criterion_main!(benches);
