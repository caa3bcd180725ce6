//! Cutting off a uniform border.

use crate::color::Rgb;

/// `trim`; enabled iff a threshold is set.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Trim {
    /// Largest difference to the background that still counts as background, in 0–255; a negative value means 10.
    pub threshold: Option<f64>,
    /// The background; `None` takes the top left pixel.
    pub color: Option<Rgb>,
    /// Cut the same amount left and right.
    pub equal_horizontal: bool,
    /// Cut the same amount at top and bottom.
    pub equal_vertical: bool,
}
