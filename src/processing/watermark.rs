//! The watermark: prepared by a short pipeline of its own, then blended over the finished picture.
//! Rule: `spec/pipeline.md` section 12.

use super::load;
use super::pipeline::{self, Context, State};
use super::{Job, Request};
use crate::error::Error;
use crate::geometry::{Gravity, GravityKind, Rect, Size};
use crate::ops;
use crate::options::Options;
use crate::plan::watermark::{place, preparation, tile};
use crate::source::SourceImage;
use crate::vips::Image;

/// Blends the job's watermark, if it has one, over an image of `frames` stacked frames.
pub(super) fn apply(
    context: &Context<'_>,
    image: &Image,
    frames: i64,
    dpr: f64,
) -> Result<Image, Error> {
    let options = &context.options().watermark;
    let Some(source) = &context.job.watermark else {
        return Ok(image.clone());
    };
    let opacity = options.opacity * context.job.settings.watermark_opacity;
    if opacity <= 0.0 {
        return Ok(image.clone());
    }
    let frames = frames.max(1);
    let frame = Size::new(image.width().into(), i64::from(image.height()) / frames);
    let gravity = Gravity {
        kind: options.position,
        x: options.x,
        y: options.y,
    };
    let mut overlay = prepare(context, source, gravity, frame, dpr)?;
    if gravity.kind == GravityKind::Replicate {
        overlay = cover(&overlay, frame, true)?;
        if frames > 1 {
            overlay = cover(
                &overlay,
                Size::new(frame.width, image.height().into()),
                false,
            )?;
        }
        return Ok(ops::watermark::blend(image, &overlay, opacity, &[(0, 0)])?);
    }
    let size = Size::new(overlay.width().into(), overlay.height().into());
    let placement = place(gravity, size, frame, frames, dpr);
    if let Some(cut) = placement.cut {
        overlay = ops::crop::extract(&overlay, cut)?;
    }
    let places: Vec<_> = (0..frames)
        .map(|index| (placement.left, placement.top_in_stack(index, frame.height)))
        .collect();
    Ok(ops::watermark::blend(image, &overlay, opacity, &places)?)
}

/// Decodes and sizes the watermark for frames of this size.
fn prepare(
    context: &Context<'_>,
    source: &SourceImage,
    gravity: Gravity,
    frame: Size,
    dpr: f64,
) -> Result<Image, Error> {
    let mut options = Options {
        pipeline: preparation(gravity, context.options().watermark.scale, frame, dpr),
        limits: context.job.options.limits.clone(),
        ..Options::default()
    };
    options.output.format = Some(source.format);
    let job = Job {
        source: source.clone(),
        options,
        features: context.job.features,
        settings: context.job.settings.clone(),
        watermark: None,
    };
    let request = Request::new(&job.options, &job.settings);
    let header = load::header(&job, &request, context.cancel)?;
    let header = load::reopen(&job, header, 1, context.cancel)?;
    load::check_limits(&job, &request, &header.image, false)?;
    let context = Context {
        job: &job,
        request: &request,
        format: source.format,
        frames: 1,
        cancel: context.cancel,
    };
    let mut state = State::of_source(&context, header)?;
    pipeline::run_watermark(&context, &mut state)?;
    let fields = state.image.fields();
    let bare = state
        .image
        .edit(|metadata| fields.iter().for_each(|field| metadata.remove(field)))?;
    Ok(bare.copy_memory()?)
}

/// Copies of a tile that cover an area.
fn cover(image: &Image, area: Size, centred: bool) -> Result<Image, Error> {
    let size = Size::new(image.width().into(), image.height().into());
    let tiling = tile(size, area, centred);
    let copies = ops::watermark::replicate(image, tiling.across, tiling.down)?;
    let Rect {
        left,
        top,
        width,
        height,
    } = tiling.area;
    Ok(ops::crop::extract(
        &copies,
        Rect {
            left,
            top,
            width,
            height,
        },
    )?)
}
