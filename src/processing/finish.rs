//! After the pipeline: colours of the result, then metadata.

use super::pipeline::{Context, State};
use super::{colour, metadata};
use crate::error::Error;
use crate::vips::Image;

/// The image as it is saved.
pub(super) fn finish(
    context: &Context<'_>,
    mut state: State,
    animated: bool,
) -> Result<Image, Error> {
    let keep = !context.request.strip_color_profile && context.format.info().icc;
    let image = state.colour.leave(&state.image, keep)?;
    if !context.request.strip_metadata {
        return Ok(image);
    }
    Ok(metadata::strip(
        &image,
        context.request.keep_copyright,
        animated,
    )?)
}

/// Whether the job's result keeps 16 bits per channel.
pub(super) fn is_hdr(context: &Context<'_>) -> bool {
    colour::is_hdr(context.format, context.request.preserve_hdr)
}
