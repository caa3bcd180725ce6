//! What a job will need, before it is begun: time on a worker and memory for pixels, from the first bytes of the source and
//! the plan. No vips, no decoding, no clock; a few microseconds.
//!
//! The factors at the end are rounded measurements of one machine. They need to be right in proportion only: whoever uses
//! them compares them with what jobs really took.

use std::time::Duration;

use super::direct::MOST_PIXELS;
use super::{Request, Settings, skips_processing};
use crate::decode;
use crate::format::ImageFormat;
use crate::format::header::{self, Header};
use crate::geometry::{Size, float, int32};
use crate::options::{ClientFeatures, Options};
use crate::plan::output::is_transparent;
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
        if skips_processing(self.format, options, settings) {
            return Estimate {
                work: BASE,
                bytes: self.bytes,
                result: self.format,
            };
        }
        let request = Request::new(options, settings);
        let frames = self.header.frames.min(request.max_animation_frames).max(1);
        // Whether it is transparent is not known: as far as its format can be.
        let transparent = is_transparent(&options.pipeline, self.format.info().alpha);
        let result = settings
            .result_format(options, features, self.format, transparent, frames > 1)
            .unwrap_or(ImageFormat::Jpeg);
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
        let config = &settings.processing;
        let plan = Plan::resolve(
            &options.pipeline,
            &info,
            &plan::Settings {
                auto_rotate: config.auto_rotate,
                disable_shrink_on_load: config.disable_shrink_on_load,
                max_result_dimension: request.max_result_dimension,
                max_result_pixels: 0,
            },
        );
        match plan {
            Ok(plan) => self.planned(options, &plan, result, frames, config.direct_codecs),
            // Refused before a pixel is decoded.
            Err(_) => Estimate {
                work: BASE,
                bytes: 0,
                result,
            },
        }
    }

    fn planned(
        &self,
        options: &Options,
        plan: &Plan,
        result: ImageFormat,
        frames: u32,
        direct: bool,
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
        // The direct lane holds the decoded picture.
        let raster = match self.format {
            ImageFormat::Jpeg | ImageFormat::Png
                if direct && i64::from(int32(loaded)) <= MOST_PIXELS =>
            {
                4.0 * loaded
            }
            _ => 0.0,
        };
        let copies = match trims || frames > 1 {
            true => 4.0 * loaded,
            false => 0.0,
        };
        // Turns and effects work on copies, from one into another.
        let copied = |is_on: bool| if is_on { 8.0 } else { 0.0 };
        let changed = copied(!plan.rotation().is_identity()) + copied(effects(options) > 0.0);
        let held =
            row.held_stored * stored + row.held_loaded * loaded + progressive + raster + copies;
        let rows = 4.0 * ROWS_HELD * float(size.width) / shrink;
        let frames = f64::from(frames);
        Estimate {
            work: BASE + nanos(frames * pixels),
            bytes: bytes(frames * (held + (costs(result).encoder + changed) * made) + rows),
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderMap;

    use super::*;
    use crate::config::{LimitsConfig, ProcessingConfig};
    use crate::geometry::Angle;

    const MEGA: i64 = 1_000_000;

    fn settings() -> Settings {
        Settings {
            processing: ProcessingConfig {
                preferred_formats: vec![ImageFormat::Jpeg, ImageFormat::Png],
                ..ProcessingConfig::default()
            },
            limits: LimitsConfig {
                max_animation_frames: 100,
                ..LimitsConfig::default()
            },
            watermark_opacity: 1.0,
            savable: ImageFormat::ALL.to_vec(),
        }
    }

    fn facts(format: ImageFormat, width: i64, height: i64) -> Facts {
        Facts {
            format,
            header: Header {
                size: Size::new(width, height),
                frames: 1,
                progressive: false,
            },
            bytes: 1000,
        }
    }

    fn options(width: i64, format: ImageFormat) -> Options {
        let mut options = Options::default();
        options.pipeline.resize.width = width;
        options.output.format = Some(format);
        options
    }

    fn estimate(facts: &Facts, options: &Options) -> Estimate {
        facts.estimate(options, &settings(), ClientFeatures::default())
    }

    #[test]
    fn more_pixels_and_dearer_formats_cost_more() {
        use ImageFormat::{Avif, Jpeg, Png, Webp};
        let large = facts(Jpeg, 4000, 3000);
        let costs = [
            (facts(Jpeg, 100, 100), options(50, Jpeg)),
            (large, options(200, Jpeg)),
            (large, options(2000, Jpeg)),
            (large, options(2000, Png)),
            (large, options(2000, Webp)),
            (large, options(2000, Avif)),
        ]
        .map(|(facts, options)| estimate(&facts, &options).work);
        assert!(costs.is_sorted(), "{costs:?}");
        assert!(costs[5] > 20 * costs[1], "{costs:?}");
        let mut blurred = options(2000, Jpeg);
        blurred.pipeline.blur = 10.0;
        assert!(estimate(&large, &blurred).work > 3 * costs[2]);
    }

    #[test]
    fn a_picture_that_is_shrunk_while_loading_is_not_held() {
        let whole = facts(ImageFormat::Webp, 8000, 6000);
        let small = estimate(&whole, &options(400, ImageFormat::Jpeg));
        assert!(small.bytes < 100_000_000, "{}", small.bytes);
        let full = estimate(&whole, &options(0, ImageFormat::Jpeg));
        assert!(full.bytes > 200_000_000, "{}", full.bytes);
        // A JPEG is read row by row.
        let rows = estimate(
            &facts(ImageFormat::Jpeg, 8000, 6000),
            &options(0, ImageFormat::Jpeg),
        );
        assert!(rows.bytes < 20_000_000, "{}", rows.bytes);
    }

    #[test]
    fn what_holds_all_pixels() {
        let png = facts(ImageFormat::Png, 5000, 5000);
        let wanted = options(0, ImageFormat::Png);
        let rows = estimate(&png, &wanted).bytes;
        assert!(rows < 25_000_000, "{rows}");
        let mut interlaced = png;
        interlaced.header.progressive = true;
        let mut turned = wanted.clone();
        turned.pipeline.rotate = Angle::D90;
        let mut trimmed = wanted.clone();
        trimmed.pipeline.trim.threshold = Some(10.0);
        for (facts, options) in [(interlaced, wanted), (png, turned), (png, trimmed)] {
            let bytes = estimate(&facts, &options).bytes;
            assert!(bytes >= 100_000_000, "{bytes}");
        }
    }

    #[test]
    fn frames_multiply_as_far_as_they_are_processed() {
        let mut gif = facts(ImageFormat::Gif, 1000, 1000);
        gif.header.frames = 50;
        let wanted = options(100, ImageFormat::Gif);
        let all = estimate(&gif, &wanted).work;
        let still = estimate(&gif, &options(100, ImageFormat::Jpeg)).work;
        assert!(all > 20 * still, "{all:?} {still:?}");
        let mut first = wanted;
        first.limits.max_animation_frames = Some(1);
        assert!(estimate(&gif, &first).work < all / 20);
    }

    #[test]
    fn what_goes_out_as_it_came_costs_next_to_nothing() {
        let mut skipped = options(0, ImageFormat::Png);
        skipped.output.skip_processing = vec![ImageFormat::Png];
        let png = facts(ImageFormat::Png, 7000, 7000);
        let estimate = estimate(&png, &skipped);
        assert_eq!((estimate.work, estimate.bytes), (BASE, 1000));
    }

    #[test]
    fn what_cannot_be_read_is_guessed() {
        let source = |format, length: usize| SourceImage {
            bytes: Bytes::from(vec![0; length]),
            format,
            headers: HeaderMap::new(),
        };
        let small = Facts::of(&source(ImageFormat::Png, 1000));
        let large = Facts::of(&source(ImageFormat::Png, 1_000_000));
        assert_eq!(small.header.size.pixels(), 63 * 63);
        assert_eq!(large.header.size.pixels(), 4 * MEGA);
        assert_eq!(Facts::of(&source(ImageFormat::Svg, 9)).header.size, DRAWING);
        assert_eq!(
            Facts::of(&source(ImageFormat::Bmp, 0)).header.size,
            Size::new(1, 1)
        );
    }
}
