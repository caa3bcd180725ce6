//! From the turned pixels to the result: directly, or by the rest of the pipeline on libvips.

use bytes::Bytes;

use super::source::Source;
use super::{Context, Plan, Raster, State, area, only_crops, pipeline, save, size};
use crate::codec::{alpha, icc, jpeg, png};
use crate::color::Rgb;
use crate::error::Error;
use crate::format::ImageFormat;
use crate::plan::Crop;
use crate::processing::metadata::{iptc, xmp};
use crate::processing::{colour, finish};
use crate::vips::{Image, Interpretation};

/// What is known once the pixels are there.
#[derive(Debug)]
pub(super) struct Finish<'a> {
    pub(super) context: &'a Context<'a>,
    pub(super) source: &'a Source<'a>,
    pub(super) plan: Plan,
    /// Whether any step made the image smaller.
    pub(super) scaled_down: bool,
}

/// What is done about colours before encoding.
#[derive(Debug)]
pub(super) enum Colours {
    /// Nothing.
    Same,
    /// They leave the space of the source's profile.
    From(icc::ToSrgb),
}

impl Finish<'_> {
    /// What becomes of the colours, where no more than that and a crop stands between these pixels and an encoder.
    pub(super) fn colours(&self, raster: &Raster) -> Option<Colours> {
        let watermark = self.context.job.watermark.is_some();
        let is_last = !watermark && only_crops(self.context, &self.plan, size(raster));
        (is_last && self.background_fits()).then_some(())?;
        self.conversion(raster)
    }

    /// How the pixels get the colours of the result. `None` for grey: whether libvips converts it hangs on its version.
    fn conversion(&self, raster: &Raster) -> Option<Colours> {
        match &self.source.profile {
            None => Some(Colours::Same),
            Some(_) if self.keeps_profile() => Some(Colours::Same),
            Some(profile) if raster.bands() >= 3 && colour::is_srgb_iec61966(profile) => {
                Some(Colours::Same)
            }
            Some(_) if raster.bands() != 3 => None,
            Some(profile) => icc::ToSrgb::new(profile).map(Colours::From),
        }
    }

    fn keeps_profile(&self) -> bool {
        !self.context.request.strip_color_profile && self.context.format.info().icc
    }

    /// Whether an encoder here writes the result's format in the configured way.
    pub(super) fn encodes(&self) -> bool {
        let config = &self.context.job.settings.processing;
        match self.context.format {
            ImageFormat::Jpeg => true,
            // What had a palette gets one, and of profiles libpng refuses those that it finds wrong.
            ImageFormat::Png => {
                !config.png_interlaced
                    && !config.png_quantize
                    && self.source.palette_depth.is_none()
                    && (self.source.profile.is_none() || !self.keeps_profile())
            }
            _ => false,
        }
    }

    /// The colour behind transparent pixels, where there is one.
    fn background(&self) -> Option<Rgb> {
        let needed = !self.context.format.info().alpha;
        let background = self.context.options().background;
        background.or(needed.then_some(Rgb::WHITE))
    }

    /// Whether a background has the bands of the picture; else libvips makes colours of grey.
    fn background_fits(&self) -> bool {
        let grey = self.source.has_alpha() && self.source.is_grey();
        !grey || self.background().is_none_or(Rgb::is_grey)
    }

    /// The pixels as the result has them: before their background, or with the alpha band of the source.
    fn with_alpha_done(&self, raster: Raster) -> Option<Raster> {
        let transparent = matches!(raster.bands(), 2 | 4);
        match self.background() {
            Some(Rgb { r, g, b }) if transparent => {
                alpha::flatten(&raster, [r, g, b].get(..raster.bands() - 1)?)
            }
            None if !transparent && self.source.has_alpha() => Some(alpha::with_opaque(&raster)),
            _ => Some(raster),
        }
    }

    /// The pixels of the result.
    pub(super) fn pixels(&self, raster: Raster, colours: &Colours) -> Option<Raster> {
        let raster = match self.plan.crop_to_result(size(&raster)) {
            Crop::None => raster,
            Crop::At(rect) => raster.crop(area(rect)?)?,
            Crop::Smart(_) => return None,
        };
        let raster = match colours {
            Colours::Same => raster,
            Colours::From(profile) => profile.convert(&raster)?,
        };
        self.with_alpha_done(raster)
    }

    /// Encodes the pixels of the result.
    pub(super) fn encode(&self, raster: &Raster) -> Option<(Bytes, ImageFormat)> {
        let context = self.context;
        let (xmp, iptc) = (
            self.source.xmp.and_then(xmp::copyright_only),
            self.source.iptc.and_then(iptc::copyright_only),
        );
        let (xmp, iptc) = (xmp.as_deref(), iptc.as_deref());
        let keeps_profile = self.keeps_profile();
        let profile = self.source.profile.as_deref().filter(|_| keeps_profile);
        let stop = || context.cancel.is_cancelled();
        let encode = |quality| {
            if context.format == ImageFormat::Png {
                let options = png::Options {
                    xmp,
                    exif: self.source.exif.is_some(),
                };
                return png::encode(raster, &options, &stop).ok_or(NotCovered);
            }
            let options = jpeg::Options {
                quality,
                progressive: context.job.settings.processing.jpeg_progressive,
                profile,
                xmp,
                iptc,
            };
            jpeg::encode(raster, &options, &stop).ok_or(NotCovered)
        };
        let bytes = save::search_quality(context, context.format, encode).ok()?;
        Some((bytes, context.format))
    }

    /// The finished image by the steps behind the turns.
    pub(super) fn rest(self, raster: Raster, colours: Option<&Colours>) -> Result<Image, Error> {
        let context = self.context;
        let converted = match colours {
            Some(Colours::From(profile)) => profile.convert(&raster),
            _ => None,
        };
        let profile = match converted {
            Some(_) => None,
            None => self.source.profile.as_deref(),
        };
        let mut raster = converted.unwrap_or(raster);
        if self.source.has_alpha() && matches!(raster.bands(), 1 | 3) {
            raster = alpha::with_opaque(&raster);
        }
        let interpretation = if raster.bands() < 3 {
            Interpretation::Bw
        } else {
            Interpretation::Srgb
        };
        let side = |side: usize| i32::try_from(side).unwrap_or(0);
        let (width, height) = (side(raster.width()), side(raster.height()));
        let bands = side(raster.bands());
        let pixels = Bytes::from(raster.into_bytes());
        let mut image = Image::from_pixels(pixels, width, height, bands, interpretation)?;
        let blocks = [
            ("icc-profile-data", profile),
            ("exif-data", self.source.exif.as_deref()),
            ("xmp-data", self.source.xmp),
            ("iptc-data", self.source.iptc),
        ];
        let palette_depth = self.source.palette_depth;
        if palette_depth.is_some() || blocks.iter().any(|(_, block)| block.is_some()) {
            image = image.edit(|metadata| {
                if let Some(depth) = palette_depth {
                    metadata.set_int("palette-bit-depth", depth.into());
                }
                for (field, block) in blocks {
                    if let Some(block) = block {
                        metadata.set_blob(field, block);
                    }
                }
            })?;
        }
        let mut state = State::of_raster(context, image, self.plan, self.scaled_down)?;
        pipeline::run_rest(context, &mut state)?;
        finish::finish(context, state, false)
    }
}

/// An encoder of ours that cannot.
struct NotCovered;
