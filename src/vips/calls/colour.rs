//! Conversions between colour spaces.
//!
//! They are the operations that can give an image an ICC profile, which has to be made the image's own.

use super::super::{Image, Interpretation, Pcs};
use super::{Result, on, out};

/// Converts to another space, by default from the one that the image is guessed to have.
pub fn colourspace(
    image: &Image,
    space: Interpretation,
    source_space: Option<Interpretation>,
) -> Result<Image> {
    let operation = on("colourspace", image)?.set("space", space)?;
    let operation = match source_space {
        Some(space) => operation.set("source-space", space)?,
        None => operation,
    };
    own_profile(image, out(&operation.run()?)?)
}

/// Converts from a profile to the connection space. `embedded` prefers the image's own profile over `input_profile`,
/// which is the name of a built-in profile or a path.
pub fn icc_import(
    image: &Image,
    pcs: Pcs,
    embedded: bool,
    input_profile: Option<&str>,
) -> Result<Image> {
    let operation = on("icc_import", image)?
        .set("pcs", pcs)?
        .set("embedded", embedded)?;
    let operation = match input_profile {
        Some(profile) => operation.set("input-profile", profile)?,
        None => operation,
    };
    own_profile(image, out(&operation.run()?)?)
}

/// Converts from the connection space to a profile: the image's own unless a name or path is given. `depth` is 8 or 16
/// bits.
pub fn icc_export(
    image: &Image,
    pcs: Pcs,
    depth: i32,
    output_profile: Option<&str>,
) -> Result<Image> {
    let operation = on("icc_export", image)?
        .set("pcs", pcs)?
        .set("depth", depth)?;
    let operation = match output_profile {
        Some(profile) => operation.set("output-profile", profile)?,
        None => operation,
    };
    own_profile(image, out(&operation.run()?)?)
}

/// How [`icc_transform`] works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IccTransform<'a> {
    /// Name of a built-in profile (`srgb`, `cmyk`, `p3`, and `sgrey` from 8.14.3) or a path.
    pub output_profile: &'a str,
    /// Whether the image's own profile comes before `input_profile`.
    pub embedded: bool,
    /// Name or path of the profile for images without one.
    pub input_profile: Option<&'a str>,
    /// The connection space.
    pub pcs: Pcs,
    /// Bits of the result, 8 or 16.
    pub depth: i32,
}

/// Converts from one profile to another.
pub fn icc_transform(image: &Image, transform: IccTransform<'_>) -> Result<Image> {
    let operation = on("icc_transform", image)?
        .set("output-profile", transform.output_profile)?
        .set("embedded", transform.embedded)?
        .set("pcs", transform.pcs)?
        .set("depth", transform.depth)?;
    let operation = match transform.input_profile {
        Some(profile) => operation.set("input-profile", profile)?,
        None => operation,
    };
    own_profile(image, out(&operation.run()?)?)
}

/// Gives an image that got its ICC profile from an operation a profile of its own.
///
/// Where libvips takes a built-in profile because the image has none, or one that does not fit, it notes the profile in
/// the result without owning it: the bytes are freed with the operation, and whoever reads the field afterwards reads
/// freed memory. Seen with 8.18.7 and CMYK pictures without a profile. The operation is still alive here.
fn own_profile(before: &Image, after: Image) -> Result<Image> {
    match after.blob(PROFILE) {
        Some(profile) if before.blob(PROFILE).as_ref() != Some(&profile) => {
            after.edit(|metadata| metadata.set_blob(PROFILE, &profile))
        }
        _ => Ok(after),
    }
}

/// libvips' name of the field with the ICC profile.
const PROFILE: &str = "icc-profile-data";
