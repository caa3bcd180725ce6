//! The operations of one pipeline: one file per operation with its typed value, its URL option and its execution.

pub mod background;
pub mod crop;
pub mod extend;
pub mod flip;
pub mod gravity;
pub mod padding;
pub mod resize;
pub mod rotate;
pub mod trim;

use crate::color::Rgb;
use crate::geometry::Angle;

/// Everything a URL can say about one pipeline. Unset is the type's default; server defaults apply later.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PipelineOptions {
    /// Resizing type, sizes, zoom, DPR, enlarge.
    pub resize: resize::Resize,
    /// `extend`.
    pub extend: extend::Extend,
    /// `extend_aspect_ratio`.
    pub extend_aspect_ratio: extend::Extend,
    /// `gravity`.
    pub gravity: gravity::GravityOption,
    /// `crop`.
    pub crop: crop::Crop,
    /// `trim`; `None` is off.
    pub trim: trim::Trim,
    /// `padding`.
    pub padding: padding::Padding,
    /// `auto_rotate`.
    pub auto_rotate: Option<bool>,
    /// `rotate`.
    pub rotate: Angle,
    /// `flip`.
    pub flip: flip::Flip,
    /// `background`.
    pub background: Option<Rgb>,
}
