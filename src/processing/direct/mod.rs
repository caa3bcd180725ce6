//! The direct lane: decoding, resampling and encoding without libvips where that gives the same picture for less work.
//!
//! It is chosen by facts only: the format of the source and what its header says, the options, the configuration. All
//! numbers come from the same [`Plan`]. Whatever it does not cover it leaves to libvips: the whole job, or what follows
//! the turns, on the pixels that it has made. It never answers with an error of its own: damage, limits and cancelled jobs
//! are found again on the way over libvips, which decides what they mean.

pub(super) mod animation;
mod finish;
mod source;
#[cfg(test)]
mod tests;
mod turn;

use super::pipeline::{self, Context, State};
use super::{Job, Processed, Request, load, output_format, save};
use crate::codec::resample::{self, Axis};
use crate::codec::{Area, Raster, alpha};
use crate::error::Error;
use crate::geometry::{GravityKind, Rect, Size};
use crate::ops;
use crate::plan::{Crop, Plan, output, shrunk_side};
use crate::vips::Cancel;
use finish::Finish;
use source::Source;

pub(super) use source::MOST_PIXELS;

/// Runs the job; `None` where libvips has to.
pub(super) fn run(
    job: &Job,
    request: &Request,
    cancel: &Cancel,
) -> Option<Result<Processed, Error>> {
    let config = &job.settings.processing;
    let options = &job.options.pipeline;
    // Where libvips finds the attention hangs on the last bit of a pixel.
    let smart =
        [options.gravity.kind, options.crop.gravity.kind].contains(&Some(GravityKind::Smart));
    let trims = options.trim.threshold.is_some();
    if !config.direct_codecs || config.linear || !request.strip_metadata || trims || smart {
        return None;
    }
    let source = Source::open(job, request)?;
    let info = source.info(job);
    load::check_size(request, &info).ok()?;
    let context = Context {
        job,
        request,
        format: output_format(job, source.has_alpha(), false).ok()?,
        frames: 1,
        cancel,
    };
    let mut plan = context.plan_of(&info).ok()?;
    let shrink = plan.preshrink(1.0);
    if let Some(shrink) = shrink {
        let loaded = source.shrunk_info(&info, shrink)?;
        plan.rebase(&loaded).then_some(())?;
    }
    let (raster, scaled_down) = pixels(&context, &source, &plan, shrink)?;
    let finish = Finish {
        context: &context,
        source: &source,
        plan,
        scaled_down: scaled_down || shrink.is_some(),
    };
    let colours = finish.colours(&raster);
    let (result_size, saved) = if let Some(colours) = &colours
        && finish.encodes()
    {
        let raster = finish.pixels(raster, colours)?;
        (size(&raster), Ok(finish.encode(&raster)?))
    } else {
        match finish.rest(raster, colours.as_ref()) {
            Ok(image) => (load::displayed_size(&image), save::save(&context, image)),
            Err(error) => return Some(Err(error)),
        }
    };
    Some(saved.map(|(bytes, format)| Processed {
        bytes,
        format,
        source_size: info.upright_size(),
        result_size,
        skipped: false,
    }))
}

/// The pixels after decoding, the first crop, scaling and turning, and whether scaling made them fewer.
fn pixels(
    context: &Context<'_>,
    source: &Source<'_>,
    plan: &Plan,
    shrink: Option<f64>,
) -> Option<(Raster, bool)> {
    let loaded = source.size(shrink)?;
    let crop = match plan.crop(loaded) {
        Crop::None => Rect {
            left: 0,
            top: 0,
            width: loaded.width,
            height: loaded.height,
        },
        Crop::At(area) => area,
        Crop::Smart(_) => return None,
    };
    let scale = plan.scale();
    let (x, y) = scale.unwrap_or((1.0, 1.0));
    // libvips enlarges by another kernel.
    if x > 1.0 || y > 1.0 || loaded.pixels() > source.most_pixels() {
        return None;
    }
    let stop = || context.cancel.is_cancelled();
    // Without alpha that says nothing there is less to do; whoever finishes the picture puts it back.
    let (raster, _) = alpha::without_opaque(source.decode(shrink, &stop)?);
    let crop = area(crop)?;
    let raster = if scale.is_some() {
        resample::resize(&raster, crop, axis(crop.width, x)?, axis(crop.height, y)?)?
    } else if crop == raster.area() {
        raster
    } else {
        raster.crop(crop)?
    };
    Some((turn::turned(raster, plan.rotation())?, scale.is_some()))
}

/// Whether behind the turns of a pipeline nothing changes pixels but a crop and what the format demands of transparency.
fn only_crops(context: &Context<'_>, plan: &Plan, turned: Size) -> bool {
    let size = match plan.crop_to_result(turned) {
        Crop::None => turned,
        Crop::At(area) => Size::new(area.width, area.height),
        Crop::Smart(_) => return false,
    };
    !ops::has_effects(context.options())
        && plan.extend(size).is_none()
        && plan.extend_aspect_ratio(size).is_none()
        && plan.padding(size).is_none()
        && output::fix_size(context.format, size).is_none()
}

fn axis(side: usize, factor: f64) -> Option<Axis> {
    let (shrink, side) = shrunk_side(i64::try_from(side).ok()?, factor);
    Some(Axis {
        shrink,
        side: usize::try_from(side).ok()?,
    })
}

fn area(rect: Rect) -> Option<Area> {
    let number = |n: i64| usize::try_from(n).ok();
    Some(Area {
        left: number(rect.left)?,
        top: number(rect.top)?,
        width: number(rect.width)?,
        height: number(rect.height)?,
    })
}

fn size(raster: &Raster) -> Size {
    let side = |side: usize| i64::try_from(side).unwrap_or(i64::MAX);
    Size::new(side(raster.width()), side(raster.height()))
}
