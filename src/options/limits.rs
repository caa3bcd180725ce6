//! Security options: limits that a URL may override where the server allows it.

/// Overrides of the configured limits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitOptions {
    /// `max_src_resolution` in pixels; 0 refuses everything.
    pub max_src_resolution: Option<u64>,
    /// `max_src_file_size` in bytes; 0 is unlimited.
    pub max_src_file_size: Option<u64>,
    /// `max_animation_frames`, at least 1.
    pub max_animation_frames: Option<u32>,
    /// `max_animation_frame_resolution` in pixels; 0 is off.
    pub max_animation_frame_resolution: Option<u64>,
    /// `max_result_dimension` in pixels; 0 is off.
    pub max_result_dimension: Option<i64>,
}
