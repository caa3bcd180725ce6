//! Animations: every frame goes through the pipeline on its own, then the frames are stacked again.
//! Rule: `spec/pipeline.md` section 10.

use super::pipeline::{self, Context, State};
use super::{cancelled, finish, load, watermark};
use crate::error::{Error, Kind};
use crate::geometry::Rect;
use crate::ops;
use crate::vips::{Image, calls};

/// Milliseconds between frames where the source says nothing.
const DEFAULT_DELAY: i32 = 40;

/// Transforms all loaded frames and gives the finished stack.
pub(super) fn run(context: &Context<'_>, image: &Image) -> Result<Image, Error> {
    let frames = load::frame_count(image);
    let (width, height) = (i64::from(image.width()), i64::from(image.page_height()));
    let delays = image.array_int("delay");
    let loops = image.int("loop").unwrap_or(0);
    let mut done = Vec::new();
    let mut last = None;
    for index in 0..frames {
        let frame = ops::crop::extract(
            image,
            Rect {
                left: 0,
                top: index * height,
                width,
                height,
            },
        )?;
        let mut state = State::of_pixels(context, frame)?;
        pipeline::run(context, &mut state)?;
        let frame = if state.scaled_down {
            state.image.copy_memory()?
        } else {
            state.image.clone()
        };
        done.push(frame);
        last = Some(state);
        if context.cancel.is_cancelled() {
            return Err(cancelled());
        }
    }
    let mut state =
        last.ok_or_else(|| Error::new(Kind::BrokenImage, "the animation has no frames"))?;
    let height = done.first().map_or(1, Image::height);
    let stack = calls::arrayjoin(&done)?;
    let stack = watermark::apply(context, &stack, frames, state.plan.dpr_scale())?;
    let pages = stack.height() / height.max(1);
    let delays =
        delays.unwrap_or_else(|| vec![DEFAULT_DELAY; usize::try_from(frames).unwrap_or(0)]);
    let kept = delays
        .len()
        .min(usize::try_from(frames).unwrap_or(usize::MAX));
    state.image = stack.edit(|metadata| {
        metadata.set_int("page-height", height);
        metadata.set_array_int("delay", delays.get(..kept).unwrap_or_default());
        metadata.set_int("loop", loops);
        metadata.set_int("n-pages", pages);
    })?;
    finish::finish(context, state, true)
}
