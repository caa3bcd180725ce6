//! The crop before scaling.

use super::gravity::GravityOption;

/// `crop`: sizes in source pixels where ≥ 1, fractions of the source below, 0 for the whole side.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Crop {
    /// Horizontal size.
    pub width: f64,
    /// Vertical size.
    pub height: f64,
    /// Its gravity; without a kind the `gravity` option is used whole.
    pub gravity: GravityOption,
}
