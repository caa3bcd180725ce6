//! Animations: every frame goes through the pipeline on its own, then the frames are stacked again.
//! Rule: `spec/pipeline.md` section 10.

use super::pipeline::{self, Context, State};
use super::{cancelled, direct, finish, load, watermark};
use crate::error::{Error, Kind};
use crate::geometry::Rect;
use crate::ops;
use crate::vips::{Image, calls};

/// Milliseconds between frames where the source says nothing.
const DEFAULT_DELAY: i32 = 40;

/// Transforms all loaded frames and gives the finished stack.
pub(super) fn run(context: &Context<'_>, image: &Image) -> Result<Image, Error> {
    let frames = load::frame_count(image);
    let Stack { mut state, height } = match direct::animation::run(context, image) {
        Some(turned) if turned.finished => Stack {
            height: turned.height,
            state: turned.state(context, turned.stack.clone())?,
        },
        Some(turned) => stack(context, &turned.stack, turned.height, frames, |frame| {
            let mut state = turned.state(context, frame)?;
            pipeline::run_rest(context, &mut state)?;
            Ok(state)
        })?,
        None => stack(context, image, image.page_height(), frames, |frame| {
            let mut state = State::of_pixels(context, frame)?;
            pipeline::run(context, &mut state)?;
            if state.scaled_down {
                state.image = state.image.copy_memory()?;
            }
            Ok(state)
        })?,
    };
    let stack = watermark::apply(context, &state.image, frames, state.plan.dpr_scale())?;
    let pages = stack.height() / height.max(1);
    let count = usize::try_from(frames).unwrap_or(usize::MAX);
    let delays = image.array_int("delay");
    let mut delays = delays.unwrap_or_else(|| vec![DEFAULT_DELAY; count]);
    delays.truncate(count);
    state.image = stack.edit(|metadata| {
        metadata.set_int("page-height", height);
        metadata.set_array_int("delay", &delays);
        metadata.set_int("loop", image.int("loop").unwrap_or(0));
        metadata.set_int("n-pages", pages);
    })?;
    finish::finish(context, state, true)
}

/// Finished frames, stacked.
struct Stack {
    /// The state of the last frame, with the image of all.
    state: State,
    /// Rows of the first frame.
    height: i32,
}

/// Cuts a stack into frames of `height` rows, lets `each` transform them, and stacks the results.
fn stack(
    context: &Context<'_>,
    image: &Image,
    height: i32,
    frames: i64,
    each: impl Fn(Image) -> Result<State, Error>,
) -> Result<Stack, Error> {
    let (width, height) = (i64::from(image.width()), i64::from(height));
    let mut done = Vec::new();
    let mut last = None;
    for index in 0..frames {
        let area = Rect {
            left: 0,
            top: index * height,
            width,
            height,
        };
        let state = each(ops::crop::extract(image, area)?)?;
        done.push(state.image.clone());
        last = Some(state);
        if context.cancel.is_cancelled() {
            return Err(cancelled());
        }
    }
    let no_frames = || Error::new(Kind::BrokenImage, "the animation has no frames");
    let mut state = last.ok_or_else(no_frames)?;
    let height = done.first().map_or(1, Image::height);
    state.image = calls::arrayjoin(&done)?;
    Ok(Stack { state, height })
}
