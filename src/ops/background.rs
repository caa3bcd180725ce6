//! The colour behind transparent pixels.

use crate::args::{Access, Group, OptionDef};
use crate::color::Rgb;
use crate::vips::{self, BandFormat, Image, Interpretation, calls};

use super::PipelineOptions;

/// `background`.
pub static BACKGROUND: OptionDef<PipelineOptions> = OptionDef {
    name: "background",
    aliases: &["bg"],
    usage: "background:%r:%g:%b",
    example: "background:255:255:255",
    group: Group::Effects,
    summary: "Fill transparent areas with a colour",
    docs: "Fills transparent areas, including the space added by `extend` and `padding`, with a colour. It is written \
as three integers from 0 to 255 (`background:255:128:0`) or as three or six hex digits without `#` \
(`background:f80`, `background:ff8000`).\n\
\n\
Default: no colour. Transparency is then kept where the format can store it, and becomes white elsewhere. `background:` with an empty argument takes \
back a colour that a preset has set.",
    access: Access::Open,
    apply: |pipeline, args| {
        pipeline.background = match args.values() {
            [""] => None,
            [_] => Some(args.at(0, "background").color()?),
            [_, _, _] => Some(Rgb {
                r: args.at(0, "background.R").channel()?,
                g: args.at(1, "background.G").channel()?,
                b: args.at(2, "background.B").channel()?,
            }),
            _ => return Err(args.error("background")),
        };
        Ok(())
    },
};

/// Puts a colour behind transparent pixels; an image without alpha stays as it is.
///
/// # Errors
/// Whatever libvips says.
pub fn flatten(image: &Image, background: Rgb) -> Result<Image, vips::Error> {
    use Interpretation::{Bw, Grey16, Rgb16, Scrgb, Srgb};
    if !image.has_alpha() {
        return Ok(image.clone());
    }
    let target = match image.guess_interpretation() {
        Bw if !background.is_grey() => Some(Srgb),
        Grey16 if !background.is_grey() => Some(Rgb16),
        Bw | Grey16 | Srgb | Rgb16 | Interpretation::Rgb => None,
        Scrgb => Some(Rgb16),
        _ if image.format() == BandFormat::Uchar => Some(Srgb),
        _ => Some(Rgb16),
    };
    let image = match target {
        Some(space) => calls::colourspace(image, space, None)?,
        None => image.clone(),
    };
    let factor = if image.format() == BandFormat::Ushort {
        257.0
    } else {
        1.0
    };
    calls::flatten(
        &image,
        &background.channels().map(|channel| channel * factor),
    )
}
