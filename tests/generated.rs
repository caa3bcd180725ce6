//! The generated files in the repository are what the program generates, their links lead somewhere, and what they give
//! as an example works.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use imgforge::config::Config;
use imgforge::decode::{self, LoadOptions};
use imgforge::docgen;
use imgforge::encode;
use imgforge::format::ImageFormat;
use imgforge::options::table::{Definition, Description};
use imgforge::options::{ClientFeatures, Parser};
use imgforge::processing::{Job, Processed, Settings, process};
use imgforge::source::SourceImage;
use imgforge::vips::{self, Cancel, Vector, VipsSettings};

#[test]
fn files_are_current() {
    for document in docgen::documents() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(document.path);
        let current = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            !current.is_empty() && current == document.apply(&current),
            "{} is not current, run `cargo run -- docs`",
            document.path
        );
    }
}

#[test]
fn links_between_documents_resolve() {
    let documents = docgen::documents();
    for document in &documents {
        for target in document
            .text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            if target.contains("://") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let folder = Path::new(document.path).parent().unwrap();
            let text = if file.is_empty() {
                document.text.clone()
            } else {
                let path = Path::new(env!("CARGO_MANIFEST_DIR"))
                    .join(folder)
                    .join(file);
                std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
            };
            let has_anchor = anchor.is_empty()
                || text.contains(&format!("id=\"{anchor}\""))
                || text.lines().any(|line| {
                    line.starts_with('#')
                        && line
                            .trim_start_matches(['#', ' '])
                            .to_lowercase()
                            .replace(' ', "-")
                            == anchor
                });
            assert!(has_anchor, "{}: {target}", document.path);
        }
    }
}

/// Runs one URL option over a small JPEG that is also the watermark.
fn processed(example: &str) -> Processed {
    vips::init(&VipsSettings {
        vector: Vector::Auto,
        allowed_loaders: decode::OPERATIONS,
        leak_check: false,
        cache_trace: false,
    })
    .unwrap();
    let config = Config::from_pairs(&[]).unwrap();
    let parser = Parser::new(&config.url, 0).unwrap();
    let features = ClientFeatures::default();
    let path = format!("{example}/plain/local:///grid.jpg");
    let source = SourceImage {
        bytes: Bytes::from_static(include_bytes!("images/grid.jpg")),
        format: ImageFormat::Jpeg,
        headers: HeaderMap::new(),
    };
    let job = Job {
        source: source.clone(),
        options: parser.parse(&path, &features, 0).unwrap().options,
        features,
        settings: Arc::new(Settings {
            processing: config.processing.clone(),
            limits: config.limits.clone(),
            watermark_opacity: config.assets.watermark_opacity,
            savable: encode::savable().collect(),
        }),
        watermark: Some(source),
    };
    process(&job, &Cancel::new()).unwrap_or_else(|error| panic!("{example}: {error}"))
}

#[test]
fn every_example_about_the_picture_makes_a_picture() {
    let options = Definition::all()
        .filter(|definition| matches!(definition, Definition::Pipeline(_) | Definition::Output(_)));
    let mut count = 0;
    for Description { name, example, .. } in options.map(Definition::description) {
        let result = processed(example);
        let expected = match name {
            "format" => ImageFormat::Webp,
            _ => ImageFormat::Jpeg,
        };
        assert_eq!(result.format, expected, "{example}");
        let loader = decode::loader(expected).unwrap();
        let image = loader.load(&result.bytes, &LoadOptions::default()).unwrap();
        let image = image.copy_memory().unwrap();
        assert_eq!(
            i64::from(image.width()),
            result.result_size.width,
            "{example}"
        );
        assert_eq!(
            i64::from(image.height()),
            result.result_size.height,
            "{example}"
        );
        count += 1;
    }
    assert!(count > 30, "only {count} examples were tried");
}
