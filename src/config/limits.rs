//! Limits on sources and results.

use super::errors::Warning;
use super::lists::strings;
use super::types::format::{INT, MEGA};
use super::types::{integer, mega, non_negative, positive};
use super::var::{Invalid, Scope, Var};
use crate::format::ImageFormat;

/// `spec/configuration.md` section 3.1.
#[derive(Clone, Debug, Default)]
pub struct LimitsConfig {
    /// `MAX_SRC_RESOLUTION` in pixels, above 0.
    pub max_src_resolution: u64,
    /// `MAX_SRC_FILE_SIZE` in bytes; 0 is unlimited.
    pub max_src_file_size: u64,
    /// `MAX_ANIMATION_FRAMES`, at least 1.
    pub max_animation_frames: u32,
    /// `MAX_ANIMATION_FRAME_RESOLUTION` in pixels; 0 checks the whole animation.
    pub max_animation_frame_resolution: u64,
    /// `MAX_RESULT_DIMENSION` in pixels; 0 is off.
    pub max_result_dimension: i64,
    /// `IMGFORGE_ALLOWED_MIME_TYPES` as formats; empty allows all.
    pub allowed_formats: Vec<ImageFormat>,
}

pub(super) const VARS: &[Var] = &[
    Var::new(
        "MAX_SRC_RESOLUTION",
        "50",
        MEGA,
        "Largest source in megapixels.",
        |d, v| {
            let pixels = u64::try_from(mega(v)?).unwrap_or(0);
            if pixels == 0 {
                return Err(Invalid::value("cannot be zero or negative"));
            }
            d.config.limits.max_src_resolution = pixels;
            Ok(())
        },
    ),
    Var::new(
        "MAX_SRC_FILE_SIZE",
        "0",
        INT,
        "Largest source in bytes; 0 is unlimited.",
        |d, v| non_negative(v).map(|n| d.config.limits.max_src_file_size = n),
    ),
    Var::new(
        "MAX_ANIMATION_FRAMES",
        "1",
        INT,
        "How many frames of an animation are processed; the rest is dropped.",
        |d, v| {
            let frames: u64 = positive(v)?;
            d.config.limits.max_animation_frames = u32::try_from(frames).unwrap_or(u32::MAX);
            Ok(())
        },
    ),
    Var::new(
        "MAX_ANIMATION_FRAME_RESOLUTION",
        "0",
        MEGA,
        "Largest frame of an animation in megapixels. 0 and below: all frames together count against \
         `MAX_SRC_RESOLUTION`.",
        |d, v| {
            d.config.limits.max_animation_frame_resolution = u64::try_from(mega(v)?).unwrap_or(0);
            Ok(())
        },
    ),
    Var::new(
        "MAX_RESULT_DIMENSION",
        "0",
        INT,
        "Largest width and height of a result in pixels; larger results are scaled down. 0 and below: unlimited.",
        |d, v| integer(v).map(|n| d.config.limits.max_result_dimension = n.max(0)),
    ),
    Var::new(
        "ALLOWED_MIME_TYPES",
        "",
        "comma-separated MIME types",
        "Types that a source may have, by its own first bytes and not by what its server says. Parameters and case do not \
         count. Raw requests are not looked into. Not set, all formats are allowed.",
        |d, v| {
            let mut allowed = Vec::new();
            for name in strings(v).iter().filter(|name| !name.is_empty()) {
                match by_mime(name) {
                    Some(format) => allowed.push(format),
                    None => d.warnings.push(Warning::Note(format!(
                        "{name} in IMGFORGE_ALLOWED_MIME_TYPES is no type that a source can have"
                    ))),
                }
            }
            if allowed.is_empty() {
                return Err(Invalid::value("names no type that a source can have"));
            }
            d.config.limits.allowed_formats = allowed;
            Ok(())
        },
    )
    .scope(Scope::Own),
];

/// The format that a MIME type names, in any case and with any parameters.
fn by_mime(text: &str) -> Option<ImageFormat> {
    let name = text.split(';').next().unwrap_or_default().trim();
    let name = name.to_ascii_lowercase();
    ImageFormat::ALL
        .into_iter()
        .find(|format| format.info().mime == name)
        .or(match name.as_str() {
            "image/jpg" | "image/pjpeg" => Some(ImageFormat::Jpeg),
            "image/heic" => Some(ImageFormat::Heic),
            "image/vnd.microsoft.icon" => Some(ImageFormat::Ico),
            "image/x-ms-bmp" | "image/x-bmp" => Some(ImageFormat::Bmp),
            "image/svg" => Some(ImageFormat::Svg),
            _ => None,
        })
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    #[test]
    fn mime_types() {
        let allowed = |text: &str| {
            let config = Config::from_pairs(&[("IMGFORGE_ALLOWED_MIME_TYPES", text)]);
            config.map(|c| c.limits.allowed_formats)
        };
        assert_eq!(
            allowed("image/PNG; charset=x, image/jpg,").unwrap(),
            [ImageFormat::Png, ImageFormat::Jpeg]
        );
        assert_eq!(
            allowed("application/octet-stream,image/heic").unwrap(),
            [ImageFormat::Heic]
        );
        assert!(allowed("text/html").is_err() && allowed(",").is_err());
    }
}
