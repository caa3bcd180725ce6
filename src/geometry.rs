//! Sizes, rectangles, gravities and the rounding helpers of `spec/pipeline.md` section 1.
//!
//! Rounding is the specification here: every lossy conversion of a number that decides a pixel goes through this file.

use std::fmt;

/// Width and height in pixels; 0 on an axis means "not given".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Size {
    /// Horizontal pixels.
    pub width: i64,
    /// Vertical pixels.
    pub height: i64,
}

impl Size {
    /// A size from its sides.
    pub fn new(width: i64, height: i64) -> Self {
        Self { width, height }
    }

    /// The size with its axes exchanged when `swap` is set.
    #[must_use]
    pub fn swapped_if(self, swap: bool) -> Self {
        if swap {
            Self {
                width: self.height,
                height: self.width,
            }
        } else {
            self
        }
    }

    /// Number of pixels, saturating.
    pub fn pixels(self) -> i64 {
        self.width.saturating_mul(self.height)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

/// An area inside an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rect {
    /// Distance from the left edge.
    pub left: i64,
    /// Distance from the top edge.
    pub top: i64,
    /// Horizontal pixels.
    pub width: i64,
    /// Vertical pixels.
    pub height: i64,
}

/// Which part of a larger area is kept, or where a smaller one goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum GravityKind {
    /// Middle of both axes.
    #[default]
    Center,
    /// Top edge.
    North,
    /// Right edge.
    East,
    /// Bottom edge.
    South,
    /// Left edge.
    West,
    /// Top left corner.
    NorthWest,
    /// Top right corner.
    NorthEast,
    /// Bottom left corner.
    SouthWest,
    /// Bottom right corner.
    SouthEast,
    /// libvips' attention crop.
    Smart,
    /// A point given as fractions of both sides.
    FocusPoint,
    /// Watermark only: fill the image with copies.
    Replicate,
}

impl GravityKind {
    /// The name in URLs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Center => "ce",
            Self::North => "no",
            Self::East => "ea",
            Self::South => "so",
            Self::West => "we",
            Self::NorthWest => "nowe",
            Self::NorthEast => "noea",
            Self::SouthWest => "sowe",
            Self::SouthEast => "soea",
            Self::Smart => "sm",
            Self::FocusPoint => "fp",
            Self::Replicate => "re",
        }
    }
}

/// A gravity with its offsets: pixels where |v| ≥ 1, fractions of the outer size below that.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Gravity {
    /// The anchor.
    pub kind: GravityKind,
    /// Horizontal offset, or focus point.
    pub x: f64,
    /// Vertical offset, or focus point.
    pub y: f64,
}

/// A clockwise rotation by a multiple of 90 degrees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Angle {
    /// No rotation.
    #[default]
    D0,
    /// 90 degrees clockwise.
    D90,
    /// 180 degrees.
    D180,
    /// 270 degrees clockwise.
    D270,
}

impl Angle {
    /// The angle for any multiple of 90, reduced into 0–359; `None` for anything else.
    pub fn from_degrees(degrees: i64) -> Option<Self> {
        match degrees.rem_euclid(360) {
            0 => Some(Self::D0),
            90 => Some(Self::D90),
            180 => Some(Self::D180),
            270 => Some(Self::D270),
            _ => None,
        }
    }

    /// Degrees, 0–270.
    pub fn degrees(self) -> i64 {
        match self {
            Self::D0 => 0,
            Self::D90 => 90,
            Self::D180 => 180,
            Self::D270 => 270,
        }
    }

    /// Both rotations after one another.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self::from_degrees(self.degrees() + other.degrees()).unwrap_or_default()
    }

    /// Whether the rotation exchanges width and height.
    pub fn swaps_axes(self) -> bool {
        matches!(self, Self::D90 | Self::D270)
    }
}

/// Largest magnitude that a computed side or offset may have; far above libvips' limit of 10,000,000 pixels.
const EXTENT: f64 = 1e12;

#[expect(
    clippy::cast_possible_truncation,
    reason = "clamped to ±1e12 before the cast; NaN becomes 0"
)]
fn to_i64(x: f64) -> i64 {
    x.clamp(-EXTENT, EXTENT) as i64
}

/// The value of a pixel count as a double.
#[expect(
    clippy::cast_precision_loss,
    reason = "pixel counts are far below 2^53"
)]
pub fn float(v: i64) -> f64 {
    v as f64
}

/// Nearest integer, halves away from zero.
pub fn round(x: f64) -> i64 {
    to_i64(x.round())
}

/// Nearest integer, halves to even.
pub fn round_to_even(x: f64) -> i64 {
    to_i64(x.round_ties_even())
}

/// A value for an `int` argument of libvips, truncated and clamped to its range.
#[expect(
    clippy::cast_possible_truncation,
    reason = "clamped to the range of i32 before the cast; NaN becomes 0"
)]
pub fn int32(x: f64) -> i32 {
    x.clamp(f64::from(i32::MIN), f64::from(i32::MAX)) as i32
}

/// Toward zero.
pub fn trunc(x: f64) -> i64 {
    to_i64(x.trunc())
}

/// Smallest integer not below `x`.
pub fn ceil(x: f64) -> i64 {
    to_i64(x.ceil())
}

/// `round(a·s)`, 0 for a = 0.
pub fn scale(a: i64, s: f64) -> i64 {
    if a == 0 { 0 } else { round(float(a) * s) }
}

/// `rte(a·s)`, 0 for a = 0.
pub fn scale_to_even(a: i64, s: f64) -> i64 {
    if a == 0 {
        0
    } else {
        round_to_even(float(a) * s)
    }
}

/// `round(a/s)`, 0 for a = 0.
pub fn shrink(a: i64, s: f64) -> i64 {
    if a == 0 { 0 } else { round(float(a) / s) }
}

/// `rte(a/s)`, 0 for a = 0.
pub fn shrink_to_even(a: i64, s: f64) -> i64 {
    if a == 0 {
        0
    } else {
        round_to_even(float(a) / s)
    }
}

/// The smaller of two sides where 0 means "not given".
pub fn min_non_zero(a: i64, b: i64) -> i64 {
    match (a, b) {
        (0, b) => b,
        (a, 0) => a,
        (a, b) => a.min(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding() {
        assert_eq!(
            [round(0.5), round(-0.5), round(1.5), round(2.4)],
            [1, -1, 2, 2]
        );
        assert_eq!(
            [round_to_even(0.5), round_to_even(1.5), round_to_even(-2.5)],
            [0, 2, -2]
        );
        assert_eq!([trunc(1.9), trunc(-1.9)], [1, -1]);
        assert_eq!(
            [round(f64::NAN), round(f64::INFINITY)],
            [0, 1_000_000_000_000]
        );
        assert_eq!(
            [min_non_zero(0, 3), min_non_zero(3, 0), min_non_zero(2, 3)],
            [3, 3, 2]
        );
    }

    #[test]
    fn angles() {
        assert_eq!(Angle::from_degrees(-90), Some(Angle::D270));
        assert_eq!(Angle::from_degrees(450), Some(Angle::D90));
        assert_eq!(Angle::from_degrees(45), None);
    }
}
