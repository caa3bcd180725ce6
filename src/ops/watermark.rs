//! The watermark: opacity, position, size.

use crate::args::{Access, Canonical, Float, Group, OptionDef};
use crate::geometry::GravityKind;
use crate::vips::{self, Image, Interpretation, calls};

use super::{PipelineOptions, int};

/// `watermark`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Watermark {
    /// 0–1; 0 is off. Multiplied by `IMGPROXY_WATERMARK_OPACITY`.
    pub opacity: f64,
    /// The anchor, or [`GravityKind::Replicate`].
    pub position: GravityKind,
    /// Horizontal offset: pixels before DPR where |x| ≥ 1, else a fraction of the result's width. Gap when replicated.
    pub x: f64,
    /// Vertical offset, likewise.
    pub y: f64,
    /// Size relative to the result; 0 leaves the watermark as it is.
    pub scale: f64,
}

impl Watermark {
    pub(super) fn canonical(self, out: &mut Canonical) {
        if self.opacity > 0.0 {
            let (opacity, x, y) = (Float(self.opacity), Float(self.x), Float(self.y));
            let (position, scale) = (self.position.name(), Float(self.scale));
            out.option(WATERMARK.name, &[&opacity, &position, &x, &y, &scale]);
        }
    }
}

const POSITIONS: &[GravityKind] = &[
    GravityKind::Replicate,
    GravityKind::Center,
    GravityKind::North,
    GravityKind::East,
    GravityKind::South,
    GravityKind::West,
    GravityKind::NorthWest,
    GravityKind::NorthEast,
    GravityKind::SouthWest,
    GravityKind::SouthEast,
];

/// `watermark`.
pub static WATERMARK: OptionDef<PipelineOptions> = OptionDef {
    name: "watermark",
    aliases: &["wm"],
    usage: "watermark:%opacity:%position:%x_offset:%y_offset:%scale",
    example: "watermark:0.5:soea:10:10:0.2",
    group: Group::Effects,
    summary: "Put the configured watermark on the result",
    docs: "Puts the server's watermark (`IMGPROXY_WATERMARK_DATA`, `IMGPROXY_WATERMARK_PATH` or \
`IMGPROXY_WATERMARK_URL`) on the result. Without such a watermark the option does nothing.\n\
\n\
* `opacity` – 0 to 1, multiplied by `IMGPROXY_WATERMARK_OPACITY`. Default: 0, no watermark.\n\
* `position` – `ce` (default), `no`, `ea`, `so`, `we`, `nowe`, `noea`, `sowe`, `soea`, or `re` to cover the whole \
image with copies.\n\
* `x_offset`, `y_offset` – move the watermark: inwards from an edge, right and down from the middle; with `re` the gaps \
between the copies. From a magnitude of 1 on in pixels that are multiplied by `dpr`, below 1 a fraction of the \
result's side. Default: 0.\n\
* `scale` – size relative to the result, above 0; 0 (default) leaves the watermark in its own size.\n\
\n\
Empty arguments keep the values set earlier.",
    access: Access::Open,
    apply: |pipeline, args| {
        // imgproxy lets two more arguments pass and ignores them.
        args.at_most(7, "watermark")?;
        let watermark = &mut pipeline.watermark;
        watermark.opacity = args.at(0, "watermark.opacity").fraction()?;
        if let Some(position) = args.given(1, "watermark.position") {
            watermark.position = position.choice(POSITIONS, GravityKind::name)?;
        }
        if let Some(x) = args.given(2, "watermark.x_offset") {
            watermark.x = x.float()?;
        }
        if let Some(y) = args.given(3, "watermark.y_offset") {
            watermark.y = y.float()?;
        }
        if let Some(scale) = args.given(4, "watermark.scale") {
            watermark.scale = scale
                .float_from_zero()
                .map_err(|_| scale.error("positive number"))?;
        }
        Ok(())
    },
};

/// Blends an overlay over an image at every given place (left, top), which may lie partly outside.
///
/// # Errors
/// Whatever libvips says.
pub fn blend(
    image: &Image,
    overlay: &Image,
    opacity: f64,
    places: &[(i64, i64)],
) -> Result<Image, vips::Error> {
    let mut overlay = calls::add_alpha(overlay)?;
    if opacity < 1.0 {
        let colours = overlay.bands() - 1;
        let alpha = calls::linear(
            &calls::extract_band(&overlay, colours, 1)?,
            &[opacity],
            &[0.0],
        )?;
        overlay = calls::bandjoin(&[calls::extract_band(&overlay, 0, colours)?, alpha])?;
    }
    let overlay_is_grey = matches!(
        overlay.guess_interpretation(),
        Interpretation::Bw | Interpretation::Grey16
    );
    let space = match image.guess_interpretation() {
        Interpretation::Bw if !overlay_is_grey => Interpretation::Srgb,
        Interpretation::Grey16 if !overlay_is_grey => Interpretation::Rgb16,
        space => space,
    };
    let mut blended = image.clone();
    for (left, top) in places {
        blended = calls::composite2(&blended, &overlay, int(*left), int(*top), Some(space))?;
    }
    let blended = calls::cast(&blended, image.format())?;
    if image.has_alpha() {
        return Ok(blended);
    }
    calls::extract_band(&blended, 0, blended.bands() - 1)
}

/// Repeats an image in both directions.
///
/// # Errors
/// Whatever libvips says.
pub fn replicate(image: &Image, across: i64, down: i64) -> Result<Image, vips::Error> {
    calls::replicate(image, int(across), int(down))
}
