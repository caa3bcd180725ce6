//! The rules of `spec/url.md` and `spec/options.md`, as tables.

use crate::config::{Config, UrlConfig};
use crate::error::Error;
use crate::format::ImageFormat;
use crate::url::path::split;
use crate::url::signature::Verifier;

use super::table::Definition;
use super::{ClientFeatures, Options, ParsedRequest, Parser};

pub(super) const NOW: i64 = 1_700_000_000;

pub(super) fn config() -> UrlConfig {
    Config::from_pairs(&[]).unwrap().url
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn with_presets(presets: &[&str]) -> UrlConfig {
    UrlConfig {
        presets: texts(presets),
        ..config()
    }
}

/// The whole way of a target: split, verify, parse.
fn request(config: &UrlConfig, target: &str) -> Result<ParsedRequest, Error> {
    let path = Verifier::new(config).verify(split(target)?)?;
    let parser = Parser::new(config, NOW).unwrap();
    parser.parse(&path, &ClientFeatures::default(), NOW)
}

fn message(result: Result<ParsedRequest, Error>) -> (u16, String) {
    let error = result.expect_err("the target is refused");
    (error.outcome().status, error.detail().to_owned())
}

/// The lines of a table, cut into columns at `|`.
fn rows<const N: usize>(table: &str) -> impl Iterator<Item = [&str; N]> {
    table.trim().lines().map(|line| {
        let mut columns = line.split('|').map(str::trim);
        let row = std::array::from_fn(|_| columns.next().expect(line));
        assert!(columns.next().is_none(), "{line}");
        row
    })
}

/// Options of a URL, in canonical form; the security options are allowed.
fn canonical(options: &str) -> String {
    let config = UrlConfig {
        allow_security_options: true,
        ..config()
    };
    let target = format!("/unsafe/{options}/plain/x");
    match request(&config, &target) {
        Ok(request) => request.options.to_string(),
        Err(error) => panic!("{options}: {error}"),
    }
}

/// `spec/url.md` section 11: canonical options and source URL.
#[test]
fn worked_examples() {
    let comma = UrlConfig {
        arguments_separator: ",".to_owned(),
        ..config()
    };
    let dashes = UrlConfig {
        arguments_separator: "--".to_owned(),
        ..config()
    };
    let blank = UrlConfig {
        arguments_separator: " ".to_owned(),
        ..config()
    };
    let filename = UrlConfig {
        base64_url_includes_filename: true,
        ..config()
    };
    let presets = UrlConfig {
        only_presets: true,
        ..with_presets(&["a=w:1", "b=h:2"])
    };
    let plain = config();
    for (config, table) in [
        (&plain, WORKED_PLAIN),
        (&comma, WORKED_COMMA),
        (&dashes, WORKED_DASHES),
        (&blank, WORKED_BLANK),
        (&filename, WORKED_FILENAME),
        (&presets, WORKED_PRESETS),
    ] {
        for [target, options, url] in rows(table) {
            let request = request(config, target).unwrap_or_else(|e| panic!("{target}: {e}"));
            let seen = request.options.to_string();
            assert_eq!((&*seen, &*request.source_url), (options, url), "{target}");
        }
    }
}

/// `spec/url.md` section 12, the rows that reach this layer, and the recordings of `arguments-dev`.
#[test]
fn malformed_urls() {
    let plain = config();
    let presets = UrlConfig {
        only_presets: true,
        ..with_presets(&["a=w:1"])
    };
    let allowed = UrlConfig {
        allowed_processing_options: texts(&["w", "zzz", "pr"]),
        presets: texts(&["p=bl:3"]),
        ..config()
    };
    let sources = UrlConfig {
        allowed_sources: texts(&["https://x/"]),
        ..config()
    };
    for (config, table) in [
        (&plain, MALFORMED_PLAIN),
        (&presets, MALFORMED_PRESETS),
        (&allowed, MALFORMED_ALLOWED),
        (&sources, MALFORMED_SOURCES),
    ] {
        for [target, expected] in rows(table) {
            let (status, text) = message(request(config, target));
            assert_eq!((status, text.trim_end()), (404, expected), "{target}");
        }
    }
    for target in [
        "/unsafe/msr:1/plain/x",
        "/unsafe/maf:/plain/x",
        "/unsafe/mrd:a:b/plain/x",
    ] {
        let expected = "Security processing options are not allowed".to_owned();
        assert_eq!(
            message(request(&plain, target)),
            (403, expected),
            "{target}"
        );
    }
    let (status, text) = message(request(&plain, "/rs:fill:300:200/plain/http://a/b"));
    assert_eq!(status, 403);
    assert!(text.starts_with("The signature appears to be a processing option."));
    assert_eq!(
        request(&sources, "/unsafe/plain/http://x/")
            .unwrap_err()
            .outcome()
            .message,
        "Invalid source URL"
    );
    assert!(request(&sources, "/unsafe/plain/https://x/y").is_ok());
    assert!(request(&allowed, "/unsafe/w:1/pr:p/plain/x@png").is_ok());
    assert!(request(&plain, "/unsafe/exp:1700000000/plain/x").is_ok());
}

/// `spec/options.md` section 6.
#[test]
fn refused_arguments() {
    let config = UrlConfig {
        allow_security_options: true,
        ..config()
    };
    for [options, expected] in rows(REFUSED) {
        let target = format!("/unsafe/{options}/plain/x");
        let (status, text) = message(request(&config, &target));
        assert_eq!((status, text.trim_end()), (404, expected), "{options}");
    }
}

/// What is accepted, what it means, and what survives repetition (`spec/options.md` sections 1.4, 2 and 6).
#[test]
fn accepted_arguments() {
    for [options, expected] in rows(ACCEPTED) {
        assert_eq!(canonical(options), expected, "{options}");
    }
}

#[test]
fn values_are_typed() {
    let target =
        "/unsafe/pd:::7/pd:1:2/fq:jpg:0/skp:png:jpg/skp:png/fn:YS8vYg:1/att:0/cb:x/plain/x@avif";
    let options = request(&config(), target).unwrap().options;
    assert_eq!(options.pipeline.padding.bottom, Some(1));
    assert_eq!(options.output.format, Some(ImageFormat::Avif));
    assert_eq!(
        options.output.format_quality.get(&ImageFormat::Jpeg),
        Some(&0)
    );
    let skipped = [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Png];
    assert_eq!(options.output.skip_processing, skipped);
    assert_eq!(options.delivery.filename.as_deref(), Some("a//b"));
    assert_eq!(options.delivery.attachment, Some(false));
    assert_eq!(options.delivery.cachebuster.as_deref(), Some("x"));
}

#[test]
fn cache_form_leaves_headers_out() {
    let target = "/unsafe/w:1/exp:1800000000/fn:a/att:1/cb:x/raw:1/plain/x";
    let options = request(&config(), target).unwrap().options;
    assert_eq!(options.cache_form(), "width:1/raw:1/cachebuster:x");
    let whole = "width:1/raw:1/cachebuster:x/expires:1800000000/filename:YQ:1/return_attachment:1";
    assert_eq!(options.to_string(), whole);
}

#[test]
fn presets_are_applied_in_place() {
    let config = with_presets(&[
        "default=q:60",
        "thumb=rs:fill:60:40/g:no",
        "grey=bg:808080/pd:4",
        "nest=pr:thumb/bl:1",
        "loop=pr:loop/w:30",
        "ping=pr:pong/w:1",
        "pong=pr:ping/h:2",
        "a:b=w:8",
    ]);
    for (options, expected, used) in [
        ("x:", "", ""),
        (
            "pr:thumb",
            "resizing_type:fill/width:60/height:40/gravity:no:0:0/quality:60",
            "default thumb",
        ),
        (
            "pr:thumb:grey",
            "resizing_type:fill/width:60/height:40/gravity:no:0:0/padding:4:4:4:4/background:808080/quality:60",
            "default thumb grey",
        ),
        (
            "pr:thumb/w:30",
            "resizing_type:fill/width:30/height:40/gravity:no:0:0/quality:60",
            "default thumb",
        ),
        (
            "w:30/pr:thumb",
            "resizing_type:fill/width:60/height:40/gravity:no:0:0/quality:60",
            "default thumb",
        ),
        (
            "pr:nest",
            "resizing_type:fill/width:60/height:40/gravity:no:0:0/blur:1/quality:60",
            "default nest thumb",
        ),
        ("pr:loop", "width:30/quality:60", "default loop loop"),
        (
            "pr:ping",
            "width:1/height:2/quality:60",
            "default ping pong ping",
        ),
        ("q:5/pr:default", "quality:60", "default default"),
        ("q:0", "", "default"),
    ] {
        let result = request(&config, &format!("/unsafe/{options}/plain/x"));
        if options == "x:" {
            assert!(result.is_err());
            continue;
        }
        let options_seen = result.unwrap().options;
        assert_eq!(options_seen.to_string(), expected, "{options}");
        assert_eq!(
            options_seen.delivery.used_presets.join(" "),
            used,
            "{options}"
        );
    }
    assert_eq!(
        message(request(&config, "/unsafe/pr:a:b/plain/x")).1,
        "Unknown preset: a"
    );
}

#[test]
fn presets_are_tried_at_startup() {
    let error = |presets: &[&str]| {
        Parser::new(&with_presets(presets), NOW)
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        error(&["a=nothing:1"]),
        "error in preset `a`: Unknown processing option nothing"
    );
    assert_eq!(
        error(&["a=pr:none"]),
        "error in preset `a`: Unknown preset: none"
    );
    assert_eq!(
        error(&["a=msr:5"]),
        "error in preset `a`: Security processing options are not allowed"
    );
    assert_eq!(error(&["a=exp:5"]), "error in preset `a`: Expired URL");
    assert_eq!(
        error(&["a=w:8", "b=q:101"]),
        "error in preset `b`: Invalid quality: 101 (expected number in range 0-100)"
    );
    assert_eq!(error(&["a="]), "empty preset value: a=");
    let later = with_presets(&["a=w:x", "a=w:8"]);
    assert!(Parser::new(&later, NOW).is_ok());
    let allowed = UrlConfig {
        allow_security_options: true,
        ..with_presets(&["a=msr:0.0001"])
    };
    assert!(Parser::new(&allowed, NOW).is_ok());
    let narrow = UrlConfig {
        allowed_processing_options: texts(&["pr"]),
        ..with_presets(&["a=h:4"])
    };
    assert!(Parser::new(&narrow, NOW).is_ok());
}

#[test]
fn client_hints_are_defaults() {
    let parser = Parser::new(&with_presets(&["default=h:7"]), NOW).unwrap();
    let parse = |dpr, width, path: &str| {
        let features = ClientFeatures {
            dpr,
            width,
            ..ClientFeatures::default()
        };
        parser
            .parse(path, &features, NOW)
            .unwrap()
            .options
            .to_string()
    };
    assert_eq!(
        parse(Some(2.0), Some(301), "plain/x"),
        "width:151/height:7/dpr:2"
    );
    assert_eq!(parse(None, Some(301), "plain/x"), "width:301/height:7");
    assert_eq!(
        parse(Some(2.0), Some(300), "dpr:1/w:9/plain/x"),
        "width:9/height:7"
    );
}

#[test]
fn sources_are_preprocessed_before_they_are_judged() {
    let config = UrlConfig {
        url_replacements: vec![
            ("mapped://".to_owned(), String::new()),
            ("old/*/x".to_owned(), "new".to_owned()),
        ],
        base_url: "http://o/c/".to_owned(),
        allowed_sources: texts(&["http://o/c/jpeg/", "http://o/c/*/png/", ""]),
        ..config()
    };
    let url = |source: &str| request(&config, &format!("/u/plain/{source}")).map(|r| r.source_url);
    assert_eq!(url("jpeg/a.jpg").unwrap(), "http://o/c/jpeg/a.jpg");
    assert_eq!(
        url("mapped://http://o/c/1/png/a").unwrap(),
        "http://o/c/1/png/a"
    );
    assert_eq!(
        url("/jpeg/a.jpg").unwrap_err().detail(),
        "Source URL is not allowed: http://o/c//jpeg/a.jpg"
    );
}

#[test]
fn examples_parse_and_do_something() {
    let config = UrlConfig {
        allow_security_options: true,
        allow_bypass_cache: true,
        ..with_presets(&["default=w:1"])
    };
    for definition in Definition::all() {
        let description = definition.description();
        let target = format!("/unsafe/{}/plain/x", description.example);
        let options = request(&config, &target)
            .unwrap_or_else(|e| panic!("{target}: {e}"))
            .options;
        assert_ne!(options, Options::default(), "{target}");
        for alias in description.aliases {
            let arguments = description.example.split_once(':').unwrap().1;
            let target = format!("/unsafe/{alias}:{arguments}/plain/x");
            let same = request(&config, &target).unwrap_or_else(|e| panic!("{target}: {e}"));
            assert_eq!(same.options, options, "{target}");
        }
    }
}

const WORKED_PLAIN: &str = "
/unsafe/plain/http://a/b |  | http://a/b
/unsafe/plain/http:/a/b |  | http://a/b
/unsafe/plain/http://a/b:/c |  | http://a/b:/c
/unsafe/plain/local:/a/b |  | local:///a/b
/unsafe/plain/http://a/b@ |  | http://a/b
/unsafe/plain/http://a/b@jpg | format:jpeg | http://a/b
/unsafe/plain/http://a/b%40png |  | http://a/b@png
/unsafe/plain/http://a/b%3Fx=1 |  | http://a/b?x=1
/unsafe/plain/http://a/b?x=1 |  | http://a/b
/unsafe/plain/http://a/b@png?x@y | format:png | http://a/b
/unsafe/plain/http%3A%2F%2Fa%2Fb |  | http://a/b
/unsafe/plain/http://a/b+c%20d |  | http://a/b+c d
/unsafe/plain/http://a/%25zz |  | http://a/%zz
/unsafe/plain/http://a/%ff%C3%A9 |  | http://a/%FFé
/unsafe/plain//a/b |  | /a/b
/unsafe/plain/a//b#c |  | a//b#c
/unsafe/plain/plain/x |  | plain/x
/unsafe//plain/http://a/b |  | http://a/b
/unsafe/aHR0cDovL2EvYg |  | http://a/b
/unsafe/aHR0cDovL2EvYg==.png | format:png | http://a/b
/unsafe/aHR0/cDov/L2Ev/Yg.png | format:png | http://a/b
/unsafe/aHR0cDovL2EvYg.p/ng | format:png | http://a/b
/unsafe/aHR0cDovL2EvYg. |  | http://a/b
/unsafe/aHR0cDovL2EvYh |  | http://a/b
/unsafe/= |  |
/unsafe/enc |  | zw
/unsafe/w:1//aHR0cDovL2EvYg | width:1 | http://a/b
/unsafe/w%3A100/plain/http://a/b | width:100 | http://a/b
/unsafe/raw:1/plain/http://a/b@foo | raw:1 | http://a/b
/unsafe/f:png/plain/http://a/b@webp | format:webp | http://a/b
/unsafe/w:1/fit/x | width:1 | ~+q
";

const WORKED_COMMA: &str = "
/unsafe/rs,fit,1,2/bg,1,2,3/plain/x | width:1/height:2/background:010203 | x
/unsafe/w,1/plain/a:b | width:1 | a:b
";

const WORKED_DASHES: &str = "
/unsafe/rs--fill-down--3/plain/x | resizing_type:fill-down/width:3 | x
";

const WORKED_BLANK: &str = "
/unsafe/w:1/plain/x | width:1 | x
";

const WORKED_FILENAME: &str = "
/unsafe/aHR0cDovL2EvYg.png/puppy.jpg | format:png | http://a/b
/unsafe/aHR0/cDov/L2Ev/Yg |  | http://a/
/unsafe/aHR0cDovL2EvYg/ |  | http://a/b
/unsafe/aHR0cDovL2EvYg |  | http://a/b
/unsafe/plain/http://a/b/x.png |  | http://a/b/x.png
";

const WORKED_PRESETS: &str = "
/unsafe/a:b/plain/http://a/b@png | width:1/height:2/format:png | http://a/b
/unsafe/a%3Ab/plain/http://a/b | width:1/height:2 | http://a/b
";

const MALFORMED_PLAIN: &str = "
// | Invalid path:
/x | Invalid path:
/x/ | Invalid path:
/sig// | invalid path:
/sig/// | invalid path: /
/unsafe/plain/ | Image URL is empty
/unsafe/plain | Invalid url encoding: plain
/unsafe/Plain/http://a/b | Invalid url encoding: Plainhttp:ab
/unsafe/plain/a@b@c | Multiple formats are specified: a@b@c
/unsafe/plain/@png | Image URL is empty
/unsafe/plain/http://a/b@foo | Invalid format: foo (expected supported image format)
/unsafe/plain/http://a/b@JPG | Invalid format: JPG (expected supported image format)
/unsafe/plain/http://a/b@png/ | Invalid format: png/ (expected supported image format)
/unsafe/plain/http://u:p@h/x | Invalid format: h/x (expected supported image format)
/unsafe/plain/a%zz | Invalid url encoding: a%zz
/unsafe/plain/a%4@png | Invalid url encoding: a%4@png
/unsafe/rs:fill:300:200 | Image URL is empty
/unsafe/w:100/ | Image URL is empty
/unsafe/fill/300/200/sm/0/plain/http://a/b | It looks like you're using the deprecated basic URL format
/unsafe/fit | It looks like you're using the deprecated basic URL format
/unsafe/foo:1/plain/http://a/b | Unknown processing option foo
/unsafe/http://a/b | Unknown processing option http
/unsafe/:1/plain/x | Unknown processing option
/unsafe/min_width:1/plain/x | Unknown processing option min_width
/unsafe/pr:nope/plain/http://a/b | Unknown preset: nope
/unsafe/pr:/plain/http://a/b | Unknown preset:
/unsafe/aHR0c*DovL2EvYg | Invalid url encoding: aHR0c*DovL2EvYg
/unsafe/aHR0cDovL2EvY | Invalid url encoding: aHR0cDovL2EvY
/unsafe/aHR0cDovL2EvYg%3D%3D | Invalid url encoding: aHR0cDovL2EvYg%3D%3D
/unsafe/YQ=/Yg | Invalid url encoding: YQ=Yg
/unsafe/aHR0cDovL2EvYg.png.jpg | Multiple formats are specified: aHR0cDovL2EvYg.png.jpg
/unsafe/.png | Image URL is empty
/unsafe/w:100//plain/http://a/b | Invalid url encoding: plainhttp:ab
/unsafe/w%3a100/plain/http://a/b | Invalid url encoding: w%3a100plainhttp:ab
/unsafe/w:100/-/h:10/plain/http://a/b | Invalid url encoding: -h:10plainhttp:ab
/unsafe/trim/plain/http://a/b | Invalid url encoding: trimplainhttp:ab
/unsafe/w:50/enc/abcdef | Encrypted source URLs are not enabled
/unsafe/w:x/h:y/plain/a@b@c | Invalid width: x (expected positive number or 0)
/unsafe/exp:1/w:x/plain/x | Expired URL
/unsafe/w:x/exp:1/plain/x | Invalid width: x (expected positive number or 0)
/unsafe/exp:1/exp:0/plain/x | Expired URL
/unsafe/exp:1699999999/plain/x | Expired URL
";

const MALFORMED_PRESETS: &str = "
/unsafe/w:10/plain/x | Unknown preset: w
/unsafe/plain/x | Unknown preset: plain
/unsafe/a:/plain/x | Unknown preset:
/unsafe/a | Image URL is empty
/unsafe/fit/plain/x | Unknown preset: fit
";

const MALFORMED_ALLOWED: &str = "
/unsafe/width:1/plain/x | Forbidden processing option width
/unsafe/yyy:1/plain/x | Forbidden processing option yyy
/unsafe/msr:1/plain/x | Forbidden processing option msr
/unsafe/zzz:1/plain/x | Unknown processing option zzz
";

const MALFORMED_SOURCES: &str = "
/unsafe/plain/http://x/ | Source URL is not allowed: http://x/
/unsafe/plain/HTTPS://x/ | Source URL is not allowed: HTTPS://x/
/unsafe/plain/http://x/@foo | Invalid format: foo (expected supported image format)
";

/// `spec/options.md` section 6: options and the message that refuses them.
const REFUSED: &str = "
g:ce::: | Invalid gravity arguments: [ce   ]
g:fp:0.5 | Invalid gravity arguments: [fp 0.5]
g:fp:2:0 | Invalid gravity.x_offset: 2
g:fp:0:-1 | Invalid gravity.y_offset: -1
g:ce:x | Invalid gravity.x_offset: x
g:ce:inf | Invalid gravity.x_offset: inf
g:sm: | Invalid gravity arguments: [sm ]
g:re | Invalid gravity.type: re (expected sm, fp, ce, no, ea, so, we, nowe, noea, sowe, soea)
c:100: | Invalid crop.height:  (expected positive number or 0)
c: | Invalid crop.width:  (expected positive number or 0)
c:1:1:no:1:2:3 | Invalid crop.gravity arguments: [no 1 2 3]
c:100:100:re | Invalid crop.gravity.type: re (expected sm, fp, ce, no, ea, so, we, nowe, noea, sowe, soea)
c:1:1: | Invalid crop.gravity.type:  (expected sm, fp, ce, no, ea, so, we, nowe, noea, sowe, soea)
ex:1:sm | Invalid extend.gravity.type: sm (expected fp, ce, no, ea, so, we, nowe, noea, sowe, soea)
ex:1: | Invalid extend.gravity.type:  (expected fp, ce, no, ea, so, we, nowe, noea, sowe, soea)
ex:1:no:1:2:3 | Invalid extend arguments: [1 no 1 2 3]
exar:1:fp:1 | Invalid extend_aspect_ratio.gravity arguments: [fp 1]
s:10:20:1:1:no:1:2:3 | Invalid size arguments: [10 20 1 1 no 1 2 3]
s:10:20:1:1:re | Invalid extend.gravity.type: re (expected fp, ce, no, ea, so, we, nowe, noea, sowe, soea)
rs:fit:10:20:1:1:no:1:2:3 | Invalid resize arguments: [fit 10 20 1 1 no 1 2 3]
rs:foo | Invalid resizing_type: foo (expected fit, fill, fill-down, force, auto)
rs:fit:x:10 | Invalid width: x (expected positive number or 0)
rt: | Invalid resizing_type:  (expected fit, fill, fill-down, force, auto)
w: | Invalid width:  (expected positive number or 0)
w:abc | Invalid width: abc (expected positive number or 0)
w:1.5 | Invalid width: 1.5 (expected positive number or 0)
w:1:2 | Invalid width arguments: [1 2]
h:99999999999999999999 | Invalid height: 99999999999999999999 (expected positive number or 0)
mw:-1 | Invalid min-width: -1 (expected positive number or 0)
mh:x | Invalid min-height: x (expected positive number or 0)
z:2:3:4 | Invalid zoom arguments: [2 3 4]
z:2: | Invalid zoom_height:  (expected positive number)
z:0 | Invalid zoom_width: 0 (expected positive number)
z:inf | Invalid zoom_width: inf (expected positive number)
dpr:0 | Invalid dpr: 0 (expected positive number)
dpr:NaN | Invalid dpr: NaN (expected positive number)
dpr:-Inf | Invalid dpr: -Inf (expected positive number)
dpr:1:2 | Invalid dpr arguments: [1 2]
t:abc | Invalid trim.threshold arguments: [abc]
t:10:#fff | Invalid trim.color: #fff (expected hex-encoded color)
t:1:2:3:4:5 | Invalid trim arguments: [1 2 3 4 5]
rot:45 | Rotation angle must be a multiple of 90
rot:90.0 | Invalid rotate: 90.0 (expected integer number)
bg:1:2 | Invalid background arguments: [1 2]
bg:1:2:3:4 | Invalid background arguments: [1 2 3 4]
bg:ffff | Invalid background: ffff (expected hex-encoded color)
bg:256:0:0 | Invalid background.R: 256 (expected number in range 0-255)
bg:+1:2:3 | Invalid background.R: +1 (expected number in range 0-255)
bg:1::3 | Invalid background.G:  (expected number in range 0-255)
bg:1:2:x | Invalid background.B: x (expected number in range 0-255)
bl: | Invalid blur:  (expected positive number or 0)
bl:Inf | Invalid blur: Inf (expected positive number or 0)
sh:x | Invalid sharpen: x (expected positive number or 0)
pix:-1 | Invalid pixelate: -1 (expected positive number or 0)
wm: | Invalid watermark.opacity:  (expected number in range 0-1)
wm:2 | Invalid watermark.opacity: 2 (expected number in range 0-1)
wm:0.5:sm | Invalid watermark.position: sm (expected re, ce, no, ea, so, we, nowe, noea, sowe, soea)
wm:1:ce:a | Invalid watermark.x_offset arguments: [a]
wm:1:ce:1:a | Invalid watermark.y_offset arguments: [a]
wm:1:ce:0:0:-1 | Invalid watermark.scale: -1 (expected positive number)
wm:1:ce:0:0:1:1:1:1 | Invalid watermark arguments: [1 ce 0 0 1 1 1 1]
q:101 | Invalid quality: 101 (expected number in range 0-100)
fq:jpg | Missing format_quality for: jpg
fq:jpg:1:png | Missing format_quality for: png
fq:foo:3 | Invalid image format: foo
fq:jpg:300 | Invalid format_quality.jpeg: 300 (expected number in range 0-100)
mb:x | Invalid max_bytes: x (expected positive number or 0)
f: | Invalid format:  (expected supported image format)
f:webp:1 | Invalid format arguments: [webp 1]
skp:foo | Invalid image format in skip_processing: foo
skp: | Invalid image format in skip_processing:
exp:abc | Invalid expires: abc (expected unix timestamp)
exp: | Invalid expires:  (expected unix timestamp)
exp:1 | Expired URL
fn:!!:1 | Invalid filename: !! (expected URL-safe base64-encoded string)
fn:a:b:c | Invalid filename arguments: [a b c]
cb:a:b | Invalid cachebuster arguments: [a b]
el:1:2 | Invalid enlarge arguments: [1 2]
raw:1:2 | Invalid raw arguments: [1 2]
att:1:2 | Invalid return_attachment arguments: [1 2]
sm:1:2 | Invalid strip_metadata arguments: [1 2]
fl:1:1:1 | Invalid flip arguments: [1 1 1]
pd:1:2:3:4:5 | Invalid padding arguments: [1 2 3 4 5]
pd:-1 | Invalid padding.top: -1 (expected positive number or 0)
pd:1:x | Invalid padding.right: x (expected positive number or 0)
maf:0 | Invalid max_animation_frames: 0 (expected positive number)
msfs:x | Invalid max_src_file_size: x (expected integer number)
msfs:-1 | Invalid max_src_file_size: -1 (expected positive number or 0)
msr:-1 | Invalid max_src_resolution: -1 (expected positive number or 0)
mafr:x | Invalid max_animation_frame_resolution: x (expected positive number or 0)
mrd:1.5 | Invalid max_result_dimension: 1.5 (expected integer number)
";

/// Options and their canonical form.
const ACCEPTED: &str = "
w:+5 | width:5
w:05 | width:5
bl:-0 |
bl:1_0 | blur:10
bl:0x1p4 | blur:16
bl:.5 | blur:0.5
t:-5 | trim:-5::0:0
rot:-90 | rotate:270
rot:450 | rotate:90
rot:360 |
fl: |
fl:1 | flip:1:0
fl:1:1/fl::0 | flip:1:0
pd: |
rs: |
rs::10 | width:10
rs:fill:10:20:1:1:so:1:2 | resizing_type:fill/width:10/height:20/enlarge:1/extend:1:so:1:2
rs:auto::::1 | resizing_type:auto/extend:1
rs:fit:1:2:0::so | width:1/height:2
s:: |
s:1::1:1:no/s:2 | width:2/enlarge:1/extend:1:no:0:0
w:5/w:0 |
mw:1/mh:2 | min-width:1/min-height:2
z:2 | zoom:2:2
z:2:3/z:4 | zoom:4:4
z:1 |
dpr:2 | dpr:2
dpr:Inf | dpr:1000000000
el:1/el:tRUE |
ex: |
ex:yes |
ex:1:no/ex:1 | extend:1:no:0:0
ex:1:no/ex:0 |
ex:1:no/ex:0/ex:1 | extend:1:no:0:0
ex:1:ce | extend:1
exar:1:fp:0.1:0.2 | extend_aspect_ratio:1:fp:0.1:0.2
g:ce |
g:no:10:20/g:so | gravity:so:10:20
g:no:10:20/g:so::-5 | gravity:so:10:-5
g:no:10:20/g:sm | gravity:sm
g:no:10:20/g:sm/g:no | gravity:no:0:0
g:fp:: | gravity:fp:0:0
g:no:10:20/g:fp:: | gravity:ce:10:20/gravity:fp::
g:no:0.5:0.25/g:fp:1: | gravity:fp:1:0.25
c:100:200/c:50 | crop:50:200
c:0.5 | crop:0.5:0
c:0:0 |
c:1:2:sm | crop:1:2:sm
c:1:2:ce | crop:1:2:ce:0:0
c:1:2:no:3:4/c:5:6:so | crop:5:6:so:3:4
c:1:1:no:9:9/c:1:1:fp:: | crop:1:1:ce:9:9/crop:1:1:fp::
t:10:fff:1/t:20 | trim:20::1:0
t:10:FFF:1/t: |
t:0 | trim:0::0:0
t:1:102030::1 | trim:1:102030:0:1
pd:1 | padding:1:1:1:1
pd:1:2 | padding:1:2:1:2
pd:1::3 | padding:1:1:3:1
pd::5 | padding:0:5:0:5
pd:10/pd::5 | padding:10:5:10:5
pd:::7/pd:1:2 | padding:1:2:1:2
pd:0 |
ar: | auto_rotate:0
ar:1 | auto_rotate:1
bg:fff | background:ffffff
bg:1:002:255 | background:0102ff
bg:fff/bg: |
sh:0.5 | sharpen:0.5
pix:0 |
pix:1 |
pix:2 | pixelate:2
wm:1:::: | watermark:1:ce:0:0:0
wm:1:ce:0:0:0.5:x:y | watermark:1:ce:0:0:0.5
wm:1:ce:0:0:0.5/wm:1::::0 | watermark:1:ce:0:0:0
wm:0.5:no:1:2/wm:0.7 | watermark:0.7:no:1:2:0
wm:0:no |
wm:1:re | watermark:1:re:0:0:0
sm:0/kcr:1/scp:x/ph:1/eth:1 | strip_metadata:0/keep_copyright:1/strip_color_profile:0/preserve_hdr:1/enforce_thumbnail:1
q:80 | quality:80
q:80/q:0 |
fq:jpg:0 |
fq:webp:1:jpg:2/fq:jpeg:3 | format_quality:jpeg:3/format_quality:webp:1
mb:100 | max_bytes:100
ext:jpg | format:jpeg
skp:png:jpg/skp:jpeg | skip_processing:jpeg/skip_processing:png
raw:1/raw:0 |
cb:a/cb: |
cb:a/cb:b | cachebuster:b
exp:0 | expires:0
exp:-5 | expires:-5
exp:1700000000 | expires:1700000000
fn: |
fn:a%20b | filename:YSUyMGI:1
fn:YS8vYg==:1 | filename:YS8vYg:1
fn:YQ:yes | filename:WVE:1
att: | return_attachment:0
att:1 | return_attachment:1
msr:0.1 | max_src_resolution:0.1
msr:0 | max_src_resolution:0
msr:0.0000019 | max_src_resolution:0.000001
msfs:0 | max_src_file_size:0
maf:99999999999 | max_animation_frames:4294967295
mafr:1e1 | max_animation_frame_resolution:10
mrd:-5 | max_result_dimension:-5
";
