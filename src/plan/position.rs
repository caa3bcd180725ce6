//! Where a smaller rectangle sits in a larger one, and how a gravity looks before a rotation or a flip.
//!
//! Rule: `spec/pipeline.md` section 7.

use crate::geometry::{
    Angle, Gravity, GravityKind, Size, round_to_even, scale_to_even, shrink_to_even,
};

/// The left top corner of `inner` in `outer`.
///
/// `factor` multiplies offsets given in pixels (|v| ≥ 1); others are fractions of the outer side. Without `overflow` the
/// inner rectangle stays inside (at 0 where it is larger); with it at least one pixel stays inside.
pub fn position(
    gravity: Gravity,
    inner: Size,
    outer: Size,
    factor: f64,
    overflow: bool,
) -> (i64, i64) {
    let (left, top) = match edges(gravity.kind) {
        Some((x, y)) => (
            anchored(x, inner.width, outer.width, gravity.x, factor),
            anchored(y, inner.height, outer.height, gravity.y, factor),
        ),
        None => (
            scale_to_even(outer.width, gravity.x).saturating_sub(inner.width / 2),
            scale_to_even(outer.height, gravity.y).saturating_sub(inner.height / 2),
        ),
    };
    (
        clamp(left, inner.width, outer.width, overflow),
        clamp(top, inner.height, outer.height, overflow),
    )
}

/// The gravity in the image as it was before it was turned clockwise by `angle` and then flipped.
#[must_use]
pub fn undo(gravity: Gravity, angle: Angle, flip_horizontal: bool, flip_vertical: bool) -> Gravity {
    let gravity = if flip_horizontal {
        mirrored_horizontally(gravity)
    } else {
        gravity
    };
    let gravity = if flip_vertical {
        mirrored_vertically(gravity)
    } else {
        gravity
    };
    match angle {
        Angle::D0 => gravity,
        Angle::D90 => mirrored_vertically(transposed(gravity)),
        Angle::D180 => mirrored_vertically(mirrored_horizontally(gravity)),
        Angle::D270 => mirrored_horizontally(transposed(gravity)),
    }
}

/// Where a gravity holds on to one axis.
#[derive(Clone, Copy, PartialEq)]
enum Edge {
    Start,
    Middle,
    End,
}

fn anchored(edge: Edge, inner: i64, outer: i64, offset: f64, factor: f64) -> i64 {
    let offset = if offset.abs() >= 1.0 {
        round_to_even(offset * factor)
    } else {
        scale_to_even(outer, offset)
    };
    let space = outer.saturating_sub(inner);
    match edge {
        Edge::Start => offset,
        Edge::Middle => shrink_to_even(space.saturating_add(1), 2.0).saturating_add(offset),
        Edge::End => space.saturating_sub(offset),
    }
}

fn clamp(v: i64, inner: i64, outer: i64, overflow: bool) -> i64 {
    let (low, high) = if overflow {
        (1_i64.saturating_sub(inner), outer.saturating_sub(1))
    } else {
        (0, outer.saturating_sub(inner))
    };
    v.min(high).max(low)
}

fn mirrored_horizontally(gravity: Gravity) -> Gravity {
    let Some((x, y)) = edges(gravity.kind) else {
        return match gravity.kind {
            GravityKind::FocusPoint => Gravity {
                x: 1.0 - gravity.x,
                ..gravity
            },
            _ => gravity,
        };
    };
    Gravity {
        kind: kind(opposite(x), y),
        x: mirrored_offset(x, gravity.x),
        y: gravity.y,
    }
}

fn mirrored_vertically(gravity: Gravity) -> Gravity {
    // A mirror at the horizontal axis is a mirror at the vertical one seen from the side.
    transposed(mirrored_horizontally(transposed(gravity)))
}

/// Exchanges the axes.
fn transposed(gravity: Gravity) -> Gravity {
    let kind = match edges(gravity.kind) {
        Some((x, y)) => kind(y, x),
        None => gravity.kind,
    };
    match kind {
        GravityKind::Smart | GravityKind::Replicate => gravity,
        _ => Gravity {
            kind,
            x: gravity.y,
            y: gravity.x,
        },
    }
}

/// An offset points inward from an edge, whichever edge it is, but has a direction of its own in the middle.
fn mirrored_offset(edge: Edge, offset: f64) -> f64 {
    match edge {
        Edge::Middle => -offset,
        Edge::Start | Edge::End => offset,
    }
}

fn opposite(edge: Edge) -> Edge {
    match edge {
        Edge::Start => Edge::End,
        Edge::Middle => Edge::Middle,
        Edge::End => Edge::Start,
    }
}

fn edges(kind: GravityKind) -> Option<(Edge, Edge)> {
    use Edge::{End, Middle, Start};
    Some(match kind {
        GravityKind::Center => (Middle, Middle),
        GravityKind::North => (Middle, Start),
        GravityKind::East => (End, Middle),
        GravityKind::South => (Middle, End),
        GravityKind::West => (Start, Middle),
        GravityKind::NorthWest => (Start, Start),
        GravityKind::NorthEast => (End, Start),
        GravityKind::SouthWest => (Start, End),
        GravityKind::SouthEast => (End, End),
        GravityKind::Smart | GravityKind::FocusPoint | GravityKind::Replicate => return None,
    })
}

fn kind(x: Edge, y: Edge) -> GravityKind {
    use Edge::{End, Middle, Start};
    match (x, y) {
        (Middle, Middle) => GravityKind::Center,
        (Middle, Start) => GravityKind::North,
        (End, Middle) => GravityKind::East,
        (Middle, End) => GravityKind::South,
        (Start, Middle) => GravityKind::West,
        (Start, Start) => GravityKind::NorthWest,
        (End, Start) => GravityKind::NorthEast,
        (Start, End) => GravityKind::SouthWest,
        (End, End) => GravityKind::SouthEast,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use GravityKind::*;

    #[test]
    fn examples_of_the_specification() {
        for (kind, x, y, inner, factor, overflow, expected) in [
            (Center, 0.0, 0.0, (200, 100), 1.0, false, (150, 100)),
            (Center, 10.0, -7.0, (200, 100), 1.0, false, (160, 93)),
            (NorthEast, 20.0, 30.0, (200, 100), 1.0, false, (280, 30)),
            (SouthEast, 0.1, 0.1, (200, 100), 1.0, false, (250, 170)),
            (West, -5.0, 0.0, (200, 100), 1.0, false, (0, 100)),
            (FocusPoint, 0.9, 0.1, (200, 100), 1.0, false, (300, 0)),
            (Center, 0.0, 0.0, (201, 101), 1.0, false, (150, 100)),
            (Center, 0.0, 0.0, (199, 99), 1.0, false, (151, 101)),
            (Center, 0.0, 0.0, (202, 102), 1.0, false, (150, 100)),
            (SouthEast, -50.0, -50.0, (200, 100), 2.0, true, (400, 299)),
            (North, 5.0, 7.0, (200, 100), 2.0, false, (160, 14)),
            (South, 5.0, 7.0, (200, 100), 2.0, false, (160, 186)),
            (East, 5.0, 7.0, (200, 100), 2.0, false, (290, 114)),
            (West, 5.0, 7.0, (200, 100), 2.0, false, (10, 114)),
            (NorthWest, 0.999, 1.0, (200, 100), 1.0, false, (300, 1)),
            (SouthWest, 0.0, 0.0, (200, 100), 1.0, false, (0, 200)),
            (Center, 0.0, 0.0, (600, 400), 1.0, false, (0, 0)),
            (Center, -9999.0, 9999.0, (200, 100), 1.0, true, (-199, 299)),
        ] {
            let gravity = Gravity { kind, x, y };
            let inner = Size::new(inner.0, inner.1);
            assert_eq!(
                position(gravity, inner, Size::new(500, 300), factor, overflow),
                expected,
                "{gravity:?} {inner}"
            );
        }
    }

    /// Rows: given kind; then the kind and the offsets of (2, 3) before each transformation, as in section 7.2.
    #[test]
    fn undoing() {
        type Seen = (GravityKind, f64, f64);
        let rows: [(GravityKind, [Seen; 5]); 9] = [
            (
                Center,
                [
                    (Center, -2., 3.),
                    (Center, 2., -3.),
                    (Center, 3., -2.),
                    (Center, -2., -3.),
                    (Center, -3., 2.),
                ],
            ),
            (
                North,
                [
                    (North, -2., 3.),
                    (South, 2., 3.),
                    (West, 3., -2.),
                    (South, -2., 3.),
                    (East, 3., 2.),
                ],
            ),
            (
                East,
                [
                    (West, 2., 3.),
                    (East, 2., -3.),
                    (North, 3., 2.),
                    (West, 2., -3.),
                    (South, -3., 2.),
                ],
            ),
            (
                South,
                [
                    (South, -2., 3.),
                    (North, 2., 3.),
                    (East, 3., -2.),
                    (North, -2., 3.),
                    (West, 3., 2.),
                ],
            ),
            (
                West,
                [
                    (East, 2., 3.),
                    (West, 2., -3.),
                    (South, 3., 2.),
                    (East, 2., -3.),
                    (North, -3., 2.),
                ],
            ),
            (
                NorthWest,
                [
                    (NorthEast, 2., 3.),
                    (SouthWest, 2., 3.),
                    (SouthWest, 3., 2.),
                    (SouthEast, 2., 3.),
                    (NorthEast, 3., 2.),
                ],
            ),
            (
                NorthEast,
                [
                    (NorthWest, 2., 3.),
                    (SouthEast, 2., 3.),
                    (NorthWest, 3., 2.),
                    (SouthWest, 2., 3.),
                    (SouthEast, 3., 2.),
                ],
            ),
            (
                SouthWest,
                [
                    (SouthEast, 2., 3.),
                    (NorthWest, 2., 3.),
                    (SouthEast, 3., 2.),
                    (NorthEast, 2., 3.),
                    (NorthWest, 3., 2.),
                ],
            ),
            (
                SouthEast,
                [
                    (SouthWest, 2., 3.),
                    (NorthEast, 2., 3.),
                    (NorthEast, 3., 2.),
                    (NorthWest, 2., 3.),
                    (SouthWest, 3., 2.),
                ],
            ),
        ];
        for (given, seen) in rows {
            check(given, (2., 3.), seen);
        }
        check(
            FocusPoint,
            (0.25, 0.125),
            [
                (FocusPoint, 0.75, 0.125),
                (FocusPoint, 0.25, 0.875),
                (FocusPoint, 0.125, 0.75),
                (FocusPoint, 0.75, 0.875),
                (FocusPoint, 0.875, 0.25),
            ],
        );
        check(Smart, (0., 0.), [(Smart, 0., 0.); 5]);
    }

    fn check(kind: GravityKind, (x, y): (f64, f64), seen: [(GravityKind, f64, f64); 5]) {
        let transformations = [
            (Angle::D0, true, false),
            (Angle::D0, false, true),
            (Angle::D90, false, false),
            (Angle::D180, false, false),
            (Angle::D270, false, false),
        ];
        for ((angle, horizontal, vertical), (new_kind, new_x, new_y)) in
            transformations.into_iter().zip(seen)
        {
            let expected = Gravity {
                kind: new_kind,
                x: new_x,
                y: new_y,
            };
            let given = Gravity { kind, x, y };
            assert_eq!(
                undo(given, angle, horizontal, vertical),
                expected,
                "{kind:?} {angle:?} {horizontal} {vertical}"
            );
        }
    }

    #[test]
    fn flips_are_undone_before_the_rotation() {
        let given = Gravity {
            kind: North,
            x: 2.0,
            y: 3.0,
        };
        let expected = Gravity {
            kind: East,
            x: 3.0,
            y: 2.0,
        };
        assert_eq!(undo(given, Angle::D90, true, true), expected);
    }
}
