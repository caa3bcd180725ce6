//! Pictures made in code, and what the header of an encoded picture says, read without the code under test.

use std::io::{Read, Write};
use std::path::Path;

/// A cell of the grid in `tests/images`, in pixels; the picture is 6 cells wide and 4 high.
pub const CELL: u32 = 16;
/// Width of the grid.
pub const WIDTH: u32 = 96;
/// Height of the grid.
pub const HEIGHT: u32 = 64;

/// The colour of a cell of the grid, as `tests/images/generate.py` makes it.
pub fn cell(column: u32, row: u32) -> [u8; 3] {
    [(40 * column + 20) as u8, (60 * row + 20) as u8, 128]
}

/// A file of `tests/images`.
pub fn file(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/images")
        .join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The type that a file name suggests.
pub fn mime(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default() {
        "jpg" => "image/jpeg",
        "png" => "image/png",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "avif" => "image/avif",
        "heic" => "image/heif",
        "tiff" => "image/tiff",
        _ => "application/octet-stream",
    }
}

/// An opaque PNG whose pixels `colour` gives by column and row.
pub fn png(width: u32, height: u32, colour: impl Fn(u32, u32) -> [u8; 3]) -> Vec<u8> {
    let mut rows = Vec::new();
    for y in 0..height {
        rows.push(0);
        for x in 0..width {
            rows.extend_from_slice(&colour(x, y));
        }
    }
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&rows).unwrap();
    let mut header = [width.to_be_bytes(), height.to_be_bytes()].concat();
    header.extend_from_slice(&[8, 2, 0, 0, 0]);

    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    let chunks = [
        (b"IHDR", header),
        (b"IDAT", encoder.finish().unwrap()),
        (b"IEND", Vec::new()),
    ];
    for (kind, data) in chunks {
        let mut crc = flate2::Crc::new();
        crc.update(kind);
        crc.update(&data);
        out.extend_from_slice(&(data.len() as u32).to_be_bytes());
        out.extend_from_slice(kind);
        out.extend_from_slice(&data);
        out.extend_from_slice(&crc.sum().to_be_bytes());
    }
    out
}

/// A PNG of this size with a gradient, for tests that look at sizes only.
pub fn plain_png(width: u32, height: u32) -> Vec<u8> {
    png(width, height, |x, y| [(x / 4) as u8, (y / 4) as u8, 90])
}

/// A BMP compressed by run length that ends at once.
pub fn declared_bmp(side: u32) -> Vec<u8> {
    let mut picture = b"BM".to_vec();
    for number in [
        1080,
        0,
        1078,
        40,
        side,
        side,
        0x0008_0001,
        1,
        2,
        0,
        0,
        256,
        0,
    ] {
        picture.extend_from_slice(&u32::to_le_bytes(number));
    }
    picture.resize(1078, 0);
    picture.extend_from_slice(&[0, 1]);
    picture
}

/// A PNG of this size with noise: many bytes, and detail that a lossy encoder can drop.
pub fn noise_png(width: u32, height: u32) -> Vec<u8> {
    png(width, height, |x, y| {
        let mut v = x.wrapping_mul(0x9E37_79B1) ^ y.wrapping_mul(0x85EB_CA77);
        v = (v ^ (v >> 15)).wrapping_mul(0x2C1B_3C6D);
        v = (v ^ (v >> 12)).wrapping_mul(0x297A_2D39);
        [(v >> 24) as u8, (v >> 16) as u8, (v >> 8) as u8]
    })
}

/// Format, width and height of an encoded picture by its own bytes.
pub fn facts(bytes: &[u8]) -> (&'static str, u32, u32) {
    let be16 = |at: usize| u32::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]));
    let le16 = |at: usize| u32::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
    let be32 = |at: usize| be16(at) << 16 | be16(at + 2);
    if bytes.starts_with(b"\x89PNG") {
        ("png", be32(16), be32(20))
    } else if bytes.starts_with(b"GIF8") {
        ("gif", le16(6), le16(8))
    } else if bytes.starts_with(b"\xff\xd8\xff") {
        let frame = jpeg_frame(bytes);
        ("jpeg", be16(frame + 7), be16(frame + 5))
    } else if bytes.starts_with(b"RIFF") && &bytes[8..12] == b"WEBP" {
        let (width, height) = webp_size(bytes);
        ("webp", width, height)
    } else if bytes.get(4..12) == Some(b"ftypavif") {
        let at = find(bytes, b"ispe").expect("an AVIF without a size") + 8;
        ("avif", be32(at), be32(at + 4))
    } else if bytes.starts_with(b"II*\0") {
        ("tiff", tiff_tag(bytes, 256), tiff_tag(bytes, 257))
    } else {
        panic!(
            "not a picture: {:?}",
            String::from_utf8_lossy(&bytes[..bytes.len().min(80)])
        )
    }
}

/// An animated picture by its own bytes.
#[derive(Debug, Default, PartialEq)]
pub struct Animation {
    /// Milliseconds that each frame is shown.
    pub delays: Vec<u32>,
    /// How often the animation runs; 0 is for ever.
    pub loops: Option<u32>,
}

/// The frames of a GIF or a WebP; a picture without an animation has none.
pub fn animation(bytes: &[u8]) -> Animation {
    if bytes.starts_with(b"GIF8") {
        gif_animation(bytes)
    } else {
        webp_animation(bytes)
    }
}

fn gif_animation(bytes: &[u8]) -> Animation {
    let table = |flags: u8| {
        if flags & 0x80 == 0 {
            0
        } else {
            3 << ((flags & 7) + 1)
        }
    };
    let le16 = |at: usize| u32::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
    let skip_blocks = |mut at: usize| {
        while bytes[at] != 0 {
            at += usize::from(bytes[at]) + 1;
        }
        at + 1
    };
    let mut found = Animation::default();
    let (mut at, mut delay) = (13 + table(bytes[10]), None);
    loop {
        at = match bytes[at] {
            0x21 => {
                match bytes[at + 1] {
                    0xf9 => delay = Some(le16(at + 4) * 10),
                    // The Netscape block stores the repetitions after the first run.
                    0xff if &bytes[at + 3..at + 11] == b"NETSCAPE" => {
                        found.loops = Some(le16(at + 16));
                    }
                    _ => {}
                }
                skip_blocks(at + 2)
            }
            0x2c => {
                found.delays.extend(delay.take());
                skip_blocks(at + 10 + table(bytes[at + 9]) + 1)
            }
            _ => return found,
        };
    }
}

fn webp_animation(bytes: &[u8]) -> Animation {
    let le32 = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let mut found = Animation::default();
    let mut at = 12;
    while at + 8 <= bytes.len() {
        match &bytes[at..at + 4] {
            b"ANIM" => found.loops = Some(le32(at + 12) & 0xffff_u32),
            b"ANMF" => found.delays.push(le32(at + 20) & 0xff_ffff),
            _ => {}
        }
        at += 8 + (le32(at + 4) as usize).next_multiple_of(2);
    }
    found
}

/// Where the first start-of-frame marker of a JPEG stands.
pub fn jpeg_frame(bytes: &[u8]) -> usize {
    let mut at = 2;
    loop {
        let marker = bytes[at + 1];
        if (0xc0..=0xcf).contains(&marker) && ![0xc4, 0xc8, 0xcc].contains(&marker) {
            return at;
        }
        at += 2 + usize::from(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]]));
    }
}

fn webp_size(bytes: &[u8]) -> (u32, u32) {
    let le = |at: usize, n: usize| {
        (0..n)
            .rev()
            .fold(0, |v, i| v << 8 | u32::from(bytes[at + i]))
    };
    match &bytes[12..16] {
        b"VP8 " => (le(26, 2) & 0x3fff, le(28, 2) & 0x3fff),
        b"VP8L" => ((le(21, 4) & 0x3fff) + 1, (le(21, 4) >> 14 & 0x3fff) + 1),
        b"VP8X" => (le(24, 3) + 1, le(27, 3) + 1),
        other => panic!("unknown WebP chunk {other:?}"),
    }
}

/// A number of the first directory of a little-endian TIFF.
fn tiff_tag(bytes: &[u8], tag: u16) -> u32 {
    let le = |at: usize, n: usize| {
        (0..n)
            .rev()
            .fold(0, |v, i| v << 8 | u32::from(bytes[at + i]))
    };
    let directory = le(4, 4) as usize;
    (0..le(directory, 2) as usize)
        .map(|i| directory + 2 + 12 * i)
        .find(|at| le(*at, 2) == u32::from(tag))
        .map(|at| {
            if le(at + 2, 2) == 3 {
                le(at + 8, 2)
            } else {
                le(at + 8, 4)
            }
        })
        .expect("a TIFF without a size")
}

/// The decoded pixels of a PNG with 8 bits per sample.
pub struct Pixels {
    pub width: u32,
    pub height: u32,
    rgba: Vec<[u8; 4]>,
}

impl Pixels {
    /// Decodes a PNG that is neither interlaced nor has a palette.
    pub fn of_png(bytes: &[u8]) -> Self {
        let (format, width, height) = facts(bytes);
        assert_eq!(format, "png");
        assert_eq!(bytes[24], 8, "bits per sample");
        assert_eq!(bytes[28], 0, "interlacing");
        let bands = match bytes[25] {
            0 => 1,
            2 => 3,
            4 => 2,
            6 => 4,
            other => panic!("PNG colour type {other}"),
        };
        let stride = bands * width as usize;
        let filtered = inflate(bytes);
        let mut rows: Vec<u8> = Vec::new();
        for (y, line) in filtered.chunks(stride + 1).enumerate() {
            for x in 0..stride {
                let left = if x < bands {
                    0
                } else {
                    rows[y * stride + x - bands]
                };
                let up = if y == 0 {
                    0
                } else {
                    rows[(y - 1) * stride + x]
                };
                let corner = if x < bands || y == 0 {
                    0
                } else {
                    rows[(y - 1) * stride + x - bands]
                };
                let guess = match line[0] {
                    0 => 0,
                    1 => left,
                    2 => up,
                    3 => ((u16::from(left) + u16::from(up)) / 2) as u8,
                    _ => paeth(left, up, corner),
                };
                rows.push(line[x + 1].wrapping_add(guess));
            }
        }
        let rgba = rows
            .chunks(bands)
            .map(|p| match *p {
                [v] => [v, v, v, 255],
                [v, a] => [v, v, v, a],
                [r, g, b] => [r, g, b, 255],
                [r, g, b, a] => [r, g, b, a],
                _ => unreachable!("bands are 1 to 4"),
            })
            .collect();
        Self {
            width,
            height,
            rgba,
        }
    }

    /// One pixel.
    pub fn at(&self, x: u32, y: u32) -> [u8; 4] {
        self.rgba[(y * self.width + x) as usize]
    }
}

fn paeth(left: u8, up: u8, corner: u8) -> u8 {
    let (a, b, c) = (i16::from(left), i16::from(up), i16::from(corner));
    let estimate = a + b - c;
    let (da, db, dc) = (
        (estimate - a).abs(),
        (estimate - b).abs(),
        (estimate - c).abs(),
    );
    if da <= db && da <= dc {
        left
    } else if db <= dc {
        up
    } else {
        corner
    }
}

/// The joined and decompressed IDAT chunks.
fn inflate(bytes: &[u8]) -> Vec<u8> {
    let mut data = Vec::new();
    let mut at = 8;
    while at < bytes.len() {
        let length = u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        if &bytes[at + 4..at + 8] == b"IDAT" {
            data.extend_from_slice(&bytes[at + 8..at + 8 + length]);
        }
        at += length + 12;
    }
    let mut out = Vec::new();
    flate2::read::ZlibDecoder::new(&data[..])
        .read_to_end(&mut out)
        .unwrap();
    out
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|w| w == what)
}
