//! Extending the canvas to the requested size or aspect ratio.

use super::gravity::GravityOption;

/// `extend` or `extend_aspect_ratio`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Extend {
    /// Whether it is on.
    pub enabled: bool,
    /// Where the image goes on the canvas.
    pub gravity: GravityOption,
}
