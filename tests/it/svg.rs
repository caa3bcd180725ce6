//! SVG in: what goes out as SVG is safe to open, what is drawn has the size that browsers give it, and neither asks
//! anybody for anything.

use std::time::{Duration, Instant};

use crate::common::pictures::facts;
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
    let broken = b"<?xml version='1.0' encoding='koi8-r'?><svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'><!--\xE9--></svg>";
    origin.on("/b.svg", Script::file(broken.to_vec(), "image/svg+xml"));
    let reply = server.image("w:4", &origin.url("/b.svg")).await;
    assert_eq!(reply.status, 422);
    assert_eq!(reply.text(), "Broken or unsupported SVG image");
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
    ];
    let server = Server::start(&[("IMGPROXY_TIMEOUT", "20")]).await;
    for source in sources {
        let start = source.get(..200).unwrap_or(&source).to_owned();
        origin.on("/a.svg", Script::file(source, "image/svg+xml"));
        for options in ["", "f:png"] {
            let started = Instant::now();
            let reply = server.image(options, &origin.url("/a.svg")).await;
            assert!(
                matches!(reply.status, 200 | 422),
                "{} for {options} {start}",
                reply.status
            );
            assert!(
                started.elapsed() < Duration::from_secs(15),
                "{options} {start}"
            );
        }
    }
    assert_eq!(canary.connections(), 0);
}
