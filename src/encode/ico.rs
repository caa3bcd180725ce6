//! ICO: one PNG without a palette in a directory of one entry. Rule: `spec/formats.md` section 5.6.
//!
//! An image of more than 256 pixels on a side does not fit; the pipeline scales it down before.

use bytes::Bytes;

use super::{SaveOptions, Saver, to_rgb};
use crate::format::ImageFormat;
use crate::vips::{self, Image, Value, calls};

/// The table row.
pub const SAVER: Saver = Saver {
    format: ImageFormat::Ico,
    operation: Some(PNG),
    probe: None,
    save,
};

/// The libvips operation that encodes the picture.
const PNG: &str = "pngsave_target";

fn save(image: &Image, _options: &SaveOptions<'_>) -> Result<Bytes, vips::Error> {
    let image = to_rgb(image)?;
    let png = calls::save(&image, PNG, &[("palette", Value::Bool(false))])?;
    let mut file = Vec::with_capacity(DIRECTORY + png.len());
    write_directory(&mut file, &image, png.len());
    file.extend_from_slice(&png);
    Ok(file.into())
}

fn write_directory(file: &mut Vec<u8>, image: &Image, length: usize) {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes();
    // 0 means 256.
    let side = |n: i32| u8::try_from(n).unwrap_or(0);
    let bits = if image.bands() == 4 { 32 } else { 24 };
    file.extend([0, 0, 1, 0, 1, 0]);
    file.extend([side(image.width()), side(image.height()), 0, 0]);
    file.extend([1, 0, bits, 0]);
    file.extend(number(length));
    file.extend(number(DIRECTORY));
}

/// Length of the directory.
const DIRECTORY: usize = 22;
