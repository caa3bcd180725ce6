//! Which part of the picture is left, and where: exact pixels of the numbered grid, no resampling involved.

use crate::common::pictures::{CELL, HEIGHT, Pixels, WIDTH, cell, png};
use crate::common::{Origin, Script, Server};

/// A server and the URL of the opaque grid as PNG.
async fn grid() -> (Server, String) {
    let origin = Origin::start().await;
    let picture = png(WIDTH, HEIGHT, |x, y| cell(x / CELL, y / CELL));
    origin.on("/grid.png", Script::file(picture, "image/png"));
    (Server::start(&[]).await, origin.url("/grid.png"))
}

async fn pixels(server: &Server, options: &str, source: &str) -> Pixels {
    let reply = server.image(options, &format!("{source}@png")).await;
    assert_eq!(reply.status, 200, "{options}: {}", reply.text());
    Pixels::of_png(&reply.body)
}

fn opaque([r, g, b]: [u8; 3]) -> [u8; 4] {
    [r, g, b, 255]
}

#[tokio::test]
async fn crops_keep_the_cell_that_was_asked_for() {
    let (server, source) = grid().await;
    // Options for a result of one cell, and which cell that is.
    for (options, (column, row)) in [
        ("c:16:16:nowe", (0, 0)),
        ("c:16:16:noea", (5, 0)),
        ("c:16:16:sowe", (0, 3)),
        ("c:16:16:soea", (5, 3)),
        ("c:16:16:nowe:32:16", (2, 1)),
        ("c:16:16:soea:16:32", (4, 1)),
        ("c:16:16:fp:0.25:0.625", (1, 2)),
        ("g:we/c:16:16:nowe", (0, 0)),
        ("c:96:16:no/rs:fill:16:16/g:we:48", (3, 0)),
    ] {
        let result = pixels(&server, options, &source).await;
        assert_eq!((result.width, result.height), (CELL, CELL), "{options}");
        for at in [(0, 0), (CELL - 1, 0), (0, CELL - 1), (CELL - 1, CELL - 1)] {
            assert_eq!(
                result.at(at.0, at.1),
                opaque(cell(column, row)),
                "{options} at {at:?}"
            );
        }
    }
}

#[tokio::test]
async fn turns_and_mirrors_move_the_corners() {
    let (server, source) = grid().await;
    let corners = [(0, 0), (5, 0), (0, 3), (5, 3)];
    // Options, result size, and which cells end up top left, top right, bottom left, bottom right.
    for (options, size, order) in [
        ("rot:0", (96, 64), [0, 1, 2, 3]),
        ("rot:90", (64, 96), [2, 0, 3, 1]),
        ("rot:180", (96, 64), [3, 2, 1, 0]),
        ("rot:270", (64, 96), [1, 3, 0, 2]),
        ("rot:-90", (64, 96), [1, 3, 0, 2]),
        ("fl:1", (96, 64), [1, 0, 3, 2]),
        ("fl:0:1", (96, 64), [2, 3, 0, 1]),
        ("fl:1:1", (96, 64), [3, 2, 1, 0]),
        ("rot:90/fl:1", (64, 96), [0, 2, 1, 3]),
    ] {
        let result = pixels(&server, options, &source).await;
        assert_eq!((result.width, result.height), size, "{options}");
        let (right, bottom) = (size.0 - 1, size.1 - 1);
        for (at, which) in [(0, 0), (right, 0), (0, bottom), (right, bottom)]
            .into_iter()
            .zip(order)
        {
            let (column, row): (u32, u32) = corners[which];
            assert_eq!(
                result.at(at.0, at.1),
                opaque(cell(column, row)),
                "{options} at {at:?}"
            );
        }
    }
}

#[tokio::test]
async fn exif_orientation_is_undone_unless_the_url_says_no() {
    let origin = Origin::start().await;
    origin.on("/o6.jpg", Script::image("grid-o6.jpg"));
    let server = Server::start(&[]).await;
    let source = origin.url("/o6.jpg");
    // JPEG is lossy: compare with some room, cells differ by 40 or more.
    let close = |a: [u8; 4], b: [u8; 3]| a.iter().zip(b).all(|(a, b)| a.abs_diff(b) <= 8);
    let turned = pixels(&server, "", &source).await;
    assert_eq!((turned.width, turned.height), (64, 96));
    assert!(close(turned.at(4, 4), cell(0, 3)), "{:?}", turned.at(4, 4));
    assert!(
        close(turned.at(60, 4), cell(0, 0)),
        "{:?}",
        turned.at(60, 4)
    );
    let as_stored = pixels(&server, "ar:0", &source).await;
    assert_eq!((as_stored.width, as_stored.height), (96, 64));
    assert!(
        close(as_stored.at(4, 4), cell(0, 0)),
        "{:?}",
        as_stored.at(4, 4)
    );
}

#[tokio::test]
async fn canvas_grows_around_the_picture() {
    let (server, source) = grid().await;
    // Options, result size, where the picture's top left corner is, what surrounds it.
    for (options, size, (left, top), around) in [
        ("pd:4:8", (112, 72), (8, 4), [0, 0, 0, 0]),
        ("pd:1:2:3:4/bg:ff0000", (102, 68), (4, 1), [255, 0, 0, 255]),
        ("s:100:80:0:1", (100, 80), (2, 8), [0, 0, 0, 0]),
        (
            "s:100:80:0:1:nowe:3:5/bg:0000ff",
            (100, 80),
            (3, 5),
            [0, 0, 255, 255],
        ),
        ("rs:fit:96:96/exar:1:so", (96, 96), (0, 32), [0, 0, 0, 0]),
    ] {
        let result = pixels(&server, options, &source).await;
        assert_eq!((result.width, result.height), size, "{options}");
        assert_eq!(result.at(left, top), opaque(cell(0, 0)), "{options}");
        assert_eq!(
            result.at(left + WIDTH - 1, top + HEIGHT - 1),
            opaque(cell(5, 3)),
            "{options}"
        );
        if left > 0 {
            assert_eq!(result.at(left - 1, top), around, "{options}");
        }
        assert_eq!(result.at(left, top - 1), around, "{options}");
    }
}

#[tokio::test]
async fn a_background_fills_transparency() {
    let origin = Origin::start().await;
    origin.on("/grid.png", Script::image("grid.png"));
    let server = Server::start(&[]).await;
    let source = origin.url("/grid.png");
    // The right half of this picture is transparent by half.
    let kept = pixels(&server, "", &source).await;
    assert_eq!(kept.at(90, 4)[3], 128);
    let filled = pixels(&server, "bg:000000", &source).await;
    let [r, g, b] = cell(5, 0);
    let dark = filled.at(90, 4);
    assert_eq!(dark[3], 255);
    for (seen, full) in dark.iter().zip([r, g, b]) {
        assert!(seen.abs_diff(full / 2) <= 2, "{dark:?}");
    }
    assert_eq!(filled.at(4, 4), opaque(cell(0, 0)));
}

#[tokio::test]
async fn trim_removes_a_plain_border() {
    let origin = Origin::start().await;
    let picture = png(60, 50, |x, y| {
        if (10..40).contains(&x) && (5..45).contains(&y) {
            [200, 30, 30]
        } else {
            [250, 250, 250]
        }
    });
    origin.on("/framed.png", Script::file(picture, "image/png"));
    let server = Server::start(&[]).await;
    for (options, size) in [
        ("t:10", (30, 40)),
        ("t:10:fafafa", (30, 40)),
        ("t:10:000000", (60, 50)),
        ("t:10::1", (40, 40)),
    ] {
        let result = pixels(&server, options, &origin.url("/framed.png")).await;
        assert_eq!((result.width, result.height), size, "{options}");
    }
}
