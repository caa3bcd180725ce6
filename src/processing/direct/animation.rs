//! Opaque animations: decoded by libvips, whose decoders compose frames; cropped, scaled and turned here, one at a time.
//!
//! libvips would build a pipeline of a dozen objects for every frame and start threads to run it. Here the frames are read
//! from top to bottom in the calling thread and become one stack of pixels. Transparent ones are left to libvips: WebP's
//! encoder looks for what has changed since the last frame, and the last bit of alpha decides what it finds.

use bytes::Bytes;

use super::{area, axis, only_crops, size, turn};
use crate::codec::resample::{self, Axis};
use crate::codec::{Area, Raster};
use crate::error::Error;
use crate::geometry::{GravityKind, Size};
use crate::plan::{Crop, ImageInfo, Plan};
use crate::processing::load;
use crate::processing::pipeline::{Context, State};
use crate::vips::{BandFormat, Image, Interpretation, Region};

/// Stacked frames that are scaled and turned.
#[derive(Debug)]
pub(in crate::processing) struct Frames {
    /// The pixels, with the metadata of the source.
    pub(in crate::processing) stack: Image,
    /// Rows of one frame.
    pub(in crate::processing) height: i32,
    /// Whether they are cropped as well, and only what concerns the stack as a whole is left to do.
    pub(in crate::processing) finished: bool,
    plan: Plan,
    scaled_down: bool,
}

impl Frames {
    /// The state behind the turns, for one of the frames or for all of them.
    pub(in crate::processing) fn state(
        &self,
        context: &Context<'_>,
        image: Image,
    ) -> Result<State, Error> {
        State::of_raster(context, image, self.plan.clone(), self.scaled_down)
    }
}

/// Runs all frames through the steps up to the turns; `None` where libvips has to. `image` stays unread: the frames are
/// opened once more, so that libvips can begin with the first.
pub(in crate::processing) fn run(context: &Context<'_>, image: &Image) -> Option<Frames> {
    let steps = Steps::of(context, image)?;
    if steps.change_nothing() {
        return Some(Frames {
            stack: image.clone(),
            height: image.page_height(),
            finished: true,
            plan: steps.plan,
            scaled_down: false,
        });
    }
    let opened = load::animation(context.job, context.frames, context.cancel).ok()?;
    steps.run(context, &opened)
}

/// What is done to every frame.
struct Steps {
    plan: Plan,
    frame: Size,
    bands: usize,
    crop: Area,
    scale: Option<(Axis, Axis)>,
    /// The crop behind the turns, where nothing else is left to do for a single frame.
    last: Option<Area>,
}

impl Steps {
    fn of(context: &Context<'_>, image: &Image) -> Option<Self> {
        let (config, options) = (&context.job.settings.processing, context.options());
        // Where libvips finds the attention hangs on the last bit of a pixel.
        let smart =
            [options.gravity.kind, options.crop.gravity.kind].contains(&Some(GravityKind::Smart));
        let plain = image.format() == BandFormat::Uchar
            && image.coding_is_none()
            && image.interpretation() == Interpretation::Srgb
            && matches!(image.bands(), 3 | 4);
        if !config.direct_codecs || config.linear || smart || !plain {
            return None;
        }
        let frame = Size::new(image.width().into(), image.page_height().into());
        if frame.pixels() > MOST_PIXELS {
            return None;
        }
        let info = ImageInfo {
            size: frame,
            frames: context.frames,
            ..load::info(context.job, image, false)
        };
        let plan = context.plan_of(&info).ok()?;
        // libvips enlarges by another kernel.
        let (x, y) = plan.scale().unwrap_or((1.0, 1.0));
        if x > 1.0 || y > 1.0 {
            return None;
        }
        let crop = match plan.crop(frame) {
            Crop::None => whole(frame)?,
            Crop::At(rect) => area(rect)?,
            Crop::Smart(_) => return None,
        };
        let (horizontal, vertical) = (axis(crop.width, x)?, axis(crop.height, y)?);
        let side = |side: usize| i64::try_from(side).ok();
        let turned = Size::new(side(horizontal.side)?, side(vertical.side)?)
            .swapped_if(plan.rotation().swaps_axes());
        let last = match plan.crop_to_result(turned) {
            Crop::None => whole(turned),
            Crop::At(rect) => area(rect),
            Crop::Smart(_) => return None,
        };
        let finished = only_crops(context, &plan, turned) && options.background.is_none();
        let steps = Self {
            frame,
            bands: usize::try_from(image.bands()).ok()?,
            crop,
            scale: plan.scale().map(|_| (horizontal, vertical)),
            last: last.filter(|_| finished),
            plan,
        };
        // Frames that are only cut or turned are not held: libvips passes them on.
        (steps.scale.is_some() || steps.change_nothing()).then_some(steps)
    }

    /// Whether the stack stays as it is.
    fn change_nothing(&self) -> bool {
        let all = whole(self.frame);
        self.scale.is_none()
            && self.plan.rotation().is_identity()
            && Some(self.crop) == all
            && self.last == all
    }

    fn run(self, context: &Context<'_>, image: &Image) -> Option<Frames> {
        let region = Region::new(image).ok()?;
        let (mut pixels, mut size_of_one) = (Vec::new(), None);
        let (height, count) = (image.page_height(), load::frame_count(image));
        for index in 0..count {
            if context.cancel.is_cancelled() {
                return None;
            }
            let top = i32::try_from(index * i64::from(height)).ok()?;
            let mut frame = Vec::with_capacity(self.bytes_of_frame());
            region.read(top, height, &mut frame).ok()?;
            let frame = self.frame(frame)?;
            if size_of_one.is_none() {
                size_of_one = Some(size(&frame));
                let frames = usize::try_from(count).ok()?;
                pixels.reserve_exact(frame.bytes().len().checked_mul(frames)?);
            }
            pixels.extend_from_slice(frame.bytes());
        }
        let size_of_one = size_of_one?;
        let side = |side: i64| i32::try_from(side).ok();
        let (width, height) = (side(size_of_one.width)?, side(size_of_one.height)?);
        let rows = side(size_of_one.height.checked_mul(count)?)?;
        let (pixels, bands) = (Bytes::from(pixels), image.bands());
        let stack = Image::from_pixels(pixels, width, rows, bands, Interpretation::Srgb).ok()?;
        let turned = !self.plan.rotation().is_identity();
        let stack = stack.edit(|metadata| {
            metadata.add_all(image);
            if turned {
                metadata.remove_orientation();
            }
        });
        Some(Frames {
            stack: stack.ok()?,
            height,
            finished: self.last.is_some(),
            plan: self.plan,
            scaled_down: true,
        })
    }

    fn bytes_of_frame(&self) -> usize {
        usize::try_from(self.frame.pixels()).unwrap_or(0) * self.bands
    }

    /// One frame behind the turns; `None` if it is transparent somewhere.
    fn frame(&self, pixels: Vec<u8>) -> Option<Raster> {
        let Area { width, height, .. } = whole(self.frame)?;
        let (horizontal, vertical) = self.scale?;
        let has_alpha = self.bands == 4;
        let colours = match has_alpha {
            true if is_opaque(&pixels) => without_alpha(&pixels),
            true => return None,
            false => pixels,
        };
        let raster = Raster::new(width, height, 3, colours)?;
        let mut raster = resample::resize(&raster, self.crop, horizontal, vertical)?;
        if has_alpha {
            let (width, height) = (raster.width(), raster.height());
            raster = Raster::new(width, height, 4, with_alpha(raster.bytes()))?;
        }
        let raster = turn::turned(raster, self.plan.rotation())?;
        match self.last {
            Some(last) if last != raster.area() => raster.crop(last),
            _ => Some(raster),
        }
    }
}

fn whole(size: Size) -> Option<Area> {
    Some(Area {
        left: 0,
        top: 0,
        width: usize::try_from(size.width).ok()?,
        height: usize::try_from(size.height).ok()?,
    })
}

fn is_opaque(pixels: &[u8]) -> bool {
    let (pixels, _) = pixels.as_chunks::<4>();
    pixels.iter().all(|[_, _, _, alpha]| *alpha == u8::MAX)
}

fn without_alpha(pixels: &[u8]) -> Vec<u8> {
    let (pixels, _) = pixels.as_chunks::<4>();
    let mut colours = vec![0; pixels.len() * 3];
    let (places, _) = colours.as_chunks_mut::<3>();
    for (place, [red, green, blue, _]) in places.iter_mut().zip(pixels) {
        *place = [*red, *green, *blue];
    }
    colours
}

fn with_alpha(colours: &[u8]) -> Vec<u8> {
    let (colours, _) = colours.as_chunks::<3>();
    let mut pixels = vec![0; colours.len() * 4];
    let (places, _) = pixels.as_chunks_mut::<4>();
    for (place, [red, green, blue]) in places.iter_mut().zip(colours) {
        *place = [*red, *green, *blue, u8::MAX];
    }
    pixels
}

/// Pixels of a frame that is held at once; libvips works on larger ones strip by strip.
const MOST_PIXELS: i64 = 4_000_000;

#[cfg(test)]
mod tests;
