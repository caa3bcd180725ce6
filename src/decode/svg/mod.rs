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

/// Dots per inch for which CSS is defined.
const DPI: f64 = 96.0;

/// The smallest that libvips takes.
const SMALLEST_DPI: f64 = 0.001;

/// The first libvips that takes the resolution for physical units as well.
const PHYSICAL_UNITS_RIGHT: (u32, u32, u32) = (8, 17, 2);

/// With 96 dpi and this base scale one CSS pixel is one pixel, in every version of libvips.
fn load(bytes: &Bytes, options: &LoadOptions) -> Result<Image, vips::Error> {
    let corrected = if vips::version() < PHYSICAL_UNITS_RIGHT {
        units::in_pixels(bytes)
    } else {
        None
    };
    let (scale, dpi) = scale_and_dpi(options.shrink);
    open(
        OPERATION,
        corrected.as_ref().unwrap_or(bytes),
        &[
            ("dpi", Value::Double(dpi)),
            ("scale", Value::Double(scale)),
            ("unlimited", Value::Bool(options.svg_unlimited)),
        ],
    )
}

/// The base scale of a shrink, with what it lacks in the resolution: the versions that limit the one multiply both, and
/// without it a drawing of a million pixels a side would be rendered far larger than asked for.
fn scale_and_dpi(shrink: f64) -> (f64, f64) {
    let scale = 72.0 / DPI / shrink;
    if scale >= SMALLEST_SCALE {
        return (scale, DPI);
    }
    (
        SMALLEST_SCALE,
        (DPI * scale / SMALLEST_SCALE).max(SMALLEST_DPI),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enormous_drawings_are_rendered_as_small_as_asked() {
        vips::ready();
        let options = |shrink| LoadOptions {
            shrink,
            pages: 1,
            thumbnail: false,
            png_unlimited: false,
            svg_unlimited: false,
            tiff_unlimited: false,
        };
        for (side, shrink, expected) in [
            (100, 1.0, 100),
            (100, 0.5, 200),
            (700_000, 700.0, 1000),
            (9_000_000, 90_000.0, 100),
            (100_000_000, 10_000_000.0, 10),
        ] {
            let svg = format!(
                "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 4 4' width='{side}' height='{side}'>\
                 <path d='M0 0V2H2V0Z'/></svg>"
            );
            let image = load(&svg.into(), &options(shrink)).unwrap();
            assert_eq!(
                (image.width(), image.height()),
                (expected, expected),
                "{side}"
            );
            let pixels = image.to_pixels().unwrap();
            let alpha =
                |x: i32, y: i32| pixels[usize::try_from((y * expected + x) * 4 + 3).unwrap()];
            let (near, far) = (expected / 4, expected * 3 / 4);
            assert_eq!(
                [alpha(near, near), alpha(far, near), alpha(near, far)],
                [255, 0, 0]
            );
        }
    }
}
