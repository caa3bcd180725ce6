//! Sizes and places of a watermark. The picture itself runs through an ordinary [`super::Plan`] with the options made here.
//!
//! Rule: `spec/pipeline.md` section 12. Opacity and blending are not arithmetic and live elsewhere.

use crate::geometry::{Gravity, GravityKind, Rect, Size, round_to_even, scale_to_even};
use crate::ops::PipelineOptions;
use crate::ops::padding::Padding;

use super::position::position;

/// The pipeline that prepares a watermark for an image (`area` is one frame of it).
///
/// A `fraction` above 0 fits the watermark into that fraction of the area; otherwise it keeps its own size, which `dpr`
/// does not change. The gaps between replicated watermarks become its padding; they may be negative and then overlap.
pub fn preparation(gravity: Gravity, fraction: f64, area: Size, dpr: f64) -> PipelineOptions {
    let mut options = PipelineOptions::default();
    options.resize.enlarge = true;
    if fraction > 0.0 {
        options.resize.width = scale_to_even(area.width, fraction).max(1);
        options.resize.height = scale_to_even(area.height, fraction).max(1);
    }
    if gravity.kind == GravityKind::Replicate {
        let (left, right) = halves(gap(gravity.x, area.width, dpr));
        let (top, bottom) = halves(gap(gravity.y, area.height, dpr));
        options.padding = Padding {
            top: Some(top),
            right: Some(right),
            bottom: Some(bottom),
            left: Some(left),
        };
    }
    options
}

/// Where a single watermark goes in every frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The part of the watermark to keep first; `None` keeps all of it.
    pub cut: Option<Rect>,
    /// Distance from the left edge of the frame; negative where the watermark sticks out.
    pub left: i64,
    /// Distance from the top edge of the frame; negative where it sticks out, which only a still picture allows.
    pub top: i64,
}

impl Placement {
    /// Distance from the top of the stack of frames.
    pub fn top_in_stack(&self, frame: i64, frame_height: i64) -> i64 {
        self.top.saturating_add(frame.saturating_mul(frame_height))
    }
}

/// Places a prepared watermark. In an animation what sticks out above or below a frame is cut away, because it would
/// bleed into the neighbour frame. At least one pixel is always inside.
pub fn place(gravity: Gravity, watermark: Size, frame: Size, frames: i64, dpr: f64) -> Placement {
    let (left, top) = position(gravity, watermark, frame, dpr, true);
    let whole = Placement {
        cut: None,
        left,
        top,
    };
    if frames <= 1 {
        return whole;
    }
    let first = top.min(0).saturating_neg();
    let last = watermark.height.min(frame.height.saturating_sub(top));
    if first == 0 && last == watermark.height {
        return whole;
    }
    Placement {
        cut: Some(Rect {
            left: 0,
            top: first,
            width: watermark.width,
            height: last.saturating_sub(first),
        }),
        left,
        top: top.max(0),
    }
}

/// Copies of an image that cover an area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tiling {
    /// Copies side by side.
    pub across: i64,
    /// Copies one below the other.
    pub down: i64,
    /// The part of the copies to keep; as large as the area.
    pub area: Rect,
}

/// Covers `area` with copies of `tile` (both at least 1x1): around a copy in the middle, or from the left top corner.
pub fn tile(tile: Size, area: Size, centred: bool) -> Tiling {
    let (across, left) = copies(tile.width, area.width, centred);
    let (down, top) = copies(tile.height, area.height, centred);
    Tiling {
        across,
        down,
        area: Rect {
            left,
            top,
            width: area.width,
            height: area.height,
        },
    }
}

fn gap(offset: f64, side: i64, dpr: f64) -> i64 {
    if offset.abs() >= 1.0 {
        round_to_even(offset * dpr)
    } else {
        scale_to_even(side, offset)
    }
}

fn halves(gap: i64) -> (i64, i64) {
    (gap / 2, gap - gap / 2)
}

fn copies(tile: i64, area: i64, centred: bool) -> (i64, i64) {
    let tile = tile.max(1);
    let enough = area / tile + i64::from(area % tile > 0);
    if !centred {
        return (enough, 0);
    }
    let odd = enough + i64::from(enough % 2 == 0);
    (odd, odd.saturating_mul(tile).saturating_sub(area) / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preparations() {
        let area = Size::new(501, 300);
        for (kind, x, y, fraction, dpr, size, padding) in [
            (GravityKind::Center, 7.0, 7.0, 0.0, 2.0, (0, 0), None),
            (GravityKind::Center, 0.0, 0.0, 0.5, 1.0, (250, 150), None),
            (GravityKind::Center, 0.0, 0.0, 0.0001, 1.0, (1, 1), None),
            (GravityKind::Center, 0.0, 0.0, 2.0, 1.0, (1002, 600), None),
            (
                GravityKind::Replicate,
                0.0,
                0.0,
                0.0,
                1.0,
                (0, 0),
                Some([0, 0, 0, 0]),
            ),
            (
                GravityKind::Replicate,
                5.0,
                10.0,
                0.0,
                1.0,
                (0, 0),
                Some([5, 3, 5, 2]),
            ),
            (
                GravityKind::Replicate,
                5.0,
                10.0,
                0.0,
                1.5,
                (0, 0),
                Some([7, 4, 8, 4]),
            ),
            (
                GravityKind::Replicate,
                0.1,
                -0.01,
                0.0,
                3.0,
                (0, 0),
                Some([-1, 25, -2, 25]),
            ),
        ] {
            let options = preparation(Gravity { kind, x, y }, fraction, area, dpr);
            let resize = &options.resize;
            assert_eq!((resize.width, resize.height), size, "{kind:?} {fraction}");
            assert!(resize.enlarge);
            let [top, right, bottom, left] = padding.unwrap_or_default().map(Some);
            let expected = match padding {
                None => Padding::default(),
                Some(_) => Padding {
                    top,
                    right,
                    bottom,
                    left,
                },
            };
            assert_eq!(options.padding, expected, "{kind:?} {x} {y} {dpr}");
        }
    }

    #[test]
    fn placements() {
        let rect = |top, height| {
            Some(Rect {
                left: 0,
                top,
                width: 50,
                height,
            })
        };
        for (name, kind, x, y, frames, cut, left, top) in [
            (
                "still",
                GravityKind::NorthWest,
                -10.0,
                -10.0,
                1,
                None,
                -10,
                -10,
            ),
            (
                "inside",
                GravityKind::NorthWest,
                10.0,
                10.0,
                3,
                None,
                10,
                10,
            ),
            (
                "above",
                GravityKind::NorthWest,
                -10.0,
                -10.0,
                3,
                rect(10, 30),
                -10,
                0,
            ),
            (
                "below",
                GravityKind::SouthEast,
                -10.0,
                -10.0,
                3,
                rect(0, 30),
                60,
                70,
            ),
            ("left only", GravityKind::West, -10.0, 0.0, 3, None, -10, 30),
            (
                "almost out",
                GravityKind::NorthWest,
                0.0,
                -900.0,
                3,
                rect(39, 1),
                0,
                0,
            ),
        ] {
            let gravity = Gravity { kind, x, y };
            let placement = place(gravity, Size::new(50, 40), Size::new(100, 100), frames, 1.0);
            assert_eq!(placement, Placement { cut, left, top }, "{name}");
        }
        let large = place(
            Gravity::default(),
            Size::new(50, 300),
            Size::new(100, 100),
            2,
            1.0,
        );
        assert_eq!((large.cut, large.top), (rect(100, 100), 0));
        assert_eq!(large.top_in_stack(3, 100), 300);
    }

    #[test]
    fn tilings() {
        for (tile_side, area, centred, expected) in [
            (100, 250, true, (3, 25)),
            (100, 400, true, (5, 50)),
            (100, 300, true, (3, 0)),
            (100, 50, true, (1, 25)),
            (3, 10, true, (5, 2)),
            (100, 250, false, (3, 0)),
            (100, 200, false, (2, 0)),
            (100, 50, false, (1, 0)),
        ] {
            let tiling = tile(Size::new(tile_side, 1), Size::new(area, 1), centred);
            assert_eq!(
                (tiling.across, tiling.area.left),
                expected,
                "{tile_side} {area} {centred}"
            );
            assert_eq!((tiling.down, tiling.area.top), (1, 0));
            assert_eq!((tiling.area.width, tiling.area.height), (area, 1));
        }
    }
}
