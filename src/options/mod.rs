//! Everything a URL said, typed.

pub mod delivery;
pub mod limits;
pub mod parse;
pub mod presets;

use crate::encode::OutputOptions;
use crate::ops::PipelineOptions;

pub use delivery::Delivery;
pub use limits::LimitOptions;

/// The options of one request after presets and URL were applied in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    /// The pipeline. Chained pipelines turn this into a list.
    pub pipeline: PipelineOptions,
    /// Format, quality, metadata.
    pub output: OutputOptions,
    /// Expiry, file name, cache buster.
    pub delivery: Delivery,
    /// Security limits.
    pub limits: LimitOptions,
    /// `raw`: stream the source as it is.
    pub raw: bool,
}

/// What request headers say about the client.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ClientFeatures {
    /// `Accept` contains `image/webp`.
    pub webp: bool,
    /// `Accept` contains `image/avif`.
    pub avif: bool,
    /// `Accept` contains `image/jxl`.
    pub jxl: bool,
    /// Client hint `Sec-CH-DPR` or `DPR`, in (0, 8].
    pub dpr: Option<f64>,
    /// Client hint `Sec-CH-Width` or `Width`, above 0.
    pub width: Option<u32>,
}
