//! Cutting off a uniform border.

use crate::args::{Access, Canonical, Float, Group, OptionDef};
use crate::color::Rgb;
use crate::vips::{self, Image, Interpretation, calls};

use super::PipelineOptions;

/// `trim`; enabled iff a threshold is set.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Trim {
    /// Largest difference to the background that still counts as background, in 0–255; a negative value means 10.
    pub threshold: Option<f64>,
    /// The background; `None` takes the top left pixel.
    pub color: Option<Rgb>,
    /// Cut the same amount left and right.
    pub equal_horizontal: bool,
    /// Cut the same amount at top and bottom.
    pub equal_vertical: bool,
}

impl Trim {
    pub(super) fn canonical(self, out: &mut Canonical) {
        let Some(threshold) = self.threshold.map(Float) else {
            return;
        };
        let color = self.color.map(|c| c.to_string()).unwrap_or_default();
        let (horizontal, vertical) = (
            u8::from(self.equal_horizontal),
            u8::from(self.equal_vertical),
        );
        out.option(TRIM.name, &[&threshold, &color, &horizontal, &vertical]);
    }
}

/// `trim`.
pub static TRIM: OptionDef<PipelineOptions> = OptionDef {
    name: "trim",
    aliases: &["t"],
    usage: "trim:%threshold:%color:%equal_hor:%equal_ver",
    example: "trim:10:ffffff:1:1",
    group: Group::Geometry,
    summary: "Cut off a border of one colour",
    docs: "Cuts off a border that has one colour, before anything else is done.\n\
\n\
* `threshold` – how much a channel of a pixel, 0 to 255, may differ from that colour and still be border; around 10 \
suits photographs on plain ground, higher values cut more, and a negative one counts as 10. Empty switches trimming \
off.\n\
* `color` – the border's colour in hex digits. Without it the top left pixel decides.\n\
* `equal_hor`, `equal_ver` – booleans, default false: cut the same amount off the left and right sides, or off the top \
and bottom, which is the smaller of the two. An empty one keeps the value set earlier.\n\
\n\
The whole source has to be decoded at full size first, so trimming is slow for large images; it does not work on \
animations.",
    access: Access::Open,
    apply: |pipeline, args| {
        args.at_most(4, "trim")?;
        let trim = &mut pipeline.trim;
        trim.threshold = args
            .given(0, "trim.threshold")
            .map(|arg| arg.float())
            .transpose()?;
        trim.color = args
            .given(1, "trim.color")
            .map(|arg| arg.color())
            .transpose()?;
        if let Some(equal) = args.given(2, "trim.equal_horizontal") {
            trim.equal_horizontal = equal.bool();
        }
        if let Some(equal) = args.given(3, "trim.equal_vertical") {
            trim.equal_vertical = equal.bool();
        }
        Ok(())
    },
};

/// Cuts the border off an image in memory; an image that is nothing but border stays whole.
///
/// The search runs on 8-bit sRGB with transparent pixels shown on magenta. Axes are those of the stored image.
/// Rule: `spec/pipeline.md` section 6.2.
///
/// # Errors
/// Whatever libvips says.
pub fn apply(trim: &Trim, image: &Image) -> Result<Image, vips::Error> {
    let mut probe = image.clone();
    if probe.interpretation() != Interpretation::Srgb {
        probe = calls::colourspace(&probe, Interpretation::Srgb, None)?;
    }
    if probe.has_alpha() {
        probe = calls::flatten(&probe, &MAGENTA)?;
    }
    let background = match trim.color {
        Some(color) => color.channels().to_vec(),
        None => calls::getpoint(&probe, 0, 0)?,
    };
    let threshold = trim
        .threshold
        .filter(|t| *t >= 0.0)
        .unwrap_or(DEFAULT_THRESHOLD);
    let calls::Bounds {
        mut left,
        mut top,
        mut width,
        mut height,
    } = calls::find_trim(&probe, &background, threshold)?;
    if width == 0 || height == 0 {
        return Ok(image.clone());
    }
    if trim.equal_horizontal {
        (left, width) = equal_margins(image.width(), left, width);
    }
    if trim.equal_vertical {
        (top, height) = equal_margins(image.height(), top, height);
    }
    calls::extract_area(image, left, top, width, height)
}

/// Widens the kept part so that both margins are as large as the smaller one.
fn equal_margins(side: i32, start: i32, length: i32) -> (i32, i32) {
    let end_margin = side - start - length;
    let difference = end_margin - start;
    if difference > 0 {
        (start, length + difference)
    } else {
        (end_margin, length - difference)
    }
}

/// Stands for transparent pixels in the search.
const MAGENTA: [f64; 3] = [255.0, 0.0, 255.0];
/// libvips' own default, used where a threshold is out of its range.
const DEFAULT_THRESHOLD: f64 = 10.0;
