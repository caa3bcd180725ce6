//! Headers, and pictures there and back.

use super::*;

fn never() -> bool {
    false
}

fn chunk(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut crc = flate2::Crc::new();
    crc.update(kind);
    crc.update(body);
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&length[..], kind, body, &crc.sum().to_be_bytes()].concat()
}

fn start(width: u32, height: u32, rest: [u8; 5]) -> Vec<u8> {
    let sides = [width.to_be_bytes(), height.to_be_bytes()].concat();
    chunk(b"IHDR", &[sides, rest.to_vec()].concat())
}

fn file(chunks: &[Vec<u8>]) -> Vec<u8> {
    let end = chunk(b"IDAT", &[]);
    [b"\x89PNG\r\n\x1a\n".to_vec(), chunks.concat(), end].concat()
}

fn picture(width: usize, height: usize, bands: usize) -> Raster {
    let value = |i: usize| u8::try_from((i / bands % width * 3 + i / bands / width) % 256).unwrap();
    let bytes = (0..width * height * bands).map(value).collect();
    Raster::new(width, height, bands, bytes).unwrap()
}

#[test]
fn kinds() {
    for (depth, colour, interlaced, expected) in [
        (8, 0, 0, Some((1, false, None))),
        (1, 0, 1, Some((1, false, None))),
        (8, 2, 0, Some((3, false, None))),
        (8, 4, 0, Some((1, true, None))),
        (8, 6, 1, Some((3, true, None))),
        (16, 2, 0, None),
        (4, 2, 0, None),
        (8, 5, 0, None),
        (3, 0, 0, None),
        (8, 2, 2, None),
        // A palette that is missing.
        (8, 3, 0, None),
    ] {
        let file = file(&[start(5, 7, [depth, colour, 0, 0, interlaced])]);
        let found = header(&file).map(|h| (h.colours, h.alpha, h.palette_depth));
        assert_eq!(found, expected, "{depth} {colour} {interlaced}");
    }
    for (width, height) in [(0, 1), (1, 0), (10_000_001, 1)] {
        assert_eq!(
            header(&file(&[start(width, height, [8, 2, 0, 0, 0])])),
            None
        );
    }
}

#[test]
fn chunks() {
    let rgb = || start(5, 7, [8, 2, 0, 0, 0]);
    let indexed = || start(5, 7, [2, 3, 0, 0, 0]);
    let text = |start: &[u8]| chunk(b"iTXt", &[b"XML:com.adobe.xmp\0", start, b"<x/>"].concat());
    let xmp = || text(b"\0\0\0\0");
    let profile = || {
        let mut deflater = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut deflater, b"profile").unwrap();
        let data = deflater.finish().unwrap();
        chunk(b"iCCP", &[b"name\0\0", &data[..]].concat())
    };
    for (name, chunks, right) in [
        ("palette", vec![indexed(), chunk(b"PLTE", &[0; 12])], true),
        (
            "too many colours",
            vec![indexed(), chunk(b"PLTE", &[0; 15])],
            false,
        ),
        (
            "odd colours",
            vec![indexed(), chunk(b"PLTE", &[0; 11])],
            false,
        ),
        (
            "alpha before its palette",
            vec![indexed(), chunk(b"tRNS", &[0]), chunk(b"PLTE", &[0; 12])],
            false,
        ),
        (
            "a transparent colour",
            vec![rgb(), chunk(b"tRNS", &[0; 6])],
            true,
        ),
        (
            "two",
            vec![rgb(), chunk(b"tRNS", &[0; 6]), chunk(b"tRNS", &[0; 6])],
            false,
        ),
        ("half of one", vec![rgb(), chunk(b"tRNS", &[0; 3])], false),
        ("XMP", vec![rgb(), xmp()], true),
        ("XMP twice", vec![rgb(), xmp(), xmp()], false),
        ("compressed XMP", vec![rgb(), text(b"\x01\0\0\0")], false),
        ("a profile", vec![rgb(), profile()], true),
        ("two profiles", vec![rgb(), profile(), profile()], false),
        (
            "sRGB as well",
            vec![rgb(), chunk(b"sRGB", &[0]), profile()],
            false,
        ),
        (
            "a broken profile",
            vec![rgb(), chunk(b"iCCP", b"name\0\0abc")],
            false,
        ),
        (
            "comment",
            vec![rgb(), chunk(b"tEXt", b"a\0b"), chunk(b"teSt", b"")],
            true,
        ),
        (
            "unknown and critical",
            vec![rgb(), chunk(b"TEST", b"")],
            false,
        ),
        ("animation", vec![rgb(), chunk(b"acTL", &[0; 8])], false),
        (
            "too many",
            [vec![rgb()], vec![chunk(b"tEXt", b"a\0b"); 100]].concat(),
            false,
        ),
        ("no start", vec![chunk(b"tEXt", b"a\0b"), rgb()], false),
    ] {
        assert_eq!(header(&file(&chunks)).is_some(), right, "{name}");
    }
    let whole = file(&[rgb(), xmp(), chunk(b"eXIf", b"II*\0"), profile()]);
    let found = header(&whole).unwrap();
    assert_eq!(
        (found.xmp, found.exif),
        (Some(&b"<x/>"[..]), Some(&b"II*\0"[..]))
    );
    assert_eq!(found.profile.as_deref(), Some(&b"profile"[..]));
    // A wrong checksum, and every beginning.
    for at in 20..whole.len() - 12 {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        assert_eq!(header(&damaged), None, "{at}");
    }
    for length in 0..whole.len() - 8 {
        assert_eq!(header(&whole[..length]), None, "{length}");
    }
}

#[test]
fn there_and_back() {
    for bands in 1..=4 {
        for (width, height) in [(67, 35), (1, 1), (300, 200)] {
            let raster = picture(width, height, bands);
            let options = Options {
                xmp: Some(b"<x/>"),
                exif: true,
            };
            let bytes = encode(&raster, &options, &never).unwrap();
            let plain = encode(&raster, &Options::default(), &never).unwrap();
            let header = header(&plain).unwrap();
            assert_eq!(decode(&plain, &header, &never), Some(raster.clone()));
            assert_eq!(header.exif.or(header.xmp), None);
            // The packet is compressed, as libvips does.
            assert_eq!(super::header(&bytes), None);
            let reader = Decoder::new(Cursor::new(&bytes[..])).read_info().unwrap();
            let info = reader.info();
            let exif = crate::codec::exif::parse(info.exif_metadata.as_deref().unwrap());
            assert_eq!(exif.unwrap().orientation, 1);
            let text = info.compressed_latin1_text.first().unwrap().get_text();
            assert_eq!(text.unwrap(), "<x/>");
        }
    }
    let five = Raster::new(1, 1, 5, vec![0; 5]).unwrap();
    assert_eq!(encode(&five, &Options::default(), &never), None);
    let options = Options {
        xmp: Some("<ä/>".as_bytes()),
        ..Options::default()
    };
    assert_eq!(encode(&picture(2, 2, 3), &options, &never), None);
}

#[test]
fn flat_graphics_are_small() {
    let stripes = |i: usize| if i / 4 % 64 < 32 { 200 } else { 10 };
    let raster = Raster::new(256, 256, 4, (0..256 * 256 * 4).map(stripes).collect()).unwrap();
    let bytes = encode(&raster, &Options::default(), &never).unwrap();
    assert!(bytes.len() < 1200, "{}", bytes.len());
}

#[test]
fn damaged_files_are_left_to_others() {
    let raster = picture(200, 100, 4);
    let bytes = encode(&raster, &Options::default(), &never).unwrap();
    let header = header(&bytes).unwrap();
    for length in [bytes.len() / 2, bytes.len() - 30] {
        assert_eq!(decode(&bytes[..length], &header, &never), None, "{length}");
    }
    for other in [
        Header {
            height: 101,
            ..header.clone()
        },
        Header {
            alpha: false,
            ..header.clone()
        },
    ] {
        assert_eq!(decode(&bytes, &other, &never), None);
    }
}

#[test]
fn work_that_is_no_longer_wanted_ends() {
    let raster = picture(64, 64, 3);
    let bytes = encode(&raster, &Options::default(), &never).unwrap();
    let header = header(&bytes).unwrap();
    assert_eq!(encode(&raster, &Options::default(), &|| true), None);
    assert_eq!(decode(&bytes, &header, &|| true), None);
}
