//! Cutting an area out of an image and placing an image on a larger canvas, given the size that libvips delivered.
//!
//! Rule: `spec/pipeline.md` sections 6.5 (crop procedure), 6.10 (extend procedure) and 6.12.

use crate::geometry::{Gravity, GravityKind, Rect, Size, min_non_zero};
use crate::ops::padding::Padding;

use super::position::position;

/// The part of an image to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crop {
    /// All of it.
    None,
    /// This area, which lies inside the image.
    At(Rect),
    /// An area of this size where libvips finds the attention.
    Smart(Size),
}

/// A larger image that the current one is drawn on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Canvas {
    /// Distance of the image from the left edge; negative only for the gaps of a replicated watermark.
    pub left: i64,
    /// Distance of the image from the top edge; negative only for the gaps of a replicated watermark.
    pub top: i64,
    /// Horizontal pixels of the canvas, at least 1.
    pub width: i64,
    /// Vertical pixels of the canvas, at least 1.
    pub height: i64,
}

/// The crop procedure; a side of 0 keeps that axis.
pub(super) fn crop(size: Size, gravity: Gravity, factor: f64, image: Size) -> Crop {
    if size.width <= 0 && size.height <= 0 {
        return Crop::None;
    }
    let size = Size::new(
        min_non_zero(size.width, image.width),
        min_non_zero(size.height, image.height),
    );
    if size.width >= image.width && size.height >= image.height {
        return Crop::None;
    }
    if gravity.kind == GravityKind::Smart {
        return Crop::Smart(size);
    }
    let (left, top) = position(gravity, size, image, factor, false);
    Crop::At(Rect {
        left,
        top,
        width: size.width,
        height: size.height,
    })
}

/// The extend procedure; a side of 0 keeps that axis.
pub(super) fn extend(size: Size, gravity: Gravity, factor: f64, image: Size) -> Option<Canvas> {
    if size.width <= image.width && size.height <= image.height {
        return None;
    }
    let size = Size::new(
        if size.width <= 0 {
            image.width
        } else {
            size.width
        },
        if size.height <= 0 {
            image.height
        } else {
            size.height
        },
    );
    let (left, top) = position(gravity, image, size, factor, false);
    Some(Canvas {
        left,
        top,
        width: size.width,
        height: size.height,
    })
}

/// The image with a border whose sides are rounded one by one.
pub(super) fn pad(padding: Padding, dpr: f64, image: Size) -> Canvas {
    let [top, right, bottom, left] = [padding.top, padding.right, padding.bottom, padding.left]
        .map(|side| super::padding_side(side, dpr));
    let side = |image: i64, before: i64, after: i64| {
        image.saturating_add(before.saturating_add(after)).max(1)
    };
    Canvas {
        left,
        top,
        width: side(image.width, left, right),
        height: side(image.height, top, bottom),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CENTER: Gravity = Gravity {
        kind: GravityKind::Center,
        x: 0.0,
        y: 0.0,
    };

    #[test]
    fn crops() {
        let image = Size::new(500, 300);
        let at = |left, top, width, height| {
            Crop::At(Rect {
                left,
                top,
                width,
                height,
            })
        };
        for (width, height, expected) in [
            (0, 0, Crop::None),
            (500, 300, Crop::None),
            (501, 301, Crop::None),
            (500, 0, Crop::None),
            (200, 0, at(150, 0, 200, 300)),
            (0, 100, at(0, 100, 500, 100)),
            (900, 100, at(0, 100, 500, 100)),
        ] {
            assert_eq!(
                crop(Size::new(width, height), CENTER, 1.0, image),
                expected,
                "{width}x{height}"
            );
        }
        let smart = Gravity {
            kind: GravityKind::Smart,
            ..CENTER
        };
        assert_eq!(
            crop(Size::new(200, 0), smart, 1.0, image),
            Crop::Smart(Size::new(200, 300))
        );
        assert_eq!(crop(Size::new(500, 0), smart, 1.0, image), Crop::None);
    }

    #[test]
    fn canvases() {
        let image = Size::new(200, 100);
        let on = |left, top, width, height| {
            Some(Canvas {
                left,
                top,
                width,
                height,
            })
        };
        for (width, height, expected) in [
            (0, 0, None),
            (200, 100, None),
            (100, 50, None),
            (300, 0, on(50, 0, 300, 100)),
            (0, 300, on(0, 100, 200, 300)),
            (300, 50, on(50, 0, 300, 50)),
        ] {
            assert_eq!(
                extend(Size::new(width, height), CENTER, 1.0, image),
                expected,
                "{width}x{height}"
            );
        }
    }

    #[test]
    fn paddings_are_rounded_to_even_side_by_side() {
        let padding = Padding {
            top: Some(1),
            right: Some(3),
            bottom: None,
            left: Some(-5),
        };
        for (dpr, image, canvas) in [
            (1.0, (10, 10), (-5, 1, 8, 11)),
            (1.5, (10, 10), (-8, 2, 6, 12)),
            (0.1, (10, 10), (0, 0, 10, 10)),
            (1.0, (1, 10), (-5, 1, 1, 11)),
        ] {
            let (left, top, width, height) = canvas;
            assert_eq!(
                pad(padding, dpr, Size::new(image.0, image.1)),
                Canvas {
                    left,
                    top,
                    width,
                    height
                }
            );
        }
    }
}
