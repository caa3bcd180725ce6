//! The crop before scaling.

use crate::args::{Access, Canonical, Float, Group, OptionDef};
use crate::geometry::{Rect, Size};
use crate::vips::{self, Image, calls};

use super::gravity::{CROP_ANCHORS, GravityKeys, GravityOption};
use super::{PipelineOptions, int};

/// `crop`: sizes in source pixels where ≥ 1, fractions of the source below, 0 for the whole side.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Crop {
    /// Horizontal size.
    pub width: f64,
    /// Vertical size.
    pub height: f64,
    /// Its gravity; without a kind the `gravity` option is used whole.
    pub gravity: GravityOption,
}

impl Crop {
    pub(super) fn canonical(self, out: &mut Canonical) {
        let (width, height) = (Float(self.width), Float(self.height));
        if self.gravity.kind.is_some() {
            let prefix = format!("{width}:{height}");
            self.gravity.canonical(CROP.name, &prefix, out);
        } else if self != Self::default() {
            out.option(CROP.name, &[&width, &height]);
        }
    }
}

const KEYS: GravityKeys = GravityKeys {
    all: "crop.gravity",
    kind: "crop.gravity.type",
    x: "crop.gravity.x_offset",
    y: "crop.gravity.y_offset",
    allowed: CROP_ANCHORS,
};

/// `crop`.
pub static CROP: OptionDef<PipelineOptions> = OptionDef {
    name: "crop",
    aliases: &["c"],
    usage: "crop:%width:%height:%gravity",
    example: "crop:0.5:300:nowe:10:10",
    group: Group::Geometry,
    summary: "Cut an area out of the source before it is resized",
    docs: "Cuts an area out of the source; resizing then works on that area.\n\
\n\
* `width`, `height` – numbers of at least 0. From 1 on they are source pixels (rounded down), below 1 a fraction of \
the source's side, and 0 is the whole side. Without `height` a value set earlier stays, 0 by default.\n\
* `gravity` – which area, written as in [`gravity`](#gravity) with its offsets. Without it the `gravity` option \
decides, the middle by default.\n\
\n\
`dpr` and `zoom` do not act on this option. An area larger than the source is reduced to it.",
    access: Access::Open,
    apply: |pipeline, args| {
        let crop = &mut pipeline.crop;
        crop.width = args.at(0, "crop.width").float_from_zero()?;
        if args.len() > 1 {
            crop.height = args.at(1, "crop.height").float_from_zero()?;
        }
        if args.len() > 2 {
            crop.gravity.apply(&args.tail(2), &KEYS)?;
        }
        Ok(())
    },
};

/// Takes an area out of an image.
///
/// # Errors
/// If the area is not inside the image.
pub fn extract(image: &Image, area: Rect) -> Result<Image, vips::Error> {
    calls::extract_area(
        image,
        int(area.left),
        int(area.top),
        int(area.width),
        int(area.height),
    )
}

/// Takes the most interesting area of a size; the image should be in memory because it is read twice.
///
/// # Errors
/// Whatever libvips says.
pub fn smart(image: &Image, size: Size) -> Result<Image, vips::Error> {
    calls::smartcrop(image, int(size.width), int(size.height))
}
