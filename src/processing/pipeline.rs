//! The steps of one pipeline, in the order in which they run. Rule: `spec/pipeline.md` section 6.

use super::colour::ColourState;
use super::load::{self, Header};
use super::{Job, Request, cancelled, finish, watermark};
use crate::error::Error;
use crate::format::ImageFormat;
use crate::geometry::{self, Size};
use crate::ops::{self, PipelineOptions};
use crate::plan::{self, Canvas, Crop, ImageInfo, Plan, Settings};
use crate::vips::{Cancel, Image};

/// What stays the same for all steps of one job.
#[derive(Debug)]
pub(super) struct Context<'a> {
    pub(super) job: &'a Job,
    pub(super) request: &'a Request,
    /// Format of the result.
    pub(super) format: ImageFormat,
    /// Frames of the result, 1 for a still image.
    pub(super) frames: i64,
    pub(super) cancel: &'a Cancel,
}

impl Context<'_> {
    pub(super) fn options(&self) -> &PipelineOptions {
        &self.job.options.pipeline
    }

    /// Plans the pipeline for an image.
    fn plan(&self, image: &Image, from_source: bool) -> Result<Plan, Error> {
        self.plan_of(&ImageInfo {
            frames: self.frames,
            ..load::info(self.job, image, from_source)
        })
    }

    /// Plans the pipeline for an image of which this is known.
    pub(super) fn plan_of(&self, info: &ImageInfo) -> Result<Plan, Error> {
        let config = &self.job.settings.processing;
        let settings = Settings {
            auto_rotate: config.auto_rotate,
            max_result_dimension: self.request.max_result_dimension,
            max_result_pixels: MAX_RESULT_PIXELS,
            disable_shrink_on_load: config.disable_shrink_on_load,
        };
        Ok(Plan::resolve(self.options(), info, &settings)?)
    }
}

/// A result above this is refused: no browser shows it, and it would cost gigabytes.
const MAX_RESULT_PIXELS: i64 = 1_000_000_000;

/// The image on its way through the steps.
#[derive(Debug)]
pub(super) struct State {
    pub(super) image: Image,
    pub(super) plan: Plan,
    pub(super) colour: ColourState,
    /// Whether the pixels still come straight from the decoder, so that it can be asked for fewer of them.
    from_source: bool,
    /// Whether the image is the embedded thumbnail already.
    thumbnail: bool,
    /// Factor by which a vector source was rendered smaller to respect the resolution limit.
    vector_base: f64,
    /// Whether any step made the image smaller.
    pub(super) scaled_down: bool,
}

impl State {
    /// At the start of a pipeline whose pixels come from the decoder.
    pub(super) fn of_source(context: &Context<'_>, header: Header) -> Result<Self, Error> {
        let plan = context.plan(&header.image, true)?;
        Ok(Self::new(header.image, plan, true, header.thumbnail))
    }

    /// At the start of a pipeline over pixels in hand, such as a frame.
    pub(super) fn of_pixels(context: &Context<'_>, image: Image) -> Result<Self, Error> {
        let plan = context.plan(&image, false)?;
        Ok(Self::new(image, plan, false, false))
    }

    /// Behind the turns, with pixels that were decoded, scaled and turned without libvips.
    pub(super) fn of_raster(
        context: &Context<'_>,
        image: Image,
        plan: Plan,
        scaled_down: bool,
    ) -> Result<Self, Error> {
        let mut state = Self {
            scaled_down,
            ..Self::new(image, plan, false, false)
        };
        colour_to_processing(context, &mut state)?;
        Ok(state)
    }

    fn new(image: Image, plan: Plan, from_source: bool, thumbnail: bool) -> Self {
        Self {
            image,
            plan,
            colour: ColourState::default(),
            from_source,
            thumbnail,
            vector_base: 1.0,
            scaled_down: false,
        }
    }

    fn size(&self) -> Size {
        Size::new(self.image.width().into(), self.image.height().into())
    }

    fn replace(&mut self, image: Image) {
        self.image = image;
    }
}

type Step = fn(&Context<'_>, &mut State) -> Result<(), Error>;

/// The order of work. It is part of the contract: changing it changes pixels.
const STEPS: &[Step] = &[
    vector_guard,
    trim,
    scale_on_load,
    colour_to_processing,
    crop,
    scale,
    rotate_and_flip,
];

/// What follows, in the same contract.
const REST: &[Step] = &[
    crop_to_result,
    effects,
    extend,
    extend_aspect_ratio,
    padding,
    fix_size,
    flatten,
    apply_watermark,
];

/// The steps that prepare a watermark; it is neither cropped nor filtered.
const WATERMARK_STEPS: &[Step] = &[
    vector_guard,
    scale_on_load,
    colour_to_processing,
    scale,
    rotate_and_flip,
    padding,
];

/// Runs every step; stops between two of them once the job is cancelled.
pub(super) fn run(context: &Context<'_>, state: &mut State) -> Result<(), Error> {
    run_steps(STEPS, context, state)?;
    run_rest(context, state)
}

/// Runs the steps behind the turns.
pub(super) fn run_rest(context: &Context<'_>, state: &mut State) -> Result<(), Error> {
    run_steps(REST, context, state)
}

/// Runs the steps that prepare a watermark.
pub(super) fn run_watermark(context: &Context<'_>, state: &mut State) -> Result<(), Error> {
    run_steps(WATERMARK_STEPS, context, state)
}

fn run_steps(steps: &[Step], context: &Context<'_>, state: &mut State) -> Result<(), Error> {
    for step in steps {
        step(context, state)?;
        context.cancel.watch(&state.image);
        if context.cancel.is_cancelled() {
            return Err(cancelled());
        }
    }
    Ok(())
}

/// Renders a vector source smaller where its own size is above the resolution limit.
fn vector_guard(context: &Context<'_>, state: &mut State) -> Result<(), Error> {
    if !state.from_source || !context.job.source.format.info().vector {
        return Ok(());
    }
    let info = load::info(context.job, &state.image, true);
    if let Some(base) = plan::load::vector_guard(&info, context.request.max_src_resolution) {
        state.vector_base = base;
        state.replace(load::shrunk(context.job, base, context.cancel)?);
    }
    state.plan = context.plan(&state.image, true)?;
    Ok(())
}

/// Cuts a uniform border off; from here on the pixels no longer come from the decoder. The frames of an animation would
/// get different sizes, so they are left alone.
fn trim(context: &Context<'_>, state: &mut State) -> Result<(), Error> {
    let trim = &context.options().trim;
    if trim.threshold.is_none() || context.frames > 1 {
        return Ok(());
    }
    colour_to_processing(context, state)?;
    context.cancel.watch(&state.image);
    let image = state.image.copy_memory()?;
    context.cancel.watch(&image);
    state.replace(ops::trim::apply(trim, &image)?);
    state.from_source = false;
    state.plan = context.plan(&state.image, false)?;
    Ok(())
}

/// Lets the decoder deliver fewer pixels where it can, and corrects the plan by what it delivered.
fn scale_on_load(context: &Context<'_>, state: &mut State) -> Result<(), Error> {
    if !state.from_source || state.thumbnail {
        return Ok(());
    }
    let Some(shrink) = state.plan.preshrink(state.vector_base) else {
        return oversized_vector(context, state);
    };
    let image = if context.job.source.format.info().thumbnail {
        match load::thumbnail(context.job, context.cancel) {
            Ok(image) => image,
            Err(_) => return Ok(()),
        }
    } else {
        load::shrunk(context.job, shrink, context.cancel)?
    };
    if state.plan.rebase(&load::info(context.job, &image, true)) {
        state.replace(image);
        state.scaled_down |= shrink > 1.0;
    }
    Ok(())
}

/// A drawing that is above the resolution limit and keeps the size at the limit is rendered with less detail and
/// enlarged: libvips holds two rows of tiles of 2000 pixels, which is more memory than a picture may cost.
fn oversized_vector(context: &Context<'_>, state: &mut State) -> Result<(), Error> {
    let Some(detail) = plan::load::vector_detail(state.size(), state.vector_base) else {
        return Ok(());
    };
    let size = state.size();
    state.replace(load::shrunk(
        context.job,
        state.vector_base * detail,
        context.cancel,
    )?);
    let rendered = state.size();
    let ratio = |to: i64, from: i64| geometry::float(to) / geometry::float(from.max(1));
    let horizontal = ratio(size.width, rendered.width);
    let vertical = ratio(size.height, rendered.height);
    state.replace(ops::resize::apply(&state.image, horizontal, vertical)?);
    Ok(())
}

fn colour_to_processing(context: &Context<'_>, state: &mut State) -> Result<(), Error> {
    let image = state.colour.enter(&state.image, finish::is_hdr(context))?;
    state.replace(image);
    Ok(())
}

fn crop(_: &Context<'_>, state: &mut State) -> Result<(), Error> {
    let crop = state.plan.crop(state.size());
    apply_crop(state, crop)
}

fn scale(context: &Context<'_>, state: &mut State) -> Result<(), Error> {
    let Some((horizontal, vertical)) = state.plan.scale() else {
        return Ok(());
    };
    state.scaled_down |= horizontal < 1.0 || vertical < 1.0;
    let image = if context.job.settings.processing.linear {
        let imported = state.colour.import(&state.image);
        ops::resize::apply_linear(
            &imported,
            state.image.interpretation(),
            horizontal,
            vertical,
        )?
    } else {
        ops::resize::apply(&state.image, horizontal, vertical)?
    };
    state.replace(image);
    Ok(())
}

fn rotate_and_flip(_: &Context<'_>, state: &mut State) -> Result<(), Error> {
    let rotation = state.plan.rotation();
    if rotation.is_identity() {
        return Ok(());
    }
    let mut image = state.image.copy_memory()?;
    image = ops::rotate::rotate(&image, rotation.exif_angle)?;
    image = ops::flip::apply(&image, rotation.exif_flip, false)?;
    image = ops::rotate::rotate(&image, rotation.angle)?;
    image = ops::flip::apply(&image, rotation.flip_horizontal, rotation.flip_vertical)?;
    state.replace(ops::rotate::without_orientation(&image)?);
    Ok(())
}

fn crop_to_result(_: &Context<'_>, state: &mut State) -> Result<(), Error> {
    let crop = state.plan.crop_to_result(state.size());
    apply_crop(state, crop)
}

fn apply_crop(state: &mut State, crop: Crop) -> Result<(), Error> {
    let image = match crop {
        Crop::None => return Ok(()),
        Crop::At(area) => ops::crop::extract(&state.image, area)?,
        Crop::Smart(size) => ops::crop::smart(&state.image.copy_memory()?, size)?,
    };
    state.replace(image);
    Ok(())
}

/// Filters work on 8-bit sRGB, whatever the image is; `ops::EFFECTS` has their order.
fn effects(context: &Context<'_>, state: &mut State) -> Result<(), Error> {
    if let Some(image) = ops::apply_effects(context.options(), &state.image, context.cancel)? {
        state.replace(image);
    }
    Ok(())
}

fn extend(_: &Context<'_>, state: &mut State) -> Result<(), Error> {
    let canvas = state.plan.extend(state.size());
    embed(state, canvas)
}

fn extend_aspect_ratio(_: &Context<'_>, state: &mut State) -> Result<(), Error> {
    let canvas = state.plan.extend_aspect_ratio(state.size());
    embed(state, canvas)
}

fn padding(_: &Context<'_>, state: &mut State) -> Result<(), Error> {
    let canvas = state.plan.padding(state.size());
    embed(state, canvas)
}

fn embed(state: &mut State, canvas: Option<Canvas>) -> Result<(), Error> {
    let Some(canvas) = canvas else { return Ok(()) };
    let image = ops::extend::embed(
        &state.image,
        canvas.left,
        canvas.top,
        Size::new(canvas.width, canvas.height),
    )?;
    state.replace(image);
    Ok(())
}

/// Makes the image small enough for the format of the result.
fn fix_size(context: &Context<'_>, state: &mut State) -> Result<(), Error> {
    let Some(factor) = plan::output::fix_size(context.format, state.size()) else {
        return Ok(());
    };
    tracing::warn!(
        format = context.format.name(),
        "the image is too large for its format and is scaled down"
    );
    state.scaled_down = true;
    let image = ops::resize::apply(&state.image, factor, factor)?;
    state.replace(image);
    Ok(())
}

/// Puts a colour behind transparent pixels where one is asked for, or where the format has no transparency.
fn flatten(context: &Context<'_>, state: &mut State) -> Result<(), Error> {
    let background = context.options().background;
    if background.is_none() && context.format.info().alpha {
        return Ok(());
    }
    let background = background.unwrap_or(crate::color::Rgb::WHITE);
    let image = ops::background::flatten(&state.image, background)?;
    state.replace(image);
    Ok(())
}

/// A frame of an animation gets no watermark of its own: the finished stack does.
fn apply_watermark(context: &Context<'_>, state: &mut State) -> Result<(), Error> {
    if context.frames > 1 {
        return Ok(());
    }
    let image = watermark::apply(context, &state.image, 1, state.plan.dpr_scale())?;
    state.replace(image);
    Ok(())
}
