//! Limits on sources and results.

use super::types::format::{INT, MEGA};
use super::types::{integer, mega, non_negative, positive};
use super::var::{Invalid, Var};

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
];
