//! What a job will need, before it is begun: time on a worker and memory for pixels, from the first bytes of the source and
//! the plan. No vips, no decoding, no clock; a few microseconds.
//!
//! The factors at the end are rounded measurements of one machine. They need to be right in proportion only: whoever uses
//! them compares them with what jobs really took.

use std::time::Duration;

use super::Settings;
use crate::decode;
use crate::format::ImageFormat;
use crate::format::header::{self, Header};
use crate::geometry::{Size, float, int32};
use crate::options::{ClientFeatures, Options};
use crate::plan::load::skips_processing;
use crate::plan::output::{FormatChoice, Preference, choose_format, is_transparent};
use crate::plan::{self, ImageInfo, Plan};
use crate::source::SourceImage;

/// What is known of a source without decoding it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Its format.
    pub format: ImageFormat,
    header: Header,
    /// Length of the file.
    bytes: u64,
}

/// What a job is expected to need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// Time on a worker, in proportion to other jobs from the same format to the same format.
    pub work: Duration,
    /// Bytes of memory for pixels.
    pub bytes: u64,
    /// Format of the result; a guess where that depends on whether the source is transparent.
    pub result: ImageFormat,
}

impl Facts {
    /// Reads the header. What cannot be read is guessed from the length.
    pub fn of(source: &SourceImage) -> Self {
        let (format, bytes) = (source.format, &source.bytes);
        let still = |size| Header {
            size,
            frames: 1,
            progressive: false,
        };
        // Drawings have no size to speak of, and a compressed pixel takes about a quarter of a byte.
        let guess = || match format {
            ImageFormat::Svg => still(DRAWING),
            _ => {
                let pixels = float(i64::try_from(bytes.len()).unwrap_or(i64::MAX)) * 4.0;
                let side = i64::from(int32(pixels.sqrt())).max(1);
                still(Size::new(side, side))
            }
        };
        let own = || {
            let size = decode::loader(format)?.size_before_decoding(bytes);
            size.ok()?.map(still)
        };
        Self {
            format,
            header: header::read(format, bytes, MOST_FRAMES)
                .or_else(own)
                .unwrap_or_else(guess),
            bytes: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        }
    }

    /// What a job with this source will need.
    pub fn estimate(
        &self,
        options: &Options,
        settings: &Settings,
        features: ClientFeatures,
    ) -> Estimate {
        let config = &settings.processing;
        let skips = skips_processing(
            self.format,
            options.output.format,
            &config.skip_processing_formats,
            &options.output.skip_processing,
            config.always_rasterize_svg,
        );
        if skips {
            return Estimate {
                work: BASE,
                bytes: self.bytes,
                result: self.format,
            };
        }
        let most = options.limits.max_animation_frames;
        let most = most.unwrap_or(settings.limits.max_animation_frames);
        let frames = self.header.frames.min(most).max(1);
        let result = self.result(options, settings, features, frames > 1);
        let frames = match result.info().animation {
            true => frames,
            false => 1,
        };
        let info = ImageInfo {
            size: self.header.size,
            orientation: 1,
            format: Some(self.format),
            frames: frames.into(),
        };
        let longest = options.limits.max_result_dimension;
        let plan = Plan::resolve(
            &options.pipeline,
            &info,
            &plan::Settings {
                auto_rotate: config.auto_rotate,
                disable_shrink_on_load: config.disable_shrink_on_load,
                max_result_dimension: longest.unwrap_or(settings.limits.max_result_dimension),
                max_result_pixels: 0,
            },
        );
        match plan {
            Ok(plan) => self.planned(options, &plan, result, frames),
            // Refused before a pixel is decoded.
            Err(_) => Estimate {
                work: BASE,
                bytes: 0,
                result,
            },
        }
    }

    fn result(
        &self,
        options: &Options,
        settings: &Settings,
        features: ClientFeatures,
        animated: bool,
    ) -> ImageFormat {
        let config = &settings.processing;
        let on = config.negotiation;
        let choice = FormatChoice {
            requested: options.output.format,
            source: self.format,
            animated,
            transparent: is_transparent(&options.pipeline, self.format.info().alpha),
            jxl: Preference::new(on.auto_jxl, on.enforce_jxl, features.jxl),
            avif: Preference::new(on.auto_avif, on.enforce_avif, features.avif),
            webp: Preference::new(on.auto_webp, on.enforce_webp, features.webp),
            preferred: &config.preferred_formats,
            savable: &settings.savable,
        };
        choose_format(&choice).unwrap_or(ImageFormat::Jpeg)
    }

    fn planned(
        &self,
        options: &Options,
        plan: &Plan,
        result: ImageFormat,
        frames: u32,
    ) -> Estimate {
        let trims = options.pipeline.trim.threshold.is_some();
        let shrink = match self.format {
            // There may be a thumbnail, or not.
            ImageFormat::Heic | ImageFormat::Avif => 1.0,
            _ if trims || frames > 1 => 1.0,
            _ => plan.preshrink(1.0).unwrap_or(1.0),
        };
        let size = self.header.size;
        let stored = float(size.pixels());
        let loaded = stored / (shrink * shrink);
        let made = float(plan.result().pixels());

        let row = costs(self.format);
        let decode = row.decode_stored * stored + row.decode_loaded * loaded;
        let tries = match options.output.max_bytes {
            0 => 1.0,
            _ => TRIES,
        };
        let encode = tries * costs(result).encode * made;
        let pixels = decode + RESIZE * loaded + effects(options) * made + encode;

        let progressive = match self.header.progressive {
            true => PROGRESSIVE_BYTES * stored,
            false => 0.0,
        };
        let copies = match trims || frames > 1 {
            true => 4.0 * loaded,
            false => 0.0,
        };
        let held = row.held_stored * stored + row.held_loaded * loaded + progressive + copies;
        let rows = 4.0 * ROWS_HELD * float(size.width) / shrink;
        let frames = f64::from(frames);
        Estimate {
            work: BASE + nanos(frames * pixels),
            bytes: bytes(frames * (held + costs(result).encoder * made) + rows),
            result,
        }
    }
}

/// What the pixels of a format cost: nanoseconds and bytes for each.
struct Costs {
    /// To decode, for each pixel of the file and for each that the decoder delivers.
    decode_stored: f64,
    decode_loaded: f64,
    /// Held while decoding, likewise.
    held_stored: f64,
    held_loaded: f64,
    /// To encode a pixel of the result, and to hold it meanwhile.
    encode: f64,
    encoder: f64,
}

fn costs(format: ImageFormat) -> Costs {
    let row = |decode: [f64; 2], held: [f64; 2], encode: f64, encoder: f64| Costs {
        decode_stored: decode[0],
        decode_loaded: decode[1],
        held_stored: held[0],
        held_loaded: held[1],
        encode,
        encoder,
    };
    match format {
        // Half of the time goes into reading the coefficients, all of them.
        ImageFormat::Jpeg => row([4.0, 4.0], [0.0, 0.0], 10.0, 0.0),
        ImageFormat::Png => row([15.0, 0.0], [0.0, 0.0], 100.0, 0.0),
        ImageFormat::Webp => row([12.0, 0.0], [1.5, 4.0], 200.0, 6.0),
        ImageFormat::Gif => row([10.0, 0.0], [5.0, 0.0], 300.0, 20.0),
        ImageFormat::Heic => row([30.0, 0.0], [6.0, 0.0], 1500.0, 12.0),
        ImageFormat::Avif => row([30.0, 0.0], [6.0, 0.0], 800.0, 12.0),
        ImageFormat::Jxl => row([50.0, 0.0], [16.0, 0.0], 500.0, 30.0),
        ImageFormat::Tiff => row([5.0, 0.0], [0.0, 0.0], 10.0, 4.0),
        ImageFormat::Bmp => row([4.0, 0.0], [4.0, 0.0], 5.0, 4.0),
        ImageFormat::Ico => row([5.0, 0.0], [4.0, 0.0], 100.0, 4.0),
        ImageFormat::Svg => row([0.0, 40.0], [0.0, 4.0], 0.0, 0.0),
    }
}

/// Nanoseconds of the effects for each pixel of the result.
fn effects(options: &Options) -> f64 {
    let pipeline = &options.pipeline;
    let on = |is_on: bool, nanos: f64| if is_on { nanos } else { 0.0 };
    on(pipeline.blur > 0.0, 50.0 + 40.0 * pipeline.blur.min(20.0))
        + on(pipeline.sharpen > 0.0, 100.0)
        + on(pipeline.pixelate > 1, 10.0)
        + on(pipeline.watermark.opacity > 0.0, 60.0)
}

/// Anything that is not a time is none.
fn nanos(value: f64) -> Duration {
    Duration::try_from_secs_f64(value / 1e9).unwrap_or(LONGEST)
}

fn bytes(value: f64) -> u64 {
    // In blocks of 4096, so that the number fits.
    u64::try_from(int32(value / 4096.0)).unwrap_or(0) * 4096
}

/// What the smallest job takes.
const BASE: Duration = Duration::from_micros(800);
/// No job takes longer.
const LONGEST: Duration = Duration::from_secs(3600);
/// Nanoseconds to resize one loaded pixel.
const RESIZE: f64 = 3.0;
/// Bytes that a progressive JPEG or an interlaced PNG holds of each pixel.
const PROGRESSIVE_BYTES: f64 = 4.0;
/// Rows that libvips keeps on the way through the pipeline.
const ROWS_HELD: f64 = 300.0;
/// How often a result that is to fit into `max_bytes` is encoded.
const TRIES: f64 = 3.0;
/// Frames of an animation that are looked for.
const MOST_FRAMES: u32 = 1000;
/// What a drawing is taken for.
const DRAWING: Size = Size {
    width: 500,
    height: 500,
};
