//! Sizes: rows of the reference's worked examples, each asked for over HTTP.

use std::collections::BTreeSet;

use crate::common::{Origin, Script, Server, pictures};

type Size = (u32, u32);

/// Source size, options, result size. Every source is an opaque PNG.
const ROWS: &[(Size, &str, Size)] = &[
    ((800, 600), "rs:fit:400:400", (400, 300)),
    ((800, 600), "rs:fit:401:401", (401, 301)),
    ((800, 600), "rs:fill:400:400", (400, 400)),
    ((800, 600), "rs:fill:401:300", (401, 300)),
    ((801, 601), "rs:fill:300:300/g:ce", (300, 300)),
    ((800, 600), "rs:force:400:100", (400, 100)),
    ((800, 600), "rs:force:400:0", (400, 600)),
    ((800, 600), "rs:auto:400:200", (400, 200)),
    ((800, 600), "rs:auto:200:400", (200, 150)),
    ((600, 600), "rs:auto:300:300", (300, 300)),
    ((800, 600), "rs:fit:1600:1600", (800, 600)),
    ((800, 600), "rs:fit:1600:1600:1", (1600, 1200)),
    ((800, 600), "rs:fill:1600:1600", (800, 600)),
    ((800, 600), "rs:fill:1600:400", (800, 400)),
    ((800, 600), "rs:fill-down:1600:1600", (600, 600)),
    ((800, 600), "rs:fill-down:1600:400", (800, 200)),
    ((800, 600), "rs:fill-down:1600:1600:0:1", (1600, 1600)),
    ((800, 600), "w:400", (400, 300)),
    ((800, 600), "h:100", (133, 100)),
    ((3, 1000), "w:1/h:100/rs:fit", (1, 100)),
    ((1000, 3), "w:100", (100, 1)),
    ((1000, 3), "w:10", (10, 1)),
    ((800, 600), "w:200/dpr:2", (400, 300)),
    ((800, 600), "w:500/dpr:2", (800, 600)),
    ((800, 600), "w:1000/dpr:2", (800, 600)),
    ((800, 600), "w:1000/dpr:2/el:1", (2000, 1500)),
    ((200, 100), "w:400/dpr:0.5", (200, 100)),
    ((200, 100), "w:400/h:400/dpr:0.5/ex:1", (200, 200)),
    ((800, 600), "dpr:2/pd:10", (820, 620)),
    ((800, 600), "w:400/dpr:1.5/pd:5:7", (620, 466)),
    ((800, 600), "w:400/z:1.5", (600, 450)),
    ((800, 600), "z:0.5:0.25", (400, 150)),
    ((800, 600), "z:2", (800, 600)),
    ((800, 600), "z:2/el:1", (1600, 1200)),
    ((800, 600), "w:100/mw:200", (100, 150)),
    ((800, 600), "rs:fit:100:100/mh:200", (100, 100)),
    ((800, 600), "mw:1000", (1000, 750)),
    ((800, 600), "rs:fill:200:300/g:noea", (200, 300)),
    ((800, 600), "rs:fill:201:300/g:ce/dpr:0.5", (101, 150)),
    ((800, 600), "rs:fill:200:300/g:no:5:5/dpr:2", (400, 600)),
    ((800, 600), "c:300:200", (300, 200)),
    ((800, 600), "c:0.5:0.5:nowe:10:20", (400, 300)),
    ((800, 600), "c:300:0:soea:5:5/w:100", (100, 200)),
    (
        (800, 600),
        "c:333:222:fp:0.3:0.7/rs:fill:100:100/g:sm",
        (100, 100),
    ),
    ((800, 600), "c:1.5:0.001", (1, 1)),
    ((200, 100), "rs:fit:300:300/exar:1", (200, 200)),
    ((200, 100), "rs:fit:300:300:0:1/ex:1:nowe:10:20", (300, 300)),
    ((200, 100), "rs:fit:150:300/ex:1:so:0:0.1", (150, 300)),
    ((200, 100), "h:300/ex:1", (200, 300)),
    ((800, 600), "rot:90/w:300", (300, 400)),
    ((800, 600), "rot:270/rs:fill:200:200/g:no", (200, 200)),
];

#[tokio::test]
async fn results_have_the_sizes_of_the_worked_examples() {
    let origin = Origin::start().await;
    let sizes: BTreeSet<_> = ROWS.iter().map(|(size, ..)| *size).collect();
    for (width, height) in sizes {
        let picture = pictures::plain_png(width, height);
        origin.on(
            &format!("/{width}x{height}.png"),
            Script::file(picture, "image/png"),
        );
    }
    let server = Server::start(&[]).await;
    for ((width, height), options, (to_width, to_height)) in ROWS {
        let source = origin.url(&format!("/{width}x{height}.png"));
        let reply = server.image(options, &source).await;
        assert_eq!(
            reply.status,
            200,
            "{width}x{height} {options}: {}",
            reply.text()
        );
        let expected = ("png", *to_width, *to_height);
        assert_eq!(
            pictures::facts(&reply.body),
            expected,
            "{width}x{height} {options}"
        );
    }
}

#[tokio::test]
async fn names_and_aliases_mean_the_same() {
    let origin = Origin::start().await;
    origin.on("/a.png", Script::image("grid.png"));
    let server = Server::start(&[]).await;
    let source = origin.url("/a.png");
    for options in [
        ["rs:fill:30:20", "resize:fill:30:20", "rt:fill/w:30/h:20"],
        ["s:30:20:1", "size:30:20:1", "width:30/height:20/enlarge:1"],
        ["c:16:16:nowe", "crop:16:16:nowe", "g:nowe/c:16:16"],
        ["pd:1:2", "padding:1:2", "pd:1:2:1:2"],
        ["bg:ff0000", "background:255:0:0", "bg:f00"],
    ] {
        let mut bodies = Vec::new();
        for option in options {
            let reply = server.image(option, &source).await;
            assert_eq!(reply.status, 200, "{option}: {}", reply.text());
            bodies.push(reply.body);
        }
        assert!(
            bodies.windows(2).all(|pair| pair[0] == pair[1]),
            "{options:?}"
        );
    }
}

#[tokio::test]
async fn what_is_no_option_is_refused() {
    let origin = Origin::start().await;
    origin.on("/a.png", Script::image("grid.png"));
    let server = Server::start(&[]).await;
    let source = origin.url("/a.png");
    for option in [
        "nonsense:1",
        "w:abc",
        "w:-1",
        "w:1:2",
        "w:",
        "rs:cover:1:1",
        "g:up",
        "g:sm:1",
        "g:fp:2:0",
        "c:",
        "rot:45",
        "z:0",
        "dpr:0",
        "q:101",
        "f:tif",
        "fit/300/200",
    ] {
        let reply = server.image(option, &source).await;
        assert_eq!(
            (reply.status, reply.text().as_str()),
            (404, "Invalid URL"),
            "{option}"
        );
    }
    assert_eq!(
        origin.connections(),
        0,
        "an option is refused before anything is fetched"
    );
}

#[tokio::test]
async fn presets_are_options_under_a_name() {
    let origin = Origin::start().await;
    origin.on("/a.png", Script::image("grid.png"));
    let presets = "default=w:40,small=w:24/f:png,framed=pr:small/pd:4";
    let server = Server::start(&[("IMGPROXY_PRESETS", presets)]).await;
    for (options, size) in [
        ("", (40, 27)),
        ("pr:small", (24, 16)),
        ("preset:framed", (32, 24)),
        ("pr:small/w:48", (48, 32)),
    ] {
        let reply = server.image(options, &origin.url("/a.png")).await;
        assert_eq!(reply.status, 200, "{options}: {}", reply.text());
        assert_eq!(
            pictures::facts(&reply.body),
            ("png", size.0, size.1),
            "{options}"
        );
    }
    assert_eq!(
        server.image("pr:large", &origin.url("/a.png")).await.status,
        404
    );
}

#[tokio::test]
async fn with_presets_only_the_first_segment_names_them() {
    let origin = Origin::start().await;
    origin.on("/a.png", Script::image("grid.png"));
    let env = [
        ("IMGPROXY_PRESETS", "small=w:24,tall=h:60/rt:force"),
        ("IMGPROXY_ONLY_PRESETS", "true"),
    ];
    let server = Server::start(&env).await;
    let reply = server.image("small:tall", &origin.url("/a.png")).await;
    assert_eq!(pictures::facts(&reply.body), ("png", 24, 60));
    for options in ["w:24", "small/w:30", ""] {
        assert_eq!(
            server.image(options, &origin.url("/a.png")).await.status,
            404,
            "{options}"
        );
    }
}
