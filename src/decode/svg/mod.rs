//! SVG, rasterised at 96 dots per inch. External references are not loaded.

mod units;

use bytes::Bytes;

use super::{Decoder, LoadOptions, Loader, open};
use crate::format::ImageFormat;
use crate::vips::{self, Image, Value};

/// The table row.
pub const LOADER: Loader = Loader {
    format: ImageFormat::Svg,
    decoder: Decoder::Vips {
        operation: OPERATION,
        load,
    },
};

/// The libvips operation.
pub const OPERATION: &str = "svgload_source";

/// libvips before 8.15.2 takes no smaller scale.
const SMALLEST_SCALE: f64 = 0.001;

/// The first libvips that takes the resolution for physical units as well.
const PHYSICAL_UNITS_RIGHT: (u32, u32, u32) = (8, 17, 2);

/// With 96 dpi and this base scale one CSS pixel is one pixel, in every version of libvips.
fn load(bytes: &Bytes, options: &LoadOptions) -> Result<Image, vips::Error> {
    let corrected = if vips::version() < PHYSICAL_UNITS_RIGHT {
        units::in_pixels(bytes)
    } else {
        None
    };
    let scale = (1.0 / options.shrink * 72.0 / 96.0).max(SMALLEST_SCALE);
    open(
        OPERATION,
        corrected.as_ref().unwrap_or(bytes),
        &[
            ("dpi", Value::Double(96.0)),
            ("scale", Value::Double(scale)),
            ("unlimited", Value::Bool(options.svg_unlimited)),
        ],
    )
}
