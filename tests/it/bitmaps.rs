//! BMP and ICO through the whole server, and what the encoders write read back by the decoders.

use bytes::Bytes;
use imgforge::config::Config;
use imgforge::decode::{self, LoadOptions};
use imgforge::encode::{self, SaveOptions};
use imgforge::format::ImageFormat;
use imgforge::vips::{Image, Interpretation, calls};

use crate::common::{Origin, Script, Server, pictures};

fn picture(width: i32, height: i32, bands: i32) -> Image {
    let pixels: Vec<u8> = (0..width * height * bands)
        .map(|n| (n * 37 % 256).unsigned_abs() as u8)
        .collect();
    let space = if bands < 3 {
        Interpretation::Bw
    } else {
        Interpretation::Srgb
    };
    Image::from_pixels(pixels.into(), width, height, bands, space).unwrap()
}

fn save(image: &Image, format: ImageFormat) -> Bytes {
    let config = Config::from_pairs(&[]).unwrap().processing;
    let options = SaveOptions {
        quality: 80,
        config: &config,
    };
    (encode::saver(format).unwrap().save)(image, &options).unwrap()
}

fn load(bytes: &Bytes, format: ImageFormat) -> Image {
    let loader = decode::loader(format).unwrap();
    let image = loader.load(bytes, &LoadOptions::default()).unwrap();
    let size = loader.size_before_decoding(bytes).unwrap().unwrap();
    assert_eq!(
        (size.width, size.height),
        (image.width().into(), image.height().into())
    );
    image
}

#[tokio::test]
async fn what_is_written_is_read_back() {
    // It starts libvips.
    let _server = Server::start(&[]).await;
    for format in [ImageFormat::Bmp, ImageFormat::Ico] {
        for (width, height) in [(1, 1), (2, 3), (3, 2), (4, 1), (5, 4), (256, 200), (7, 256)] {
            for bands in 1..=4 {
                let name = format!("{format} {width}x{height}x{bands}");
                let image = picture(width, height, bands);
                let back = load(&save(&image, format), format);
                let rgb = if bands < 3 {
                    calls::colourspace(&image, Interpretation::Srgb, None).unwrap()
                } else {
                    image
                };
                assert_eq!(back.bands(), if bands % 2 == 0 { 4 } else { 3 }, "{name}");
                assert_eq!((back.width(), back.height()), (width, height), "{name}");
                assert_eq!(back.interpretation(), Interpretation::Srgb, "{name}");
                assert_eq!(
                    back.to_pixels().unwrap(),
                    rgb.to_pixels().unwrap(),
                    "{name}"
                );
            }
        }
        let image = picture(6, 4, 4);
        let wide = calls::colourspace(&image, Interpretation::Rgb16, None).unwrap();
        let back = load(&save(&wide, format), format);
        assert_eq!(
            back.to_pixels().unwrap(),
            image.to_pixels().unwrap(),
            "{format} of 16 bits"
        );
    }
}

#[tokio::test]
async fn headers_are_those_that_imgproxy_writes() {
    let _server = Server::start(&[]).await;
    for (bands, bits, row) in [(3, 24, 12_usize), (4, 32, 12)] {
        let bmp = save(&picture(3, 2, bands), ImageFormat::Bmp);
        assert_eq!(bmp.len(), 138 + 2 * row);
        assert_eq!(bmp[..2], *b"BM");
        assert_eq!(bmp[2], bmp.len() as u8, "length of the file");
        assert_eq!(bmp[10..15], [138, 0, 0, 0, 124]);
        assert_eq!(
            bmp[18..26],
            [3, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff],
            "upper row first"
        );
        assert_eq!(bmp[26..35], [1, 0, bits, 0, 0, 0, 0, 0, 2 * row as u8]);
        assert_eq!(
            bmp[54..74],
            *b"\0\0\xff\0\0\xff\0\0\xff\0\0\0\0\0\0\xffBGRs"
        );
        assert_eq!(
            bmp[122..138],
            [4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        );
    }
    for (bands, bits, side, listed) in [(3, 24, 256, 0), (4, 32, 255, 255)] {
        let ico = save(&picture(side, 2, bands), ImageFormat::Ico);
        assert_eq!(
            ico[..14],
            [0, 0, 1, 0, 1, 0, listed, 2, 0, 0, 1, 0, bits, 0]
        );
        assert_eq!(ico[14..18], (ico.len() as u32 - 22).to_le_bytes());
        assert_eq!(ico[18..26], *b"\x16\0\0\0\x89PNG");
    }
}

/// A BMP of indices with a palette of two colours: blue is 0, red is 1.
fn indexed(width: i32, height: i32, compression: u32, data: &[u8]) -> Vec<u8> {
    let mut file = b"BM".to_vec();
    file.extend([0; 8]);
    file.extend(62_u32.to_le_bytes());
    file.extend(40_u32.to_le_bytes());
    file.extend(width.to_le_bytes());
    file.extend(height.to_le_bytes());
    file.extend([1, 0, 8, 0]);
    file.extend(compression.to_le_bytes());
    file.extend([0; 12]);
    file.extend(2_u32.to_le_bytes());
    file.extend([0; 4]);
    file.extend([255, 0, 0, 0, 0, 0, 255, 0]);
    file.extend(data);
    file
}

/// An icon with one picture.
fn icon(width: u8, height: u8, picture: &[u8]) -> Vec<u8> {
    let mut file = vec![0, 0, 1, 0, 1, 0, width, height, 0, 0, 1, 0, 32, 0];
    file.extend((picture.len() as u32).to_le_bytes());
    file.extend(22_u32.to_le_bytes());
    file.extend(picture);
    file
}

#[tokio::test]
async fn a_palette_becomes_a_palette_again_but_not_from_an_icon() {
    let origin = Origin::start().await;
    let bmp = indexed(8, 2, 0, &[0, 1, 0, 1, 0, 1, 0, 1].repeat(2));
    let mut bitmap = indexed(8, 4, 0, &[0, 1, 0, 1, 0, 1, 0, 1].repeat(4)).split_off(14);
    bitmap.extend([0; 16]);
    origin
        .on("/a.bmp", Script::file(bmp, "image/bmp"))
        .on("/a.ico", Script::file(icon(8, 2, &bitmap), "image/x-icon"));
    let server = Server::start(&[]).await;
    for (name, colour_type) in [("a.bmp", 3), ("a.ico", 2)] {
        let reply = server.image("", &origin.url(&format!("/{name}@png"))).await;
        assert_eq!(reply.status, 200, "{name}: {}", reply.text());
        assert_eq!(reply.body[16..24], [0, 0, 0, 8, 0, 0, 0, 2], "{name}");
        assert_eq!(reply.body[25], colour_type, "{name}");
    }
}

#[tokio::test]
async fn sizes_are_checked_before_memory_is_taken() {
    let origin = Origin::start().await;
    // Four bytes of runs for 4·10^12 pixels; the claim of the other is not even true.
    let runs = indexed(2_000_000, -2_000_000, 1, &[1, 1, 0, 1]);
    let plain = indexed(i32::MAX, i32::MIN, 0, &[]);
    origin
        .on("/runs", Script::file(runs, "image/bmp"))
        .on("/plain", Script::file(plain, "image/bmp"))
        .on(
            "/short",
            Script::file(indexed(8, 8, 0, &[0; 10]), "image/bmp"),
        );
    let server = Server::start(&[("IMGPROXY_SKIP_PROCESSING_FORMATS", "bmp")]).await;
    for (path, options, extension, status) in [
        ("/runs", "", "@png", 422),
        ("/runs", "", "@bmp", 422),
        ("/plain", "w:10", "@png", 422),
        ("/plain", "", "@bmp", 422),
        ("/short", "w:10", "@png", 422),
        // What goes out as it came is not decoded.
        ("/short", "", "@bmp", 200),
    ] {
        let source = origin.url(&format!("{path}{extension}"));
        let reply = server.image(options, &source).await;
        assert_eq!(reply.status, status, "{path}{extension}: {}", reply.text());
        if path != "/short" {
            assert_eq!(reply.text(), "Invalid source image", "{path}{extension}");
        }
    }
}

#[tokio::test]
async fn broken_bitmaps_and_icons_are_the_sources_fault() {
    let origin = Origin::start().await;
    let png = pictures::plain_png(4, 4);
    let mut deep = indexed(4, 4, 0, &[0; 16]);
    deep[28] = 255;
    let mut crowded = icon(4, 4, &png);
    crowded[4..6].copy_from_slice(&[0xff, 0xff]);
    let cases = [
        ("255 bits", deep),
        ("too few literals", indexed(4, 4, 1, &[0, 200, 1])),
        ("an icon in an icon", icon(4, 4, &icon(4, 4, &png))),
        ("a PNG of another size", icon(4, 5, &png)),
        (
            "a bitmap of another size",
            icon(4, 4, &indexed(4, 4, 0, &[0; 16])[14..]),
        ),
        ("65535 entries", crowded),
        ("a broken PNG", icon(4, 4, &png[..20])),
    ];
    let server = Server::start(&[]).await;
    for (index, (name, file)) in cases.into_iter().enumerate() {
        let path = format!("/{index}");
        origin.on(&path, Script::file(file, "image/bmp"));
        let reply = server
            .image("w:10", &origin.url(&format!("{path}@png")))
            .await;
        assert_eq!(reply.status, 422, "{name}");
        assert_eq!(reply.text(), "Broken or unsupported image", "{name}");
    }
    origin.on("/right", Script::file(icon(4, 4, &png), "image/x-icon"));
    let reply = server.image("", &origin.url("/right@png")).await;
    assert_eq!(
        (reply.status, pictures::facts(&reply.body)),
        (200, ("png", 4, 4))
    );
}
