//! Properties of the whole path from a target to options, for inputs that nobody wrote by hand.

use std::sync::LazyLock;

use proptest::prelude::*;

use crate::config::UrlConfig;
use crate::geometry::GravityKind;
use crate::url::path::split;
use crate::url::signature::Verifier;

use super::tests::{NOW, config};
use super::{ClientFeatures, Options, Parser};

static PARSER: LazyLock<Parser> = LazyLock::new(|| {
    let config = UrlConfig {
        allow_security_options: true,
        allow_bypass_cache: true,
        presets: vec!["p=w:1/g:no:1:2".to_owned(), "q=pr:p/skp:png".to_owned()],
        ..config()
    };
    Parser::new(&config, NOW).unwrap()
});

fn parse(path: &str) -> Option<Options> {
    let request = PARSER.parse(path, &ClientFeatures::default(), NOW);
    request.ok().map(|request| request.options)
}

/// The same options with what has no effect set to its default; that is what the canonical form keeps.
fn effective(mut options: Options) -> Options {
    let pipeline = &mut options.pipeline;
    let gravities = [
        &mut pipeline.gravity,
        &mut pipeline.extend.gravity,
        &mut pipeline.extend_aspect_ratio.gravity,
    ];
    for gravity in gravities {
        gravity.kind = gravity.kind.or(Some(GravityKind::Center));
    }
    for extend in [&mut pipeline.extend, &mut pipeline.extend_aspect_ratio] {
        if !extend.enabled {
            *extend = Default::default();
        }
    }
    if pipeline.trim.threshold.is_none() {
        pipeline.trim = Default::default();
    }
    if pipeline.watermark.opacity == 0.0 {
        pipeline.watermark = Default::default();
    }
    let padding = &mut pipeline.padding;
    let sides = [
        &mut padding.top,
        &mut padding.right,
        &mut padding.bottom,
        &mut padding.left,
    ];
    for side in sides {
        *side = side.or(Some(0));
    }
    pipeline.pixelate = pipeline.pixelate.max(1);
    let output = &mut options.output;
    output.format_quality.retain(|_, quality| *quality != 0);
    output.skip_processing.sort();
    output.skip_processing.dedup();
    options.delivery.used_presets.clear();
    options
}

/// A name of the grammar with arguments that are often right.
fn segment() -> impl Strategy<Value = String> {
    let names = super::table::Definition::all()
        .flat_map(|definition| {
            let description = definition.description();
            [description.name]
                .into_iter()
                .chain(description.aliases.iter().copied())
        })
        .collect::<Vec<_>>();
    let argument = prop::sample::select(vec![
        "", "0", "1", "t", "fit", "fill", "no", "sm", "fp", "re", "soea", "jpg", "png", "fff", "p",
        "q", "YQ", "90", "-90",
    ])
    .prop_map(str::to_owned);
    let number = prop_oneof![
        (0i64..400).prop_map(|n| n.to_string()),
        any::<i64>().prop_map(|n| n.to_string()),
        (-1.5f64..1.5).prop_map(|x| x.to_string()),
        any::<f64>().prop_map(|x| format!("{x:e}")),
    ];
    let argument = prop_oneof![3 => argument, 2 => number];
    let arguments = prop_oneof![
        3 => prop::collection::vec(argument.clone(), 1),
        2 => prop::collection::vec(argument, 2..6),
    ];
    (prop::sample::select(names), arguments)
        .prop_map(|(name, arguments)| format!("{name}:{}", arguments.join(":")))
}

/// Segments that parse by themselves.
fn segments() -> impl Strategy<Value = Vec<String>> {
    let accepted = |segment: &String| parse(&format!("{segment}/plain/x")).is_some();
    prop::collection::vec(segment(), 0..40)
        .prop_map(move |segments| segments.into_iter().filter(accepted).collect())
}

/// Segments of which no two act on the same value.
fn independent() -> impl Strategy<Value = Vec<String>> {
    let size = 1u16..500;
    (
        (size.clone(), size.clone(), size),
        (0.1f64..9.0, 0.1f64..9.0, 0u8..100),
    )
        .prop_map(|((w, h, pad), (dpr, blur, q))| {
            vec![
                format!("w:{w}"),
                format!("h:{h}"),
                format!("pd:{pad}"),
                format!("dpr:{dpr}"),
                format!("bl:{blur}"),
                format!("q:{q}"),
                "g:no".to_owned(),
                "rt:fill".to_owned(),
                format!("skp:{}", if w > h { "png" } else { "gif" }),
                "f:webp".to_owned(),
                format!("cb:{w}"),
                format!("fq:avif:{q}"),
                format!("msr:{dpr}"),
            ]
        })
        .prop_shuffle()
}

proptest! {
    #[test]
    fn nothing_panics(target in prop_oneof![
        any::<String>(),
        any::<Vec<u8>>().prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
        "/u(/(w|g|fp|pr|fq|t|bg|plain|enc|http:|%3A|%|[:/.@=-]|[0-9]{1,3}|[a-zA-Z]|é){1,8}){1,6}",
    ]) {
        let config = config();
        if let Ok(split) = split(&target)
            && let Ok(path) = Verifier::new(&config).verify(split)
        {
            parse(&path);
        }
        parse(&target);
    }

    #[test]
    fn the_canonical_form_reads_back(segments in segments()) {
        let options = parse(&format!("{}/plain/x", segments.join("/")))
            .or_else(|| parse("plain/x"))
            .unwrap();
        let text = options.to_string();
        let again = parse(&format!("{text}/plain/x"));
        prop_assert!(again.is_some(), "{}", text);
        let again = again.unwrap();
        prop_assert_eq!(again.to_string(), text);
        prop_assert_eq!(effective(again), effective(options));
    }

    #[test]
    fn the_canonical_form_ignores_order(segments in independent()) {
        let mut sorted = segments.clone();
        sorted.sort();
        let canonical = |s: &[String]| parse(&format!("{}/plain/x", s.join("/"))).unwrap().to_string();
        prop_assert_eq!(canonical(&segments), canonical(&sorted));
    }
}
