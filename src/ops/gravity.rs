//! Gravity with its offsets, each of which keeps its value when a later option sets only the others.

use crate::geometry::{Gravity, GravityKind};

/// A gravity as stored from URL options.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct GravityOption {
    /// The anchor; `None` where no option named one.
    pub kind: Option<GravityKind>,
    /// Horizontal offset or focus point.
    pub x: f64,
    /// Vertical offset or focus point.
    pub y: f64,
}

impl GravityOption {
    /// The gravity to use, centre by default.
    pub fn resolved(self) -> Gravity {
        Gravity {
            kind: self.kind.unwrap_or_default(),
            x: self.x,
            y: self.y,
        }
    }
}
