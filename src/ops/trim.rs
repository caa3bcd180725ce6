//! Cutting off a uniform border.

use crate::args::{Access, Canonical, Float, Group, OptionDef};
use crate::color::Rgb;

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
