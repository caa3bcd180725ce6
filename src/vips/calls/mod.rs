//! One typed function for each libvips operation in use. Safe code; names and meanings are libvips' own.
//!
//! Every function returns an error if libvips refuses; most work happens later, when the result is saved.

mod colour;

use bytes::Bytes;

use super::{
    Access, Angle, BandFormat, Built, Direction, Error, Extend, Image, Interpretation, Kernel,
    Operation, Source, Target, Value, version,
};

pub use colour::{IccTransform, colourspace, icc_export, icc_import, icc_transform};

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

/// Gaussian blur out of sums of boxes, sigma 0–1000 pixels: several times faster than the exact one.
pub fn gaussblur_approximate(image: &Image, sigma: f64) -> Result<Image> {
    out(&on("gaussblur", image)?
        .set("sigma", sigma)?
        .set("precision", "approximate")?
        .run()?)
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

/// Puts a picture of the same bands and format into another; it must lie inside.
pub fn insert(main: &Image, part: &Image, x: i32, y: i32) -> Result<Image> {
    let operation = Operation::new("insert")?
        .set("main", main)?
        .set("sub", part)?
        .set("x", x)?
        .set("y", y)?;
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

#[cfg(test)]
mod tests {
    use super::super::Pcs;
    use super::super::features::has_operation;
    use super::super::stress::{jpeg, picture, ready};
    use super::*;

    /// Width, height, bands, format, interpretation.
    type Shape = (i32, i32, i32, BandFormat, Interpretation);

    fn shape(image: &Image) -> Shape {
        let (width, height) = (image.width(), image.height());
        let (format, space) = (image.format(), image.interpretation());
        (width, height, image.bands(), format, space)
    }

    #[test]
    fn every_call_makes_the_shape_it_promises() {
        use BandFormat::{Float, Uchar, Ushort};
        use Interpretation::{Bw, Lab, Multiband, Rgb, Rgb16, Srgb, Xyz};
        let rgb = picture(20, 10, 3);
        let rgba = picture(20, 10, 4);
        let canvas = Canvas {
            left: 1,
            top: 2,
            width: 30,
            height: 40,
            extend: Extend::Background,
            background: Some(&[1.0, 2.0, 3.0]),
        };
        let srgb = IccTransform {
            output_profile: "srgb",
            embedded: true,
            input_profile: Some("srgb"),
            pcs: Pcs::Lab,
            depth: 8,
        };
        let lab = icc_import(&rgb, Pcs::Lab, false, Some("srgb")).unwrap();
        let xyz = icc_import(&rgb, Pcs::Xyz, true, Some("srgb")).unwrap();
        let float = cast(&rgb, Float).unwrap();
        let cases: [(&str, Result<Image>, Shape); 33] = [
            (
                "resize",
                resize(&rgb, 0.5, 0.3, None),
                (10, 3, 3, Uchar, Srgb),
            ),
            (
                "kernel",
                resize(&rgb, 2.0, 1.0, Some(Kernel::Cubic)),
                (40, 10, 3, Uchar, Srgb),
            ),
            (
                "extract_area",
                extract_area(&rgb, 1, 2, 3, 4),
                (3, 4, 3, Uchar, Srgb),
            ),
            ("embed", embed(&rgb, canvas), (30, 40, 3, Uchar, Srgb)),
            ("rot", rot(&rgb, Angle::D270), (10, 20, 3, Uchar, Srgb)),
            (
                "flip",
                flip(&rgb, Direction::Vertical),
                (20, 10, 3, Uchar, Srgb),
            ),
            (
                "flatten",
                flatten(&rgba, &[9.0; 3]),
                (20, 10, 3, Uchar, Srgb),
            ),
            ("premultiply", premultiply(&rgba), (20, 10, 4, Float, Srgb)),
            (
                "unpremultiply",
                unpremultiply(&rgba),
                (20, 10, 4, Float, Srgb),
            ),
            ("cast", cast(&rgb, Ushort), (20, 10, 3, Ushort, Srgb)),
            (
                "colourspace",
                colourspace(&rgb, Rgb16, None),
                (20, 10, 3, Ushort, Rgb16),
            ),
            (
                "source space",
                colourspace(&rgb, Bw, Some(Srgb)),
                (20, 10, 1, Uchar, Bw),
            ),
            (
                "copy",
                copy_with_interpretation(&rgb, Rgb),
                (20, 10, 3, Uchar, Rgb),
            ),
            (
                "bandjoin",
                bandjoin(&[rgb.clone(), rgba.clone()]),
                (20, 10, 7, Uchar, Srgb),
            ),
            (
                "bandjoin_const",
                bandjoin_const(&rgb, &[1.0, 2.0]),
                (20, 10, 5, Uchar, Srgb),
            ),
            (
                "extract_band",
                extract_band(&rgb, 1, 2),
                (20, 10, 2, Uchar, Srgb),
            ),
            ("add_alpha", add_alpha(&rgb), (20, 10, 4, Uchar, Srgb)),
            ("alpha already", add_alpha(&rgba), (20, 10, 4, Uchar, Srgb)),
            (
                "linear",
                linear(&rgb, &[1.0], &[0.0, 1.0, 2.0]),
                (20, 10, 3, Float, Srgb),
            ),
            ("gaussblur", gaussblur(&rgb, 2.0), (20, 10, 3, Uchar, Srgb)),
            ("sharpen", sharpen(&rgb, 1.0), (20, 10, 3, Uchar, Srgb)),
            ("shrink", shrink(&rgb, 5.0, 2.0), (4, 5, 3, Uchar, Srgb)),
            ("zoom", zoom(&rgb, 2, 3), (40, 30, 3, Uchar, Srgb)),
            ("smartcrop", smartcrop(&rgb, 5, 5), (5, 5, 3, Uchar, Srgb)),
            ("icc_import", Ok(lab.clone()), (20, 10, 3, Float, Lab)),
            ("icc_import xyz", Ok(xyz), (20, 10, 3, Float, Xyz)),
            (
                "icc_export",
                icc_export(&lab, Pcs::Lab, 8, Some("srgb")),
                (20, 10, 3, Uchar, Srgb),
            ),
            (
                "icc_transform",
                icc_transform(&rgb, srgb),
                (20, 10, 3, Uchar, Srgb),
            ),
            (
                "composite2",
                composite2(&rgb, &rgba, -3, 50, None),
                (20, 10, 4, Uchar, Srgb),
            ),
            (
                "in a space",
                composite2(&rgb, &rgba, 0, 0, Some(Rgb16)),
                (20, 10, 4, Ushort, Rgb16),
            ),
            ("replicate", replicate(&rgb, 2, 3), (40, 30, 3, Uchar, Srgb)),
            (
                "arrayjoin",
                arrayjoin(&[rgb.clone(), rgb.clone()]),
                (20, 20, 3, Uchar, Srgb),
            ),
            (
                "no meaning",
                copy_with_interpretation(&float, Multiband),
                (20, 10, 3, Float, Multiband),
            ),
        ];
        for (name, result, expected) in cases {
            let image = result.unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(shape(&image), expected, "{name}");
            assert!(image.to_pixels().is_ok(), "{name}");
        }
    }

    #[test]
    fn alpha_is_opaque_in_the_range_of_the_space() {
        let rgb = picture(4, 4, 3);
        let last = |image: &Image| *getpoint(image, 0, 0).unwrap().last().unwrap();
        assert_eq!(last(&add_alpha(&rgb).unwrap()), 255.0);
        let deep = colourspace(&rgb, Interpretation::Rgb16, None).unwrap();
        assert_eq!(last(&add_alpha(&deep).unwrap()), 65535.0);
        let linear = colourspace(&rgb, Interpretation::Scrgb, None).unwrap();
        let opaque = if version() < (8, 15, 0) { 255.0 } else { 1.0 };
        assert_eq!(last(&add_alpha(&linear).unwrap()), opaque);
    }

    #[test]
    fn trimming_finds_the_content() {
        let inner = picture(6, 5, 3);
        let canvas = Canvas {
            left: 7,
            top: 8,
            width: 40,
            height: 30,
            extend: Extend::White,
            background: None,
        };
        let image = embed(&inner, canvas).unwrap();
        assert_eq!(getpoint(&image, 0, 0).unwrap(), [255.0; 3]);
        let bounds = find_trim(&image, &[255.0; 3], 10.0).unwrap();
        let Bounds {
            left,
            top,
            width,
            height,
        } = bounds;
        assert_eq!((left, top, width, height), (7, 8, 6, 5));
        let empty = find_trim(&image, &[255.0; 3], 255.0).unwrap();
        assert_eq!((empty.width, empty.height), (0, 0));
    }

    #[test]
    fn allowed_formats_go_there_and_back() {
        ready();
        let image = picture(64, 48, 3);
        type Case<'a> = (&'a str, &'a str, &'a [(&'a str, Value<'a>)]);
        let cases: [Case<'_>; 8] = [
            (
                "jpegsave_target",
                "jpegload_source",
                &[("Q", Value::Int(90))],
            ),
            (
                "pngsave_target",
                "pngload_source",
                &[("filter", Value::Str("all"))],
            ),
            (
                "webpsave_target",
                "webpload_source",
                &[("preset", Value::Str("photo"))],
            ),
            (
                "gifsave_target",
                "gifload_source",
                &[("bitdepth", Value::Int(8))],
            ),
            (
                "tiffsave_target",
                "tiffload_source",
                &[("Q", Value::Int(90))],
            ),
            (
                "jxlsave_target",
                "jxlload_source",
                &[("effort", Value::Int(3))],
            ),
            (
                "heifsave_target",
                "heifload_source",
                &[("compression", Value::Str("av1"))],
            ),
            (
                "heifsave_target",
                "heifload_source",
                &[("compression", Value::Str("hevc"))],
            ),
        ];
        let mut tried = 0;
        for (saver, loader, arguments) in cases {
            if !has_operation(saver) || !has_operation(loader) {
                continue;
            }
            let bytes = save(&image, saver, arguments).unwrap();
            let source = Source::from_bytes(bytes);
            let back = load(loader, &source, Access::Sequential, &[]).unwrap();
            assert_eq!((back.width(), back.height()), (64, 48), "{loader}");
            assert!(back.to_pixels().is_ok(), "{loader}");
            tried += 1;
        }
        assert!(tried >= 4, "the common formats must be there");
    }

    #[test]
    fn vector_drawings_load_although_libvips_distrusts_them() {
        ready();
        let svg = "<svg xmlns='http://www.w3.org/2000/svg' width='30' height='20'/>";
        let source = Source::from_bytes(Bytes::from(svg));
        let arguments = [("dpi", Value::Double(96.0)), ("scale", Value::Double(0.75))];
        let image = load("svgload_source", &source, Access::Sequential, &arguments).unwrap();
        assert_eq!((image.width(), image.height()), (30, 20));
    }

    #[test]
    fn loaders_shrink_and_report_wrong_arguments() {
        let source = Source::from_bytes(jpeg(81, 41));
        let load = |arguments| load("jpegload_source", &source, Access::Sequential, arguments);
        let half = load(&[("shrink", Value::Int(2))]).unwrap();
        assert_eq!((half.width(), half.height()), (40, 20));
        assert!(load(&[("shrink", Value::Int(64))]).is_err());
        assert!(load(&[("page", Value::Int(0))]).is_err());
        let saved = save_with(&half, "webpsave_target", |saver| {
            saver.set("Q", 50)?.set_if_supported("from_the_future", 1)
        });
        assert!(saved.is_ok());
    }
}
