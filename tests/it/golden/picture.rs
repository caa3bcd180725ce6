//! What is recorded of a result: its facts, and the mean colours of a grid of cells.

use std::fmt;

use crate::common::pictures::{file, jpeg_frame};
use bytes::Bytes;
use imgforge::decode::{self, LoadOptions};
use imgforge::encode;
use imgforge::format::ImageFormat;
use imgforge::vips::{BandFormat, Image, Interpretation, ThreadGuard, calls};

/// A result as it is recorded.
#[derive(Debug, Default, PartialEq)]
pub struct Picture {
    /// Status, format, size, channels, and what else is told by words; the first words of the recording.
    facts: Vec<String>,
    /// Per cell its mean colour, weighted by alpha, and its mean alpha where the picture has one.
    cells: Vec<Vec<u8>>,
}

impl Picture {
    /// Reads what [`Display`](fmt::Display) writes.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (mut facts, mut cells) = (Vec::new(), Vec::new());
        for word in text.split_whitespace() {
            // Cells come behind four facts at least, and are longer than any number among them.
            if facts.len() >= 4 && !word.contains(['=', ',']) {
                cells.push(hex(word).ok_or(format!("no cell: {word}"))?);
            } else {
                facts.push(word.to_owned());
            }
        }
        match facts.first().map(|status| status.parse::<u16>()) {
            Some(Ok(_)) => Ok(Self { facts, cells }),
            _ => Err(format!("no status: {text}")),
        }
    }

    /// Reads an answer.
    pub fn of(status: u16, body: &[u8]) -> Self {
        let mut facts = vec![status.to_string()];
        let Some(format) = (status == 200).then(|| format_of(body)) else {
            return Self {
                facts,
                cells: Vec::new(),
            };
        };
        facts.push(format.name().to_owned());
        if format == ImageFormat::Svg {
            facts.push(format!("bytes={}", body.len()));
            facts.extend(markers(body));
            return Self {
                facts,
                cells: Vec::new(),
            };
        }
        let _guard = ThreadGuard::new();
        let image = open(format, body);
        let frames = image.height() / image.page_height();
        facts.push(format!("{}x{}", image.width(), image.page_height()));
        let channels = match image.bands() {
            1 => "grey",
            2 => "grey+alpha",
            3 => "rgb",
            _ => "rgba",
        };
        facts.push(match image.format() {
            BandFormat::Uchar => channels.to_owned(),
            BandFormat::Ushort => format!("{channels}-16"),
            other => format!("{channels}-{other:?}"),
        });
        if frames > 1 {
            facts.push(format!("pages={frames}"));
            let delay = image.array_int("delay").unwrap_or_default();
            let delay: Vec<String> = delay.iter().map(i32::to_string).collect();
            facts.push(format!("delay={}", delay.join(",")));
            facts.push(format!("loop={}", image.int("loop").unwrap_or(0)));
        }
        if image.has("icc-profile-data") {
            facts.push(format!(
                "icc={}",
                image.blob("icc-profile-data").unwrap().len()
            ));
        }
        if let Some(orientation @ 2..) = image.int("orientation") {
            facts.push(format!("orientation={orientation}"));
        }
        if format == ImageFormat::Png && body[28] != 0 {
            facts.push("interlaced=1".to_owned());
        }
        if format == ImageFormat::Jpeg && body[jpeg_frame(body) + 1] == 0xc2 {
            facts.push("progressive=1".to_owned());
        }
        if format == ImageFormat::Png && body[25] == 3 {
            facts.push(format!("palette={}", body[24]));
        }
        facts.extend(markers(body));
        let lossy = LOSSY.contains(&format.name());
        let cells = cells(&image, frames.try_into().unwrap_or(1), lossy, 0);
        Self { facts, cells }
    }

    /// Whether its encoder changes pixels.
    pub fn is_lossy(&self) -> bool {
        let lossy = |format: &String| LOSSY.contains(&format.as_str());
        self.facts.get(1).is_some_and(lossy)
            || self.facts.iter().any(|fact| fact.starts_with("palette="))
    }

    /// Whether this build has the encoder; its name says no more than that libvips was built with it.
    pub fn can_be_written(&self) -> bool {
        let format = self
            .facts
            .get(1)
            .and_then(|name| ImageFormat::from_name(name));
        format.is_none_or(|format| {
            format == ImageFormat::Svg || encode::savable().any(|f| f == format)
        })
    }

    /// What differs, if anything. `within` is the tolerance of a mean colour.
    pub fn difference(&self, found: &Self, within: u8) -> Option<String> {
        if self.facts != found.facts {
            return Some(format!(
                "{}, recorded {}",
                found.facts.join(" "),
                self.facts.join(" ")
            ));
        }
        if self.cells.len() != found.cells.len() {
            return Some("another number of cells".to_owned());
        }
        let values = |picture: &Self| picture.cells.concat();
        let off = values(self)
            .into_iter()
            .zip(values(found))
            .map(|(a, b)| a.abs_diff(b))
            .max()?;
        (off > within).then(|| format!("a cell is off by {off}"))
    }

    /// The same with every pixel one to the right; `None` where there is not enough to see, or the format rounds by itself.
    pub fn shifted(&self, body: &[u8]) -> Option<Self> {
        if self.cells.is_empty() || self.is_lossy() || format_of(body) != ImageFormat::Png {
            return None;
        }
        let _guard = ThreadGuard::new();
        let image = open(ImageFormat::Png, body);
        let large = image.width() >= 24 && image.height() >= 16;
        large.then(|| Self {
            facts: self.facts.clone(),
            cells: cells(&image, 1, false, 1),
        })
    }
}

impl fmt::Display for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.facts.join(" "))?;
        for cell in &self.cells {
            f.write_str(" ")?;
            for value in cell {
                write!(f, "{value:02x}")?;
            }
        }
        Ok(())
    }
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.len().is_multiple_of(2).then_some(text.len() / 2)?;
    (0..pairs)
        .map(|n| u8::from_str_radix(text.get(2 * n..2 * n + 2)?, 16).ok())
        .collect()
}

/// Whether this build has the decoder of a picture of `tests/images/scene`.
pub fn can_be_read(source: &str) -> bool {
    let name = source.split('@').next().unwrap_or_default();
    let codec = [".heic", ".avif", ".jxl"]
        .iter()
        .any(|ending| name.ends_with(ending));
    if !codec {
        return true;
    }
    let _guard = ThreadGuard::new();
    let body = file(&format!("scene/{name}"));
    let loader = decode::loader(format_of(&body));
    let image = loader.and_then(|loader| loader.load(&Bytes::from(body), &options(1)).ok());
    image.is_some_and(|image| image.to_pixels().is_ok())
}

fn options(pages: i32) -> LoadOptions {
    LoadOptions {
        pages,
        ..LoadOptions::default()
    }
}

fn format_of(body: &[u8]) -> ImageFormat {
    imgforge::format::sniff::sniff(body, None, None).expect("a picture")
}

/// All frames.
fn open(format: ImageFormat, body: &[u8]) -> Image {
    let load = |pages| {
        let loader = decode::loader(format).expect("a loader");
        loader
            .load(&Bytes::copy_from_slice(body), &options(pages))
            .unwrap()
    };
    let first = load(1);
    match first.int("n-pages") {
        Some(pages @ 2..) if first.has("delay") => load(pages),
        _ => first,
    }
}

/// The words of `tests/images/scene` that say which metadata is left.
fn markers(body: &[u8]) -> Vec<String> {
    const WORDS: &[&str] = &[
        "exif-copyright",
        "exif-artist",
        "exif-make",
        "xmp-rights",
        "xmp-creator",
        "xmp-tool",
        "iptc-copyright",
        "iptc-byline",
        "iptc-caption",
        "script",
        "onclick",
    ];
    let found = |word: &&&str| body.windows(word.len()).any(|part| part == word.as_bytes());
    WORDS
        .iter()
        .filter(found)
        .map(|word| format!("has={word}"))
        .collect()
}

/// Mean colours of the cells, row by row; an animation has two rows for each frame. `shift` moves the picture to the right.
fn cells(image: &Image, frames: usize, lossy: bool, shift: usize) -> Vec<Vec<u8>> {
    let without_profile = image
        .edit(|metadata| metadata.remove("icc-profile-data"))
        .unwrap();
    let grey = image.bands() < 3;
    let space = if grey {
        Interpretation::Bw
    } else {
        Interpretation::Srgb
    };
    let plain = calls::colourspace(&without_profile, space, None).unwrap();
    let plain = calls::cast(&plain, BandFormat::Uchar).unwrap();
    let [width, height, bands] =
        [plain.width(), plain.height(), plain.bands()].map(|n| usize::try_from(n).expect("a size"));
    let alpha = plain.has_alpha();
    let pixels = plain.to_pixels().unwrap();
    let (columns, rows) = if lossy { (4, 3) } else { (8, 6) };
    let columns = columns.min(width);
    let rows = if frames > 1 {
        2 * frames
    } else {
        rows.min(height)
    };
    let mut sums = vec![vec![0_u64; bands + 1]; columns * rows];
    for (index, pixel) in pixels.chunks(bands).enumerate() {
        let (x, y) = ((index % width + shift).min(width - 1), index / width);
        let sum = &mut sums[y * rows / height * columns + x * columns / width];
        let weight = if alpha {
            u64::from(pixel[bands - 1])
        } else {
            255
        };
        for (band, value) in pixel.iter().enumerate() {
            let opaque = alpha && band == bands - 1;
            sum[band] += u64::from(*value) * if opaque { 255 } else { weight };
        }
        sum[bands] += 255;
    }
    sums.into_iter()
        .map(|sum| {
            let count = sum[bands].max(1);
            sum[..bands]
                .iter()
                .map(|value| ((value + count / 2) / count) as u8)
                .collect()
        })
        .collect()
}

/// Formats whose pixels are not those that were encoded. Their cells are larger, so that they tell less of the encoder.
const LOSSY: &[&str] = &["jpeg", "webp", "avif", "heic", "jxl", "gif"];
