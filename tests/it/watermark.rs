//! The watermark: where it lies, how large and how opaque, and where it comes from.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::common::pictures::{Pixels, png};
use crate::common::{Origin, Script, Server};

const GROUND: [u8; 3] = [10, 20, 30];
const MARK: [u8; 3] = [250, 240, 230];

/// A ground of 64x48 at `/a.png`, a mark of 8x8.
async fn ground() -> Origin {
    let origin = Origin::start().await;
    let picture =
        |width, height, colour| Script::file(png(width, height, |_, _| colour), "image/png");
    origin
        .on("/a.png", picture(64, 48, GROUND))
        .on("/mark.png", picture(8, 8, MARK));
    origin
}

fn data() -> String {
    STANDARD.encode(png(8, 8, |_, _| MARK))
}

async fn pixels(server: &Server, origin: &Origin, options: &str) -> Pixels {
    let reply = server.image(options, &origin.url("/a.png@png")).await;
    assert_eq!(reply.status, 200, "{options}: {}", reply.text());
    Pixels::of_png(&reply.body)
}

/// Left, top, right and bottom of what is not ground, exclusive at the end; `None` where all is ground.
fn marked(pixels: &Pixels) -> Option<[u32; 4]> {
    let all = (0..pixels.height).flat_map(|y| (0..pixels.width).map(move |x| (x, y)));
    all.filter(|(x, y)| pixels.at(*x, *y)[..3] != GROUND)
        .fold(None, |found, (x, y)| {
            let [left, top, right, bottom] = found.unwrap_or([x, y, x + 1, y + 1]);
            Some([left.min(x), top.min(y), right.max(x + 1), bottom.max(y + 1)])
        })
}

#[tokio::test]
async fn it_lies_where_it_should() {
    let origin = ground().await;
    let server = Server::start(&[("IMGPROXY_WATERMARK_DATA", data().as_str())]).await;
    for (options, expected) in [
        ("", None),
        ("wm:0", None),
        ("wm:1:nowe", Some([0, 0, 8, 8])),
        ("wm:1:noea", Some([56, 0, 64, 8])),
        ("wm:1:sowe", Some([0, 40, 8, 48])),
        ("wm:1:soea", Some([56, 40, 64, 48])),
        ("wm:1", Some([28, 20, 36, 28])),
        ("wm:1:no", Some([28, 0, 36, 8])),
        ("wm:1:nowe:5:7", Some([5, 7, 13, 15])),
        ("wm:1:soea:5:7", Some([51, 33, 59, 41])),
        ("wm:1:nowe:0.25:0.25", Some([16, 12, 24, 20])),
        ("wm:1:nowe:-4:-4", Some([0, 0, 4, 4])),
        ("wm:1:nowe:-20:-20", Some([0, 0, 1, 1])),
        ("wm:1:soea:-20:-20", Some([63, 47, 64, 48])),
        ("wm:1:nowe:0:0:0.25", Some([0, 0, 12, 12])),
        ("wm:1:nowe:0:0:0.125", Some([0, 0, 6, 6])),
        ("wm:1:re", Some([0, 0, 64, 48])),
        ("rs:fill:16:16/wm:1:soea", Some([8, 8, 16, 16])),
    ] {
        let result = pixels(&server, &origin, options).await;
        assert_eq!(marked(&result), expected, "{options}");
        if let Some([left, top, ..]) = expected {
            let [r, g, b] = MARK;
            assert_eq!(result.at(left, top), [r, g, b, 255], "{options}");
        }
    }
}

#[tokio::test]
async fn opacities_are_multiplied() {
    let origin = ground().await;
    let data = data();
    for (server_opacity, options, opacity) in [
        ("1", "wm:1:nowe", 1.0),
        ("1", "wm:0.5:nowe", 0.5),
        ("0.5", "wm:1:nowe", 0.5),
        ("0.5", "wm:0.5:nowe", 0.25),
    ] {
        let env = [
            ("IMGPROXY_WATERMARK_DATA", data.as_str()),
            ("IMGPROXY_WATERMARK_OPACITY", server_opacity),
        ];
        let server = Server::start(&env).await;
        let found = pixels(&server, &origin, options).await.at(3, 3);
        for (band, value) in found[..3].iter().enumerate() {
            let (ground, mark) = (f64::from(GROUND[band]), f64::from(MARK[band]));
            let expected = ground + (mark - ground) * opacity;
            let off = (f64::from(*value) - expected).abs();
            assert!(off <= 1.5, "{server_opacity} {options}: {found:?}");
        }
    }
}

#[tokio::test]
async fn copies_keep_their_gaps() {
    let origin = ground().await;
    let server = Server::start(&[("IMGPROXY_WATERMARK_DATA", data().as_str())]).await;
    let result = pixels(&server, &origin, "wm:1:re:8:8").await;
    let mark = |x: u32, y: u32| result.at(x, y)[..3] == MARK;
    let row: Vec<bool> = (0..64).map(|x| (0..48).any(|y| mark(x, y))).collect();
    // Copies of 8 with gaps of 8: half of the columns, in runs of at most 8, each repeated after 16.
    assert_eq!(row.iter().filter(|marked| **marked).count(), 32);
    for x in 0..48 {
        assert_eq!(row[x], row[x + 16], "{x}");
    }
}

#[tokio::test]
async fn it_comes_from_wherever_it_is_configured() {
    let origin = ground().await;
    let url = origin.url("/mark.png");
    let path = std::env::temp_dir().join(format!("imgforge-mark-{}.png", std::process::id()));
    std::fs::write(&path, png(8, 8, |_, _| MARK)).unwrap();
    for (name, value) in [
        ("IMGPROXY_WATERMARK_URL", url.as_str()),
        ("IMGPROXY_WATERMARK_PATH", path.to_str().unwrap()),
    ] {
        let server = Server::start(&[(name, value)]).await;
        let result = pixels(&server, &origin, "wm:1:nowe").await;
        assert_eq!(marked(&result), Some([0, 0, 8, 8]), "{name}");
    }
    std::fs::remove_file(&path).unwrap();
    let (status, text) = crate::common::process::run(
        &[],
        &[
            ("IMGPROXY_BIND", "127.0.0.1:0"),
            ("IMGPROXY_PROMETHEUS_BIND", "off"),
            ("IMGPROXY_WATERMARK_PATH", "/nowhere/mark.png"),
        ],
    );
    assert_eq!(
        status.code(),
        Some(1),
        "a missing watermark stops the start: {text}"
    );

    let without = Server::start(&[]).await;
    let result = pixels(&without, &origin, "wm:1:nowe").await;
    assert_eq!(marked(&result), None);
}
