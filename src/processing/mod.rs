//! Executes plans: one source, one set of options, one result. Synchronous; a worker thread runs it.
//!
//! Must not know where the source came from or where the result goes.

mod animation;
mod colour;
mod direct;
pub mod estimate;
mod finish;
#[cfg(fuzzing)]
pub mod fuzzing;
mod load;
mod metadata;
mod pipeline;
mod save;
mod svg;
mod watermark;

use std::sync::Arc;

use bytes::Bytes;

use crate::config::{LimitsConfig, ProcessingConfig};
use crate::error::{Error, Kind};
use crate::format::ImageFormat;
use crate::geometry::Size;
use crate::options::{ClientFeatures, Options};
use crate::plan;
use crate::plan::output::{FormatChoice, Preference, choose_format, is_transparent};
use crate::source::SourceImage;
use crate::vips::Cancel;

/// Changes whenever the same job gives other bytes than before without a change of the program's version; results kept by
/// an earlier pipeline are not used.
pub const PIPELINE_VERSION: &str = "4";

/// What the server's configuration contributes to every job.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Decoder, transformation and encoder settings.
    pub processing: ProcessingConfig,
    /// Limits where the URL does not override them.
    pub limits: LimitsConfig,
    /// `IMGPROXY_WATERMARK_OPACITY`, above 0 and at most 1.
    pub watermark_opacity: f64,
    /// Formats that this build can write.
    pub savable: Vec<ImageFormat>,
}

/// One image job as plain data.
#[derive(Clone, Debug)]
pub struct Job {
    /// The encoded source.
    pub source: SourceImage,
    /// What the URL asked for.
    pub options: Options,
    /// What the client accepts.
    pub features: ClientFeatures,
    /// What the server is configured to do.
    pub settings: Arc<Settings>,
    /// The watermark, where the options ask for one and the server has it.
    pub watermark: Option<SourceImage>,
}

/// The encoded result.
#[derive(Clone, Debug)]
pub struct Processed {
    /// Encoded bytes.
    pub bytes: Bytes,
    /// Their format.
    pub format: ImageFormat,
    /// Source size in displayed orientation.
    pub source_size: Size,
    /// Result size in displayed orientation.
    pub result_size: Size,
    /// Whether the source goes out as it came.
    pub skipped: bool,
}

/// Runs one job to the encoded result.
///
/// # Errors
/// The kinds of `spec/http.md` section 11 from "source format not decodable" downwards; [`Kind::Cancelled`] once
/// `cancel` was set.
pub fn process(job: &Job, cancel: &Cancel) -> Result<Processed, Error> {
    let result = run(job, cancel);
    match result {
        Err(_) if cancel.is_cancelled() => Err(cancelled()),
        // Decoding is lazy, so a broken source shows in whatever operation evaluates it, and its message is no evidence:
        // libvips has one error buffer for all jobs. Whether the source is to blame is asked of the source.
        Err(error)
            if error.kind() == Kind::Internal && load::decode_alone(job, cancel).is_err() =>
        {
            Err(Error::new(Kind::BrokenImage, error.to_string()))
        }
        result => result,
    }
}

fn cancelled() -> Error {
    Error::new(Kind::Cancelled, "the job was cancelled")
}

fn run(job: &Job, cancel: &Cancel) -> Result<Processed, Error> {
    let request = Request::new(&job.options, &job.settings);
    if skips_processing(job.source.format, &job.options, &job.settings) {
        let size = load::size(job, &request, cancel)?;
        return Ok(Processed {
            bytes: passed_through(job)?,
            format: job.source.format,
            source_size: size,
            result_size: size,
            skipped: true,
        });
    }
    if let Some(result) = direct::run(job, &request, cancel) {
        return result;
    }
    let header = load::header(job, &request, cancel)?;
    let frames = load::frames(&header.image, request.max_animation_frames);
    let format = output_format(job, header.image.has_alpha(), frames > 1)?;
    let animated = frames > 1 && format.info().animation;
    let header = load::reopen(job, header, if animated { frames } else { 1 }, cancel)?;
    let source_size = load::check_limits(job, &request, &header.image, animated)?;
    let context = pipeline::Context {
        job,
        request: &request,
        format,
        frames: if animated { frames } else { 1 },
        cancel,
    };
    let image = if animated {
        animation::run(&context, &header.image)?
    } else {
        let mut state = pipeline::State::of_source(&context, header)?;
        pipeline::run(&context, &mut state)?;
        finish::finish(&context, state, false)?
    };
    let result_size = load::displayed_size(&image);
    let (bytes, format) = save::save(&context, image)?;
    Ok(Processed {
        bytes,
        format,
        source_size,
        result_size,
        skipped: false,
    })
}

/// The source as it goes out where nothing is done to it. Rule: `spec/formats.md` sections 7 and 8.
fn passed_through(job: &Job) -> Result<Bytes, Error> {
    let source = &job.source;
    if source.format == ImageFormat::Svg && job.settings.processing.sanitize_svg {
        return Ok(svg::sanitise(&source.bytes)?);
    }
    Ok(source.bytes.clone())
}

fn output_format(job: &Job, has_alpha: bool, animated: bool) -> Result<ImageFormat, Error> {
    let Job {
        source,
        options,
        settings,
        features,
        ..
    } = job;
    let transparent = is_transparent(&options.pipeline, has_alpha);
    Ok(settings.result_format(options, *features, source.format, transparent, animated)?)
}

impl Settings {
    /// The format of the result. Rule: `spec/formats.md` section 6.
    fn result_format(
        &self,
        options: &Options,
        features: ClientFeatures,
        source: ImageFormat,
        transparent: bool,
        animated: bool,
    ) -> Result<ImageFormat, plan::PlanError> {
        let on = self.processing.negotiation;
        choose_format(&FormatChoice {
            requested: options.output.format,
            source,
            animated,
            transparent,
            jxl: Preference::new(on.auto_jxl, on.enforce_jxl, features.jxl),
            avif: Preference::new(on.auto_avif, on.enforce_avif, features.avif),
            webp: Preference::new(on.auto_webp, on.enforce_webp, features.webp),
            preferred: &self.processing.preferred_formats,
            savable: &self.savable,
        })
    }
}

/// The options of one request with the server's defaults filled in.
#[derive(Debug)]
pub(crate) struct Request {
    max_src_resolution: u64,
    max_animation_frames: u32,
    max_animation_frame_resolution: u64,
    max_result_dimension: i64,
    strip_metadata: bool,
    keep_copyright: bool,
    strip_color_profile: bool,
    preserve_hdr: bool,
    enforce_thumbnail: bool,
}

impl Request {
    fn new(options: &Options, settings: &Settings) -> Self {
        let (limits, output) = (&options.limits, &options.output);
        let (server_limits, config) = (&settings.limits, &settings.processing);
        Self {
            max_src_resolution: limits
                .max_src_resolution
                .unwrap_or(server_limits.max_src_resolution),
            max_animation_frames: limits
                .max_animation_frames
                .unwrap_or(server_limits.max_animation_frames),
            max_animation_frame_resolution: limits
                .max_animation_frame_resolution
                .unwrap_or(server_limits.max_animation_frame_resolution),
            max_result_dimension: limits
                .max_result_dimension
                .unwrap_or(server_limits.max_result_dimension),
            strip_metadata: output.strip_metadata.unwrap_or(config.strip_metadata),
            keep_copyright: output.keep_copyright.unwrap_or(config.keep_copyright),
            strip_color_profile: output
                .strip_color_profile
                .unwrap_or(config.strip_color_profile),
            preserve_hdr: output.preserve_hdr.unwrap_or(config.preserve_hdr),
            enforce_thumbnail: output.enforce_thumbnail.unwrap_or(config.enforce_thumbnail),
        }
    }
}

/// Whether a source goes out as it came. Rule: `spec/formats.md` section 7.
fn skips_processing(source: ImageFormat, options: &Options, settings: &Settings) -> bool {
    let config = &settings.processing;
    plan::load::skips_processing(
        source,
        options.output.format,
        &config.skip_processing_formats,
        &options.output.skip_processing,
        config.always_rasterize_svg,
    )
}
