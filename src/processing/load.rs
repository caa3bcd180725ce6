//! Opening the source: header, animation, thumbnail, limits.

use super::{Job, Request};
use crate::decode::{self, LoadOptions, Loader};
use crate::error::{Error, Kind};
use crate::geometry::Size;
use crate::plan::{self, ImageInfo};
use crate::vips::{Cancel, Image, calls};

/// An opened source.
#[derive(Debug)]
pub(super) struct Header {
    /// The picture, not decoded yet.
    pub(super) image: Image,
    /// Whether `image` is the embedded thumbnail.
    pub(super) thumbnail: bool,
}

/// The size of a source that goes out as it came, within the limits.
pub(super) fn size(job: &Job, request: &Request, cancel: &Cancel) -> Result<Size, Error> {
    if let Some(size) = size_before_decoding(job, request)? {
        return Ok(size);
    }
    let header = header(job, request, cancel)?;
    check_limits(job, request, &header.image, false)
}

/// Opens the first page, or the embedded thumbnail where that is enforced.
pub(super) fn header(job: &Job, request: &Request, cancel: &Cancel) -> Result<Header, Error> {
    size_before_decoding(job, request)?;
    if request.enforce_thumbnail && job.source.format.info().thumbnail {
        let options = LoadOptions {
            thumbnail: true,
            ..options(job)
        };
        if let Ok(image) = open(job, &options, cancel) {
            return Ok(Header {
                image,
                thumbnail: true,
            });
        }
    }
    let image = open(job, &options(job), cancel)?;
    Ok(Header {
        image,
        thumbnail: false,
    })
}

/// Opens all frames of an animation; drops what only animations need from anything else.
pub(super) fn reopen(
    job: &Job,
    header: Header,
    frames: i64,
    cancel: &Cancel,
) -> Result<Header, Error> {
    if header.thumbnail {
        return Ok(header);
    }
    let image = match frames {
        2.. => animation(job, frames, cancel)?,
        _ => still(&header.image)?,
    };
    Ok(Header {
        image,
        thumbnail: false,
    })
}

/// Opens this number of frames, stacked; they can be read once, from top to bottom.
pub(super) fn animation(job: &Job, frames: i64, cancel: &Cancel) -> Result<Image, Error> {
    let options = LoadOptions {
        pages: i32::try_from(frames).unwrap_or(i32::MAX),
        ..options(job)
    };
    open(job, &options, cancel)
}

/// Opens the source with a shrink factor.
pub(super) fn shrunk(job: &Job, shrink: f64, cancel: &Cancel) -> Result<Image, Error> {
    still(&open(
        job,
        &LoadOptions {
            shrink,
            ..options(job)
        },
        cancel,
    )?)
}

/// Opens the embedded thumbnail.
pub(super) fn thumbnail(job: &Job, cancel: &Cancel) -> Result<Image, Error> {
    still(&open(
        job,
        &LoadOptions {
            thumbnail: true,
            ..options(job)
        },
        cancel,
    )?)
}

/// Decodes the source and drops the pixels, to learn whether that fails. The embedded thumbnail counts as well: a job may
/// have taken it.
pub(super) fn decode_alone(job: &Job, cancel: &Cancel) -> Result<(), Error> {
    let request = Request::new(&job.options, &job.settings);
    let header = header(job, &request, cancel)?;
    let frames = frames(&header.image, request.max_animation_frames);
    evaluate(&reopen(job, header, frames, cancel)?.image)?;
    if job.source.format.info().thumbnail {
        evaluate(&thumbnail(job, cancel)?)?;
    }
    Ok(())
}

/// One pixel out of all of them reads everything and keeps nothing.
fn evaluate(image: &Image) -> Result<(), Error> {
    let (width, height) = (image.width().into(), image.height().into());
    calls::shrink(image, width, height)?.to_pixels()?;
    Ok(())
}

fn still(image: &Image) -> Result<Image, Error> {
    Ok(image.edit(|metadata| {
        for field in ["delay", "loop", "page-height", "n-pages"] {
            metadata.remove(field);
        }
    })?)
}

/// The size of a source whose decoder takes memory for all pixels, refused where that is above the limit: behind
/// [`open`] it would be too late.
fn size_before_decoding(job: &Job, request: &Request) -> Result<Option<Size>, Error> {
    let Some(size) = loader(job)?.size_before_decoding(&job.source.bytes)? else {
        return Ok(None);
    };
    let info = ImageInfo {
        size,
        orientation: 1,
        format: Some(job.source.format),
        frames: 1,
    };
    check_size(request, &info)?;
    Ok(Some(size))
}

fn open(job: &Job, options: &LoadOptions, cancel: &Cancel) -> Result<Image, Error> {
    let image = loader(job)?.load(&job.source.bytes, options)?;
    cancel.watch(&image);
    Ok(image)
}

fn loader(job: &Job) -> Result<&'static Loader, Error> {
    let format = job.source.format;
    decode::loader(format).ok_or_else(|| {
        Error::new(
            Kind::SourceFormatUnsupported,
            format!("Source image format is not supported: {format}"),
        )
    })
}

fn options(job: &Job) -> LoadOptions {
    let config = &job.settings.processing;
    LoadOptions {
        png_unlimited: config.png_unlimited,
        svg_unlimited: config.svg_unlimited,
        tiff_unlimited: config.tiff_unlimited,
        ..LoadOptions::default()
    }
}

/// Number of frames to process: above 1 only for animations that may be treated as such.
pub(super) fn frames(image: &Image, max_frames: u32) -> i64 {
    let timed = image.has("delay") && image.has("loop");
    plan::load::animation_frames(image.int("n-pages").unwrap_or(1).into(), timed, max_frames)
}

/// Refuses sources with more pixels than allowed; gives the displayed size of one frame.
pub(super) fn check_limits(
    job: &Job,
    request: &Request,
    image: &Image,
    animated: bool,
) -> Result<Size, Error> {
    let frames = if animated { frame_count(image) } else { 1 };
    let info = ImageInfo {
        frames,
        size: displayed_size(image),
        ..info(job, image, true)
    };
    check_size(request, &info)?;
    Ok(info.size)
}

/// Refuses sources with more pixels than the request allows.
pub(super) fn check_size(request: &Request, info: &ImageInfo) -> Result<(), Error> {
    Ok(plan::load::check_limits(
        info,
        request.max_src_resolution,
        request.max_animation_frame_resolution,
    )?)
}

/// Number of stacked frames.
pub(super) fn frame_count(image: &Image) -> i64 {
    i64::from(image.height()) / i64::from(image.page_height().max(1))
}

/// Size of one frame as it is meant to be seen: axes exchanged for orientations 5 to 8.
pub(super) fn displayed_size(image: &Image) -> Size {
    let paged = image.int("n-pages").is_some_and(|n| n > 1);
    let height = if paged {
        image.page_height()
    } else {
        image.height()
    };
    Size::new(image.width().into(), height.into()).swapped_if(orientation(image) >= 5)
}

/// EXIF orientation, 1 where there is none.
fn orientation(image: &Image) -> u8 {
    image
        .int("orientation")
        .and_then(|o| u8::try_from(o).ok())
        .filter(|o| (1..=8).contains(o))
        .unwrap_or(1)
}

/// The facts that planning needs. `from_source` is false once the pixels no longer come straight from the decoder.
pub(super) fn info(job: &Job, image: &Image, from_source: bool) -> ImageInfo {
    ImageInfo {
        size: Size::new(image.width().into(), image.height().into()),
        orientation: orientation(image),
        format: from_source.then_some(job.source.format),
        frames: 1,
    }
}
