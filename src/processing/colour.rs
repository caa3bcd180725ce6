//! Colour: into the space that operations work in, and out again into the result's. Rule: `spec/pipeline.md` section 8.
//!
//! Trouble with a profile is logged and processing goes on with the pixels as they are.

use crate::format::ImageFormat;
use crate::vips::{self, BandFormat, Image, Interpretation, Pcs, calls};

/// What happened to the profile on the way in.
#[derive(Clone, Debug, Default)]
pub(super) struct ColourState {
    /// The profile that the source came with.
    backup: Option<Vec<u8>>,
    /// Whether pixels were converted out of the profile's space.
    imported: bool,
}

const PROFILE: &str = "icc-profile-data";
/// Header size of an ICC profile; anything shorter is none.
const PROFILE_HEADER: usize = 128;
/// Above this width libvips up to 8.14.4 misreads rows with alpha in ICC conversions.
const WIDEST_ICC_WITH_ALPHA: i32 = 10_000;

impl ColourState {
    /// Brings an image into the space it is processed in. Running it twice changes nothing.
    pub(super) fn enter(&mut self, image: &Image, hdr: bool) -> Result<Image, vips::Error> {
        use Interpretation::{Bw, Cmyk, Grey16, Rgb, Rgb16, Scrgb, Srgb};
        let guess = image.guess_interpretation();
        let target = match guess {
            Rgb | Srgb | Bw => guess,
            Rgb16 if hdr => Rgb16,
            Grey16 => {
                if hdr {
                    Grey16
                } else {
                    Bw
                }
            }
            Rgb16 | Cmyk => Srgb,
            _ => {
                if hdr {
                    Rgb16
                } else {
                    Srgb
                }
            }
        };
        let mut image = image.clone();
        if guess == Scrgb {
            image = remove_profile(&image)?;
            self.backup = None;
        } else {
            if let Some(profile) = profile(&image) {
                self.backup = Some(profile);
            }
            if !matches!(guess, Rgb | Srgb | Rgb16 | Scrgb | Grey16 | Bw) {
                image = self.import(&image);
            }
        }
        if image.interpretation() == target {
            Ok(image)
        } else {
            calls::colourspace(&image, target, None)
        }
    }

    /// Brings a finished image into the colours that it is saved with.
    pub(super) fn leave(&mut self, image: &Image, keep: bool) -> Result<Image, vips::Error> {
        let mut image = image.clone();
        if profile(&image).is_none()
            && let Some(backup) = &self.backup
        {
            image = image.edit(|metadata| metadata.set_blob(PROFILE, backup))?;
        }
        match (keep, self.imported) {
            (true, true) => Ok(export(&image)),
            (true, false) => Ok(image),
            (false, false) => remove_profile(&to_standard(&image)),
            (false, true) => remove_profile(&image),
        }
    }

    /// Converts from the embedded profile's space into libvips' connection space; at most once.
    pub(super) fn import(&mut self, image: &Image) -> Image {
        if self.imported
            || !image.coding_is_none()
            || !matches!(image.format(), BandFormat::Uchar | BandFormat::Ushort)
        {
            return image.clone();
        }
        let Some(profile) = profile(image) else {
            return image.clone();
        };
        if skips_conversion(image, &profile) {
            return image.clone();
        }
        let converted = without_alpha(
            image,
            |colour| calls::icc_import(colour, pcs(&profile), true, None),
            AlphaAfter::Import,
        );
        match converted {
            Ok(converted) => {
                self.imported = true;
                converted
            }
            Err(error) => {
                tracing::warn!(error = %error, "can't import the ICC profile");
                image.clone()
            }
        }
    }
}

/// Whether a format keeps 16 bits per channel and was asked to.
pub(super) fn is_hdr(format: ImageFormat, preserve_hdr: bool) -> bool {
    preserve_hdr && format.info().hdr
}

/// Converts to the 8 or 16-bit space whose white is `channels` high, for operations that need RGB.
fn export(image: &Image) -> Image {
    convert(image, "export", |colour, profile, depth| {
        calls::icc_export(colour, pcs(profile), depth, None)
    })
}

/// Transforms from the embedded profile into the standard space.
fn to_standard(image: &Image) -> Image {
    let grey = matches!(
        image.guess_interpretation(),
        Interpretation::Bw | Interpretation::Grey16
    );
    let output = if grey { "sgrey" } else { "srgb" };
    convert(image, "transform", |colour, profile, depth| {
        let transform = calls::IccTransform {
            output_profile: output,
            embedded: true,
            input_profile: None,
            pcs: pcs(profile),
            depth,
        };
        calls::icc_transform(colour, transform)
    })
}

fn convert(
    image: &Image,
    what: &'static str,
    operation: impl Fn(&Image, &[u8], i32) -> Result<Image, vips::Error>,
) -> Image {
    let Some(profile) = profile(image) else {
        return image.clone();
    };
    if skips_conversion(image, &profile) {
        return image.clone();
    }
    let depth = match image.interpretation() {
        Interpretation::Grey16 | Interpretation::Rgb16 | Interpretation::Scrgb => 16,
        _ => 8,
    };
    match without_alpha(
        image,
        |colour| operation(colour, &profile, depth),
        AlphaAfter::Same,
    ) {
        Ok(converted) => converted,
        Err(error) => {
            tracing::warn!(error = %error, what, "can't convert by the ICC profile");
            image.clone()
        }
    }
}

/// What becomes of an alpha band that was split off.
#[derive(Clone, Copy, PartialEq, Eq)]
enum AlphaAfter {
    /// It is cast to the format of the converted colours.
    Same,
    /// The same, and 16-bit alpha is brought into the range of the connection space.
    Import,
}

/// Runs an ICC operation without the alpha band where libvips would damage it.
fn without_alpha(
    image: &Image,
    operation: impl Fn(&Image) -> Result<Image, vips::Error>,
    after: AlphaAfter,
) -> Result<Image, vips::Error> {
    let wide = matches!(
        image.interpretation(),
        Interpretation::Rgb16 | Interpretation::Grey16
    );
    if !image.has_alpha()
        || !(wide && after == AlphaAfter::Import || image.width() > WIDEST_ICC_WITH_ALPHA)
    {
        return operation(image);
    }
    let colours = image.bands() - 1;
    let alpha = calls::extract_band(image, colours, 1)?;
    let converted = operation(&calls::extract_band(image, 0, colours)?)?;
    let alpha = if wide && after == AlphaAfter::Import {
        calls::cast(
            &calls::linear(&alpha, &[1.0 / 257.0], &[0.0])?,
            converted.format(),
        )?
    } else {
        calls::cast(&alpha, converted.format())?
    };
    calls::bandjoin(&[converted, alpha])
}

fn profile(image: &Image) -> Option<Vec<u8>> {
    image.blob(PROFILE).filter(|p| p.len() >= PROFILE_HEADER)
}

/// Drops the profile and the EXIF fields that describe colours.
fn remove_profile(image: &Image) -> Result<Image, vips::Error> {
    image.edit(|metadata| {
        for field in [
            PROFILE,
            "exif-ifd0-WhitePoint",
            "exif-ifd0-PrimaryChromaticities",
            "exif-ifd2-ColorSpace",
        ] {
            metadata.remove(field);
        }
    })
}

/// sRGB pixels with the most common sRGB profile need no conversion.
fn skips_conversion(image: &Image, profile: &[u8]) -> bool {
    image.guess_interpretation() == Interpretation::Srgb && is_srgb_iec61966(profile)
}

/// Recognises Hewlett-Packard's "sRGB IEC61966-2.1" by its header fields.
pub(super) fn is_srgb_iec61966(profile: &[u8]) -> bool {
    [
        (8, &[0x02, 0x10, 0x00, 0x00][..]),
        (16, b"RGB "),
        (24, &[0x07, 0xce, 0x00, 0x02, 0x00, 0x09]),
        (48, b"IEC "),
        (52, b"sRGB"),
        (80, b"HP  "),
    ]
    .iter()
    .all(|(at, bytes)| profile.get(*at..*at + bytes.len()) == Some(bytes))
}

/// The connection space that a profile names in its header.
fn pcs(profile: &[u8]) -> Pcs {
    if profile.get(20..24) == Some(b"XYZ ") {
        Pcs::Xyz
    } else {
        Pcs::Lab
    }
}
