//! One typed function for each libvips operation in use. Safe code; names and meanings are libvips' own.
//!
//! Every function returns an error if libvips refuses; most work happens later, when the result is saved.

use bytes::Bytes;

use super::{
    Access, Angle, BandFormat, Built, Direction, Error, Extend, Image, Interpretation, Kernel,
    Operation, Pcs, Source, Target, Value, version,
};

type Result<T> = std::result::Result<T, Error>;

/// A rectangle of pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Distance from the left edge.
    pub left: i32,
    /// Distance from the top edge.
    pub top: i32,
    /// Width, 0 if empty.
    pub width: i32,
    /// Height, 0 if empty.
    pub height: i32,
}

/// Decodes with the loader of this nickname, for example `jpegload_source`. Arguments that this libvips lacks are
/// errors; build on [`loader`] to leave them out instead.
pub fn load(
    nickname: &str,
    source: &Source,
    access: Access,
    arguments: &[(&str, Value<'_>)],
) -> Result<Image> {
    loader(nickname, source, access)?
        .set_all(arguments)?
        .run()?
        .image("out")
}

/// A loader with its source and access mode set.
pub fn loader(nickname: &str, source: &Source, access: Access) -> Result<Operation> {
    Operation::new(nickname)?
        .set("source", source)?
        .set("access", access)
}

/// Encodes with the saver of this nickname, for example `jpegsave_target`. Arguments that this libvips lacks are errors;
/// use [`save_with`] to leave them out instead.
pub fn save(image: &Image, nickname: &str, arguments: &[(&str, Value<'_>)]) -> Result<Bytes> {
    save_with(image, nickname, |saver| saver.set_all(arguments))
}

/// Encodes with the saver of this nickname after `configure` set its arguments.
pub fn save_with(
    image: &Image,
    nickname: &str,
    configure: impl FnOnce(Operation) -> Result<Operation>,
) -> Result<Bytes> {
    let target = Target::memory()?;
    let saver = Operation::new(nickname)?
        .set("in", image)?
        .set("target", &target)?;
    let saved = configure(saver)?.run()?;
    drop(saved);
    target.finish()
}

/// Scales by two factors above 0; a side never becomes shorter than one pixel. `None` is libvips' kernel, Lanczos 3.
pub fn resize(
    image: &Image,
    horizontal: f64,
    vertical: f64,
    kernel: Option<Kernel>,
) -> Result<Image> {
    let operation = on("resize", image)?
        .set("scale", horizontal)?
        .set("vscale", vertical)?;
    let operation = match kernel {
        Some(kernel) => operation.set("kernel", kernel)?,
        None => operation,
    };
    out(&operation.run()?)
}

/// Cuts a rectangle that lies inside the image.
pub fn extract_area(image: &Image, left: i32, top: i32, width: i32, height: i32) -> Result<Image> {
    let operation = Operation::new("extract_area")?
        .set("input", image)?
        .set("left", left)?
        .set("top", top)?
        .set("width", width)?
        .set("height", height)?;
    out(&operation.run()?)
}

/// Where [`embed`] puts the image, and on what.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Canvas<'a> {
    /// Distance of the image from the left edge of the canvas; may be negative.
    pub left: i32,
    /// Distance of the image from the top edge of the canvas; may be negative.
    pub top: i32,
    /// Width of the canvas.
    pub width: i32,
    /// Height of the canvas.
    pub height: i32,
    /// What surrounds the image.
    pub extend: Extend,
    /// The colour for [`Extend::Background`], one number or one for each band.
    pub background: Option<&'a [f64]>,
}

/// Puts the image on a canvas.
pub fn embed(image: &Image, canvas: Canvas<'_>) -> Result<Image> {
    let operation = on("embed", image)?
        .set("x", canvas.left)?
        .set("y", canvas.top)?
        .set("width", canvas.width)?
        .set("height", canvas.height)?
        .set("extend", canvas.extend)?;
    let operation = match canvas.background {
        Some(background) => operation.set("background", background)?,
        None => operation,
    };
    out(&operation.run()?)
}

/// Turns by quarter turns, clockwise.
pub fn rot(image: &Image, angle: Angle) -> Result<Image> {
    out(&on("rot", image)?.set("angle", angle)?.run()?)
}

/// Mirrors.
pub fn flip(image: &Image, direction: Direction) -> Result<Image> {
    out(&on("flip", image)?.set("direction", direction)?.run()?)
}

/// Lays the image on a colour and drops the alpha band; one number or one for each band that stays.
pub fn flatten(image: &Image, background: &[f64]) -> Result<Image> {
    out(&on("flatten", image)?.set("background", background)?.run()?)
}

/// Multiplies the bands by alpha; the result is float.
pub fn premultiply(image: &Image) -> Result<Image> {
    out(&on("premultiply", image)?.run()?)
}

/// Divides the bands by alpha; the result is float.
pub fn unpremultiply(image: &Image) -> Result<Image> {
    out(&on("unpremultiply", image)?.run()?)
}

/// Changes the band format; values outside the new range are clipped.
pub fn cast(image: &Image, format: BandFormat) -> Result<Image> {
    out(&on("cast", image)?.set("format", format)?.run()?)
}

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
    out(&operation.run()?)
}

/// The same pixels with another meaning.
pub fn copy_with_interpretation(image: &Image, interpretation: Interpretation) -> Result<Image> {
    out(&on("copy", image)?
        .set("interpretation", interpretation)?
        .run()?)
}

/// Puts the bands of images one after the other.
pub fn bandjoin(images: &[Image]) -> Result<Image> {
    out(&Operation::new("bandjoin")?.set("in", images)?.run()?)
}

/// Adds bands of constants.
pub fn bandjoin_const(image: &Image, constants: &[f64]) -> Result<Image> {
    out(&on("bandjoin_const", image)?.set("c", constants)?.run()?)
}

/// Takes `count` bands from number `first` on, counted from 0.
pub fn extract_band(image: &Image, first: i32, count: i32) -> Result<Image> {
    out(&on("extract_band", image)?
        .set("band", first)?
        .set("n", count)?
        .run()?)
}

/// The image with an opaque alpha band, unless it has alpha.
///
/// `addalpha` is an operation only since 8.16. The opaque value is 65535 for 16-bit spaces; for scRGB it is 255 before
/// 8.15 and 1 since.
pub fn add_alpha(image: &Image) -> Result<Image> {
    if image.has_alpha() {
        return Ok(image.clone());
    }
    let (major, minor, _) = version();
    let opaque = match image.interpretation() {
        Interpretation::Rgb16 | Interpretation::Grey16 => 65535.0,
        Interpretation::Scrgb if (major, minor) >= (8, 15) => 1.0,
        _ => 255.0,
    };
    bandjoin_const(image, &[opaque])
}

/// `in · a + b` for each band; one number or one for each band. The result is float.
pub fn linear(image: &Image, a: &[f64], b: &[f64]) -> Result<Image> {
    out(&on("linear", image)?.set("a", a)?.set("b", b)?.run()?)
}

/// Gaussian blur, sigma 0–1000 pixels.
pub fn gaussblur(image: &Image, sigma: f64) -> Result<Image> {
    out(&on("gaussblur", image)?.set("sigma", sigma)?.run()?)
}

/// Unsharp masking of the lightness, sigma 0.000001–10 pixels; 8.14 allows more.
pub fn sharpen(image: &Image, sigma: f64) -> Result<Image> {
    out(&on("sharpen", image)?.set("sigma", sigma)?.run()?)
}

/// Averages boxes of pixels; factors of at least 1.
pub fn shrink(image: &Image, horizontal: f64, vertical: f64) -> Result<Image> {
    out(&on("shrink", image)?
        .set("hshrink", horizontal)?
        .set("vshrink", vertical)?
        .run()?)
}

/// Repeats every pixel; whole factors of at least 1.
pub fn zoom(image: &Image, horizontal: i32, vertical: i32) -> Result<Image> {
    let operation = Operation::new("zoom")?
        .set("input", image)?
        .set("xfac", horizontal)?
        .set("yfac", vertical)?;
    out(&operation.run()?)
}

/// Cuts the part of this size that draws most attention.
pub fn smartcrop(image: &Image, width: i32, height: i32) -> Result<Image> {
    let operation = Operation::new("smartcrop")?
        .set("input", image)?
        .set("width", width)?
        .set("height", height)?
        .set("interesting", "attention")?;
    out(&operation.run()?)
}

/// The box around everything that differs from the background by more than the threshold in some band.
pub fn find_trim(image: &Image, background: &[f64], threshold: f64) -> Result<Bounds> {
    let built = on("find_trim", image)?
        .set("background", background)?
        .set("threshold", threshold)?
        .run()?;
    Ok(Bounds {
        left: built.int("left")?,
        top: built.int("top")?,
        width: built.int("width")?,
        height: built.int("height")?,
    })
}

/// The bands of one pixel.
pub fn getpoint(image: &Image, x: i32, y: i32) -> Result<Vec<f64>> {
    let built = on("getpoint", image)?.set("x", x)?.set("y", y)?.run()?;
    built.doubles("out-array")
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
    out(&operation.run()?)
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
    out(&operation.run()?)
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
    out(&operation.run()?)
}

/// Blends `overlay` over `base` at an offset that may be negative.
pub fn composite2(
    base: &Image,
    overlay: &Image,
    x: i32,
    y: i32,
    compositing_space: Option<Interpretation>,
) -> Result<Image> {
    let operation = Operation::new("composite2")?
        .set("base", base)?
        .set("overlay", overlay)?
        .set("mode", "over")?
        .set("x", x)?
        .set("y", y)?;
    let operation = match compositing_space {
        Some(space) => operation.set("compositing-space", space)?,
        None => operation,
    };
    out(&operation.run()?)
}

/// Repeats the whole image.
pub fn replicate(image: &Image, across: i32, down: i32) -> Result<Image> {
    out(&on("replicate", image)?
        .set("across", across)?
        .set("down", down)?
        .run()?)
}

/// Stacks images from top to bottom.
pub fn arrayjoin(images: &[Image]) -> Result<Image> {
    let operation = Operation::new("arrayjoin")?
        .set("in", images)?
        .set("across", 1)?;
    out(&operation.run()?)
}

/// Expands Radiance's packed pixels to float.
pub fn rad2float(image: &Image) -> Result<Image> {
    out(&on("rad2float", image)?.run()?)
}

/// An operation whose first argument is named `in`.
fn on(nickname: &str, image: &Image) -> Result<Operation> {
    Operation::new(nickname)?.set("in", image)
}

fn out(built: &Built) -> Result<Image> {
    built.image("out")
}
