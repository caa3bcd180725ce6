//! Limits on sources and results.

/// `spec/configuration.md` section 3.1.
#[derive(Clone, Debug)]
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
