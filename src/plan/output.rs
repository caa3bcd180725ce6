//! Format, quality and size rules of the encoded result.
//!
//! Rules: `spec/formats.md` sections 5.3, 5.4 and 6; `spec/pipeline.md` section 11.

use std::collections::BTreeMap;

use crate::encode::OutputOptions;
use crate::format::ImageFormat;
use crate::geometry::{Size, float, scale};
use crate::ops::PipelineOptions;

use super::PlanError;

/// What the `Accept` header and the server's switches say about one format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Preference {
    /// Use it where the URL names no format.
    pub prefer: bool,
    /// Use it even where the URL names another format.
    pub enforce: bool,
}

impl Preference {
    /// From the `AUTO_` and `ENFORCE_` switches and whether the client accepts the format.
    pub fn new(auto: bool, enforce: bool, accepted: bool) -> Self {
        Self {
            prefer: (auto || enforce) && accepted,
            enforce: enforce && accepted,
        }
    }
}

/// Everything that decides the result format.
#[derive(Clone, Copy, Debug)]
pub struct FormatChoice<'a> {
    /// What the URL asked for.
    pub requested: Option<ImageFormat>,
    /// What the source is.
    pub source: ImageFormat,
    /// Whether several frames would be loaded.
    pub animated: bool,
    /// Whether the result has transparency; see [`is_transparent`].
    pub transparent: bool,
    /// JPEG XL negotiation.
    pub jxl: Preference,
    /// AVIF negotiation.
    pub avif: Preference,
    /// WebP negotiation.
    pub webp: Preference,
    /// `PREFERRED_FORMATS`, already reduced to savable ones and not empty.
    pub preferred: &'a [ImageFormat],
    /// The formats that this build encodes.
    pub savable: &'a [ImageFormat],
}

/// The result format.
///
/// # Errors
///
/// [`PlanError::FormatNotSavable`] for SVG and for formats without an encoder.
pub fn choose_format(choice: &FormatChoice<'_>) -> Result<ImageFormat, PlanError> {
    let negotiated = |wanted: fn(Preference) -> bool| {
        if wanted(choice.jxl) && !choice.animated {
            Some(ImageFormat::Jxl)
        } else if wanted(choice.avif) && !choice.animated {
            Some(ImageFormat::Avif)
        } else if wanted(choice.webp) {
            Some(ImageFormat::Webp)
        } else {
            None
        }
    };
    let format = match choice.requested {
        Some(ImageFormat::Svg) => return Err(PlanError::FormatNotSavable(ImageFormat::Svg)),
        Some(requested) => negotiated(|p| p.enforce).unwrap_or(requested),
        None => negotiated(|p| p.prefer).unwrap_or_else(|| preferred(choice)),
    };
    if choice.savable.contains(&format) {
        Ok(format)
    } else {
        Err(PlanError::FormatNotSavable(format))
    }
}

/// Whether the result has transparency as far as the choice of the format is concerned: `extend_aspect_ratio` does not
/// count, and an alpha band counts even if it is opaque.
pub fn is_transparent(options: &PipelineOptions, has_alpha: bool) -> bool {
    options.background.is_none()
        && (has_alpha || options.padding.is_enabled() || options.extend.enabled)
}

/// The server's qualities.
#[derive(Clone, Copy, Debug)]
pub struct QualityDefaults<'a> {
    /// `QUALITY`, 1–100.
    pub quality: u8,
    /// `FORMAT_QUALITY`, 1–100 each.
    pub by_format: &'a BTreeMap<ImageFormat, u8>,
}

/// The quality to encode with: option, option by format, server by format, server.
pub fn quality(options: &OutputOptions, format: ImageFormat, defaults: &QualityDefaults<'_>) -> u8 {
    let by_format = |map: &BTreeMap<ImageFormat, u8>| map.get(&format).copied().unwrap_or(0);
    [
        options.quality,
        by_format(&options.format_quality),
        by_format(defaults.by_format),
    ]
    .into_iter()
    .find(|&quality| quality > 0)
    .unwrap_or(defaults.quality)
}

/// Whether `max_bytes` lowers the quality. Not for TIFF, which is written uncompressed, so that trying is in vain.
pub fn searches_quality(format: ImageFormat) -> bool {
    format.info().quality && format != ImageFormat::Tiff
}

/// The next quality to try after `quality` gave `size` bytes; `None` where that result is the answer.
pub fn next_quality(quality: u8, size: u64, max_bytes: u64) -> Option<u8> {
    if size <= max_bytes || quality <= MIN_SEARCHED_QUALITY {
        return None;
    }
    #[expect(
        clippy::cast_precision_loss,
        reason = "compared with 3 and 1.5 only; encoded images are far below 2^53 bytes"
    )]
    let excess = size as f64 / max_bytes.max(1) as f64;
    let step = if excess > 3.0 {
        0.25
    } else if excess > 1.5 {
        0.5
    } else {
        0.75
    };
    let next = scale(i64::from(quality), step).clamp(1, i64::from(quality) - 1);
    u8::try_from(next).ok()
}

/// The format that really gets written: AVIF cannot hold a side below 16 pixels.
pub fn small_avif(format: ImageFormat, size: Size, has_alpha: bool) -> ImageFormat {
    match format {
        ImageFormat::Avif if size.width.min(size.height) < MIN_AVIF_SIDE => {
            if has_alpha {
                ImageFormat::Png
            } else {
                ImageFormat::Jpeg
            }
        }
        format => format,
    }
}

/// The factor for both axes that brings an image within what the format can hold; `None` where it fits. For one frame.
pub fn fix_size(format: ImageFormat, size: Size) -> Option<f64> {
    let longest = float(size.width.max(size.height));
    let by_side = |most: f64| (longest > most).then(|| 1.0 / (longest / most));
    match format {
        ImageFormat::Webp => by_side(16_383.0),
        ImageFormat::Avif | ImageFormat::Heic => by_side(16_384.0),
        ImageFormat::Ico => by_side(256.0),
        ImageFormat::Gif => {
            // A side needs its own factor and only the area its root: the root of a side's excess would leave it too long.
            let excess = float(size.width) * float(size.height) / MAX_GIF_PIXELS;
            let by_area = (excess > 1.0).then(|| (1.0 / excess).sqrt());
            match (by_area, by_side(65_535.0)) {
                (Some(area), Some(side)) => Some(area.min(side)),
                (area, side) => area.or(side),
            }
        }
        _ => None,
    }
}

fn preferred(choice: &FormatChoice<'_>) -> ImageFormat {
    if choice.preferred.contains(&choice.source) {
        return choice.source;
    }
    choice
        .preferred
        .iter()
        .find(|format| {
            let info = format.info();
            (!choice.animated || info.animation) && (!choice.transparent || info.alpha)
        })
        .or(choice.preferred.first())
        .copied()
        .unwrap_or(choice.source)
}

/// The search for a quality ends here.
const MIN_SEARCHED_QUALITY: u8 = 10;
const MIN_AVIF_SIDE: i64 = 16;
const MAX_GIF_PIXELS: f64 = 536_870_911.0;

#[cfg(test)]
mod tests {
    use super::*;
    use ImageFormat::*;

    const NO: Preference = Preference {
        prefer: false,
        enforce: false,
    };
    const PREFER: Preference = Preference {
        prefer: true,
        enforce: false,
    };
    const ENFORCE: Preference = Preference {
        prefer: true,
        enforce: true,
    };

    #[test]
    fn preferences() {
        for (auto, enforce, accepted, expected) in [
            (false, false, true, NO),
            (true, false, true, PREFER),
            (false, true, true, ENFORCE),
            (true, true, true, ENFORCE),
            (true, true, false, NO),
        ] {
            assert_eq!(Preference::new(auto, enforce, accepted), expected);
        }
    }

    #[test]
    fn formats() {
        let all = ImageFormat::ALL.map(|f| if f == Svg { Png } else { f });
        let default = &[Jpeg, Png, Gif][..];
        // requested, source, animated, transparent, (jxl, avif, webp), preferred, result
        for (requested, source, animated, transparent, (jxl, avif, webp), preferred, expected) in [
            (None, Jpeg, false, false, (NO, NO, NO), default, Ok(Jpeg)),
            (None, Jpeg, false, true, (NO, NO, NO), default, Ok(Jpeg)),
            (None, Png, true, true, (NO, NO, NO), default, Ok(Png)),
            (None, Webp, false, false, (NO, NO, NO), default, Ok(Jpeg)),
            (None, Webp, false, true, (NO, NO, NO), default, Ok(Png)),
            (None, Webp, true, true, (NO, NO, NO), default, Ok(Gif)),
            (None, Webp, true, false, (NO, NO, NO), default, Ok(Gif)),
            (
                None,
                Webp,
                true,
                false,
                (NO, NO, NO),
                &[Jpeg, Png][..],
                Ok(Jpeg),
            ),
            (None, Svg, false, true, (NO, NO, NO), default, Ok(Png)),
            (None, Svg, false, false, (NO, NO, NO), default, Ok(Jpeg)),
            (None, Tiff, false, true, (NO, NO, NO), &[Jpeg][..], Ok(Jpeg)),
            (None, Tiff, false, false, (NO, NO, NO), &[][..], Ok(Tiff)),
            (
                None,
                Jpeg,
                false,
                false,
                (PREFER, PREFER, PREFER),
                default,
                Ok(Jxl),
            ),
            (
                None,
                Jpeg,
                false,
                false,
                (NO, PREFER, PREFER),
                default,
                Ok(Avif),
            ),
            (
                None,
                Jpeg,
                false,
                false,
                (NO, NO, PREFER),
                default,
                Ok(Webp),
            ),
            (
                None,
                Gif,
                true,
                false,
                (PREFER, PREFER, PREFER),
                default,
                Ok(Webp),
            ),
            (
                None,
                Gif,
                true,
                false,
                (PREFER, PREFER, NO),
                default,
                Ok(Gif),
            ),
            (
                Some(Png),
                Jpeg,
                false,
                false,
                (PREFER, PREFER, PREFER),
                default,
                Ok(Png),
            ),
            (
                Some(Png),
                Jpeg,
                false,
                false,
                (PREFER, PREFER, ENFORCE),
                default,
                Ok(Webp),
            ),
            (
                Some(Ico),
                Jpeg,
                false,
                false,
                (ENFORCE, ENFORCE, ENFORCE),
                default,
                Ok(Jxl),
            ),
            (
                Some(Gif),
                Gif,
                true,
                false,
                (ENFORCE, ENFORCE, NO),
                default,
                Ok(Gif),
            ),
            (
                Some(Svg),
                Png,
                false,
                false,
                (ENFORCE, NO, NO),
                default,
                Err(Svg),
            ),
            (
                Some(Svg),
                Svg,
                false,
                false,
                (NO, NO, NO),
                default,
                Err(Svg),
            ),
        ] {
            let choice = FormatChoice {
                requested,
                source,
                animated,
                transparent,
                jxl,
                avif,
                webp,
                preferred,
                savable: &all,
            };
            assert_eq!(
                choose_format(&choice),
                expected.map_err(PlanError::FormatNotSavable),
                "{choice:?}"
            );
            let nothing = FormatChoice {
                savable: &[],
                ..choice
            };
            assert!(choose_format(&nothing).is_err());
        }
    }

    #[test]
    fn transparency() {
        let none = PipelineOptions::default();
        let mut padded = none.clone();
        padded.padding.left = Some(1);
        let mut extended = none.clone();
        extended.extend.enabled = true;
        let mut ratio = none.clone();
        ratio.extend_aspect_ratio.enabled = true;
        let mut flattened = padded.clone();
        flattened.background = Some(crate::color::Rgb::WHITE);
        for (name, options, alpha, expected) in [
            ("opaque", &none, false, false),
            ("alpha", &none, true, true),
            ("padding", &padded, false, true),
            ("extend", &extended, false, true),
            ("aspect ratio", &ratio, false, false),
            ("background", &flattened, true, false),
        ] {
            assert_eq!(is_transparent(options, alpha), expected, "{name}");
        }
    }

    #[test]
    fn qualities() {
        let by_format = BTreeMap::from([(Webp, 79), (Avif, 63), (Jxl, 77)]);
        let defaults = QualityDefaults {
            quality: 80,
            by_format: &by_format,
        };
        for (option, own, format, expected) in [
            (0, None, Jpeg, 80),
            (0, None, Webp, 79),
            (0, Some(55), Webp, 55),
            (0, Some(0), Webp, 79),
            (0, Some(0), Jpeg, 80),
            (33, Some(55), Webp, 33),
        ] {
            let options = OutputOptions {
                quality: option,
                format_quality: own.map(|q| (format, q)).into_iter().collect(),
                ..Default::default()
            };
            assert_eq!(
                quality(&options, format, &defaults),
                expected,
                "{option} {own:?} {format}"
            );
        }
    }

    #[test]
    fn quality_search() {
        let mut tried = vec![80];
        while let Some(next) = next_quality(*tried.last().unwrap(), 120, 100) {
            tried.push(next);
        }
        assert_eq!(tried, [80, 60, 45, 34, 26, 20, 15, 11, 8]);
        for (quality, size, max, expected) in [
            (80, 100, 100, None),
            (80, 101, 100, Some(60)),
            (80, 150, 100, Some(60)),
            (80, 151, 100, Some(40)),
            (80, 300, 100, Some(40)),
            (80, 301, 100, Some(20)),
            (10, 301, 100, None),
            (11, 301, 100, Some(3)),
            (100, u64::MAX, 1, Some(25)),
            (80, 5, 0, Some(20)),
        ] {
            assert_eq!(
                next_quality(quality, size, max),
                expected,
                "{quality} {size} {max}"
            );
        }
        let searching: Vec<_> = ImageFormat::ALL
            .into_iter()
            .filter(|&f| searches_quality(f))
            .collect();
        assert_eq!(searching, [Jpeg, Jxl, Webp, Heic, Avif]);
    }

    #[test]
    fn small_avifs() {
        for (format, width, height, alpha, expected) in [
            (Avif, 16, 16, true, Avif),
            (Avif, 15, 16, true, Png),
            (Avif, 16, 15, false, Jpeg),
            (Webp, 1, 1, false, Webp),
        ] {
            assert_eq!(
                small_avif(format, Size::new(width, height), alpha),
                expected
            );
        }
    }

    #[test]
    fn size_limits() {
        for (format, width, height, expected) in [
            (Webp, 16_383, 1, None),
            (Webp, 16_384, 1, Some(1.0 / (16_384.0 / 16_383.0))),
            (Avif, 16_384, 16_384, None),
            (Avif, 100, 32_768, Some(0.5)),
            (Heic, 32_768, 100, Some(0.5)),
            (Ico, 512, 100, Some(0.5)),
            (Ico, 256, 256, None),
            (Gif, 65_535, 8_192, None),
            (Gif, 131_070, 1, Some(0.5)),
            (
                Gif,
                46_340,
                46_340,
                Some((1.0_f64 / (46_340.0 * 46_340.0 / 536_870_911.0)).sqrt()),
            ),
            (
                Gif,
                262_140,
                65_535,
                Some((1.0_f64 / (262_140.0 * 65_535.0 / 536_870_911.0)).sqrt()),
            ),
            (Gif, 262_140, 3_000, Some(0.25)),
            (Jpeg, 100_000, 100_000, None),
            (Png, 100_000, 100_000, None),
        ] {
            assert_eq!(
                fix_size(format, Size::new(width, height)),
                expected,
                "{format} {width}x{height}"
            );
        }
    }
}
