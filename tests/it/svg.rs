//! SVG in: what goes out as SVG is safe to open, what is drawn has the size that browsers give it, and neither asks
//! anybody for anything.

use std::io::Write;
use std::time::{Duration, Instant};

use crate::common::pictures::{facts, file};
use crate::common::{Origin, Script, Server};

const HEAD: &str =
    "<svg xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"http://www.w3.org/1999/xlink\"";

#[tokio::test]
async fn what_goes_out_as_svg_is_sanitised() {
    let origin = Origin::start().await;
    let source = format!("{HEAD} width='9' height='9' onload='a'><script>a</script><g></g></svg>");
    let clean = format!("{HEAD} width=\"9\" height=\"9\"><g/></svg>");
    origin.on("/a.svg", Script::file(source.clone(), "image/svg+xml"));
    let url = origin.url("/a.svg");
    let server = Server::start(&[]).await;
    let reply = server.image("w:4", &url).await;
    assert_eq!((reply.status, reply.text()), (200, clean));
    assert_eq!(reply.header("content-type"), Some("image/svg+xml"));
    let policy = reply.header("content-security-policy").unwrap();
    assert!(policy.contains("sandbox"), "{policy}");
    let off = Server::start(&[("IMGPROXY_SANITIZE_SVG", "false")]).await;
    assert_eq!(off.image("w:4", &url).await.text(), source);
    let broken = b"<?xml version='1.0' encoding='ebcdic-cp-us'?><svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'><!--\xE9--></svg>";
    origin.on("/b.svg", Script::file(broken.to_vec(), "image/svg+xml"));
    let reply = server.image("w:4", &origin.url("/b.svg")).await;
    assert_eq!(reply.status, 422);
}

#[tokio::test]
async fn sizes_are_those_of_browsers() {
    let origin = Origin::start().await;
    let server = Server::start(&[]).await;
    for (attributes, size) in [
        ("width='100mm' height='50mm'", (378, 189)),
        ("width='100pt' height='50pt'", (133, 67)),
        ("width='1in' height='2.54cm'", (96, 96)),
        ("width='2pc' height='20'", (32, 20)),
        ("width='100' height='50px'", (100, 50)),
        ("width='10em' height='5em'", (120, 60)),
        ("viewBox='0 0 100 50'", (100, 50)),
        ("width='2in' viewBox='0 0 100 50'", (192, 96)),
    ] {
        let source = format!("{HEAD} {attributes}><rect width='9' height='9'/></svg>");
        origin.on("/a.svg", Script::file(source, "image/svg+xml"));
        let reply = server.image("f:png", &origin.url("/a.svg")).await;
        assert_eq!(reply.status, 200, "{attributes}");
        let (_, width, height) = facts(&reply.body);
        assert_eq!((width, height), size, "{attributes}");
    }
}

#[tokio::test]
async fn nobody_is_asked_and_time_is_bounded() {
    let origin = Origin::start().await;
    let canary = Origin::start().await;
    canary.otherwise(Script::image("grid.png"));
    let there = canary.url("/a");
    let uses = |i: u32| {
        format!(
            "<g id='g{i}'>{}</g>",
            format!("<use href='#g{}'/>", i - 1).repeat(10)
        )
    };
    let bomb: String = (1..12).map(uses).collect();
    let entity = |i: u32| format!("<!ENTITY e{i} '{}'>", format!("&e{};", i - 1).repeat(10));
    let entities = format!(
        "<!DOCTYPE svg [<!ENTITY e0 'ha'>{}]>{HEAD} width='9' height='9'><text>&e9;</text></svg>",
        (1..10).map(entity).collect::<String>()
    );
    let sources = [
        format!(
            "<?xml-stylesheet href='{there}.css' type='text/css'?>{HEAD} width='9' height='9'><style>@import url('{there}');\
             @font-face{{font-family:f;src:url({there})}}rect{{fill:url({there}#p)}}</style><image xlink:href='{there}' \
             width='9' height='9'/><use xlink:href='{there}#a'/><text font-family='f'>a</text><rect width='9' \
             height='9'/><filter id='f'><feImage xlink:href='{there}'/></filter><g filter='url(#f)'><rect/></g></svg>"
        ),
        format!(
            "<!DOCTYPE svg [<!ENTITY x SYSTEM '{there}'><!ENTITY % r SYSTEM '{there}.dtd'>%r;]>{HEAD} width='9' \
             height='9'><text>&x;</text></svg>"
        ),
        format!(
            "{HEAD} xmlns:xi='http://www.w3.org/2001/XInclude' width='9' height='9'><xi:include href='{there}'/></svg>"
        ),
        format!("{HEAD} width='9' height='9'>{}", "<g>".repeat(100_000)),
        format!(
            "{HEAD} width='9' height='9'>{}{}</svg>",
            "<g>".repeat(100_000),
            "</g>".repeat(100_000)
        ),
        format!("{HEAD} width='9' height='9'><g id='g0'><rect/></g>{bomb}<use href='#g11'/></svg>"),
        format!("{HEAD} width='1000000000' height='1000000000'/>"),
        format!(
            "{HEAD} width='9' height='9'>{}</svg>",
            "<g/>".repeat(100_000)
        ),
        format!(
            "{HEAD} width='90' height='90'><filter id='f'><feGaussianBlur stdDeviation='1000000'/><feMorphology \
             operator='dilate' radius='1000000'/></filter><rect width='9' height='9' filter='url(#f)'/></svg>"
        ),
        format!(
            "{HEAD} width='90' height='90'><pattern id='p' width='1' height='1'><rect width='9' height='9' \
             fill='url(#q)'/></pattern><pattern id='q' width='1' height='1'><rect width='9' height='9' \
             fill='url(#p)'/></pattern><rect width='90' height='90' fill='url(#p)'/></svg>"
        ),
        entities,
    ];
    let server = Server::start(&[("IMGPROXY_TIMEOUT", "10")]).await;
    for source in sources {
        let start = source.get(..200).unwrap_or(&source).to_owned();
        origin.on("/a.svg", Script::file(source, "image/svg+xml"));
        for options in ["", "f:png"] {
            let started = Instant::now();
            let reply = server.image(options, &origin.url("/a.svg")).await;
            assert!(
                matches!(reply.status, 200 | 422 | 503),
                "{} for {options} {start}",
                reply.status
            );
            assert!(
                started.elapsed() < Duration::from_secs(20),
                "{options} {start}"
            );
        }
    }
    assert_eq!(canary.connections(), 0);
}

/// Every spelling of what must not run, in every encoding, over the whole way; compressed drawings are not drawings.
#[tokio::test]
async fn no_spelling_of_a_script_goes_out() {
    let origin = Origin::start().await;
    let server = Server::start(&[]).await;
    let bodies = [
        "<script>alert(1)</script>",
        "<SCRIPT>alert(1)</SCRIPT>",
        "<x:ScRiPt xmlns:x='http://www.w3.org/2000/svg'>alert(1)</x:ScRiPt>",
        "<g onload='alert(1)' ONCLICK='alert(1)' xlink:oNfocus='alert(1)' onanything='alert(1)'/>",
        "<a href='javascript:alert(1)'/>",
        "<a xlink:href='java&#9;script&#58;alert(1)'/>",
        "<a xlink:href=' JAVA\n\tSCRIPT:alert(1)'/>",
        "<a HREF='&#x6A;avascript:alert(1)'/>",
        "<foreignObject><iframe src='javascript:alert(1)'/><form action='javascript:alert(1)'/></foreignObject>",
        "<animate attributeName='href' to='javascript:alert(1)'/>",
        "<set attributeName='xlink:href' to='javascript:alert(1)'/>",
        "<style>@import url(javascript:alert(1)); a{b:url(javascript:alert(1))}</style>",
        "<g style='a:url(javascript:alert(1))' fill='url(javascript:alert(1))'/>",
    ];
    for body in bodies {
        let text = format!("{HEAD} width='9' height='9'>{body}</svg>");
        let declared = |label| format!("<?xml version='1.0' encoding='{label}'?>{text}");
        let wide = declared("UTF-16").encode_utf16().collect::<Vec<u16>>();
        for source in [
            text.clone().into_bytes(),
            declared("ISO-2022-JP").into_bytes(),
            declared("windows-1251").into_bytes(),
            declared("UTF-7").into_bytes(),
            wide.iter().flat_map(|unit| unit.to_le_bytes()).collect(),
            b"\xFE\xFF"
                .iter()
                .copied()
                .chain(wide.iter().flat_map(|unit| unit.to_be_bytes()))
                .collect(),
        ] {
            origin.on("/a.svg", Script::file(source, "image/svg+xml"));
            let reply = server.image("", &origin.url("/a.svg")).await;
            assert_eq!(reply.status, 200, "{body}");
            let result = reply.text();
            assert!(
                !result.contains("alert") && result.contains("<svg"),
                "{body}: {result}"
            );
            let policy = reply.header("content-security-policy").unwrap_or_default();
            assert!(policy.contains("sandbox"), "{body}");
        }
    }
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder
        .write_all(format!("{HEAD} width='9' height='9'/>").as_bytes())
        .unwrap();
    origin.on(
        "/a.svgz",
        Script::file(encoder.finish().unwrap(), "image/svg+xml"),
    );
    assert_eq!(server.image("", &origin.url("/a.svgz")).await.status, 422);
}

/// Files that are two things at once count as what their first bytes say, and a result carries nothing behind its end.
#[tokio::test]
async fn polyglots_are_what_they_begin_with() {
    let origin = Origin::start().await;
    let server = Server::start(&[]).await;
    let tail = b"PK\x03\x04<script>alert(1)</script><?php phpinfo(); ?>";
    for (name, result) in [
        ("grid.gif", "gif"),
        ("grid.png", "png"),
        ("grid.jpg", "jpeg"),
        ("grid.webp", "webp"),
    ] {
        let source = [&file(name)[..], tail].concat();
        origin.on("/a.svg", Script::file(source, "image/svg+xml"));
        let reply = server
            .image("w:20", &origin.url(&format!("/a.svg@{result}")))
            .await;
        assert_eq!(
            (reply.status, facts(&reply.body).0),
            (200, result),
            "{name}"
        );
        let found = |what: &[u8]| reply.body.windows(what.len()).any(|part| part == what);
        assert!(
            !found(b"alert") && !found(b"php") && !found(b"PK\x03"),
            "{name}"
        );
    }
    let drawing = format!("{HEAD} width='9' height='9'><script>alert(1)</script></svg>");
    origin.on("/a.jpg", Script::file(drawing, "image/jpeg"));
    let reply = server.image("", &origin.url("/a.jpg")).await;
    assert_eq!(reply.header("content-type"), Some("image/svg+xml"));
    assert!(!reply.text().contains("alert"));
}
