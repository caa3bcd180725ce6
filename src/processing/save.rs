//! Encoding, with the search for a quality that fits `max_bytes`.

use bytes::Bytes;

use super::cancelled;
use super::pipeline::Context;
use crate::encode::{self, SaveOptions};
use crate::error::{Error, Kind};
use crate::format::ImageFormat;
use crate::geometry::Size;
use crate::plan;
use crate::vips::Image;

/// Encodes the finished image; the format can differ from the wanted one where AVIF cannot hold it.
pub(super) fn save(context: &Context<'_>, image: Image) -> Result<(Bytes, ImageFormat), Error> {
    let size = Size::new(image.width().into(), image.height().into());
    let format = plan::output::small_avif(context.format, size, image.has_alpha());
    let config = &context.job.settings.processing;
    let saver = encode::saver(format).ok_or_else(|| {
        Error::new(
            Kind::ResultFormatUnsupported,
            format!("Resulting image format is not supported: {format}"),
        )
    })?;
    let in_memory = format == ImageFormat::Png && encode::png::has_palette(&image, config);
    let image = if searches(context, format) || in_memory {
        detached(image)?
    } else {
        image
    };
    context.cancel.watch(&image);
    let encode = |quality| {
        if context.cancel.is_cancelled() {
            return Err(cancelled());
        }
        Ok((saver.save)(&image, &SaveOptions { quality, config })?)
    };
    Ok((search_quality(context, format, encode)?, format))
}

/// Encodes once, or as often as it takes to get below `max_bytes` by lowering the quality.
pub(super) fn search_quality<E>(
    context: &Context<'_>,
    format: ImageFormat,
    encode: impl Fn(u8) -> Result<Bytes, E>,
) -> Result<Bytes, E> {
    let output = &context.job.options.output;
    let config = &context.job.settings.processing;
    let defaults = plan::output::QualityDefaults {
        quality: config.quality,
        by_format: &config.format_quality,
    };
    let mut quality = plan::output::quality(output, format, &defaults);
    loop {
        let bytes = encode(quality)?;
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if !searches(context, format) {
            return Ok(bytes);
        }
        match plan::output::next_quality(quality, length, output.max_bytes) {
            None => return Ok(bytes),
            Some(next) => quality = next,
        }
    }
}

/// Whether the quality follows from `max_bytes`.
fn searches(context: &Context<'_>, format: ImageFormat) -> bool {
    context.job.options.output.max_bytes > 0 && plan::output::searches_quality(format)
}

/// The pixels alone: the decoder with its buffers goes before an encoder that takes all pixels at once has its own.
fn detached(image: Image) -> Result<Image, Error> {
    let pixels = image.copy_memory()?;
    drop(image);
    Ok(pixels)
}
