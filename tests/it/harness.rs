//! The helpers themselves: a test that trusts a blind helper cannot fail.

use std::time::Duration;

use crate::common::pictures::{CELL, HEIGHT, Pixels, WIDTH, cell, facts, file, png};
use crate::common::{Origin, Script, client, eventually};

async fn fetch(origin: &Origin, path: &str) -> client::Reply {
    let addr = origin
        .url("")
        .trim_start_matches("http://")
        .parse()
        .unwrap();
    client::request(addr, "GET", path, &[]).await
}

#[test]
fn headers_of_pictures_are_read() {
    for (name, format) in [
        ("grid.jpg", "jpeg"),
        ("grid-o6.jpg", "jpeg"),
        ("grid.png", "png"),
        ("grid.webp", "webp"),
        ("grid.gif", "gif"),
        ("grid.avif", "avif"),
        ("grid.tiff", "tiff"),
    ] {
        assert_eq!(facts(&file(name)), (format, WIDTH, HEIGHT), "{name}");
    }
}

#[test]
fn pixels_are_read() {
    let stored = Pixels::of_png(&file("grid.png"));
    let made = Pixels::of_png(&png(WIDTH, HEIGHT, |x, y| cell(x / CELL, y / CELL)));
    for y in 0..HEIGHT {
        for x in 0..WIDTH {
            let [r, g, b] = cell(x / CELL, y / CELL);
            let alpha = if x < WIDTH / 2 { 255 } else { 128 };
            assert_eq!(stored.at(x, y), [r, g, b, alpha], "{x},{y}");
            assert_eq!(made.at(x, y), [r, g, b, 255], "{x},{y}");
        }
    }
}

#[tokio::test]
async fn the_origin_does_as_it_is_told() {
    let origin = Origin::start().await;
    let text = "0123456789".repeat(300);
    origin
        .on("/whole", Script::file(text.as_str(), "text/plain"))
        .on(
            "/chunked",
            Script::file(text.as_str(), "text/plain").chunked(),
        )
        .on("/gone", Script::status(410))
        .on("/moved", Script::redirect(307, "/whole"));
    for path in ["/whole", "/chunked"] {
        let reply = fetch(&origin, path).await;
        assert_eq!((reply.status, reply.text()), (200, text.clone()), "{path}");
    }
    assert_eq!(fetch(&origin, "/gone").await.status, 410);
    assert_eq!(fetch(&origin, "/unknown").await.status, 404);
    assert_eq!(
        fetch(&origin, "/moved").await.header("location"),
        Some("/whole")
    );
    assert_eq!((origin.asked("/whole").len(), origin.connections()), (1, 5));
}

#[tokio::test]
async fn a_stalled_answer_knows_when_its_client_left() {
    let origin = Origin::start().await;
    origin.on("/stall", Script::file("0123456789", "text/plain").stall(5));
    let addr = origin
        .url("")
        .trim_start_matches("http://")
        .parse()
        .unwrap();
    let stream = client::send(addr, "GET", "/stall", &[]).await;
    eventually("the origin was asked", || origin.asked("/stall").len() == 1).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(origin.abandoned(), 0);
    drop(stream);
    eventually("the client has left", || origin.abandoned() == 1).await;
}
