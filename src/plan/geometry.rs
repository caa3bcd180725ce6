//! The solver: scale factors, crops and canvases from options and source size, all in the axes of the final image.
//!
//! The order of the floating-point operations is part of the rule: `spec/pipeline.md` sections 5.2 to 5.5.

use crate::geometry::{Size, float, min_non_zero, scale, trunc};
use crate::ops::PipelineOptions;
use crate::ops::padding::Padding;
use crate::ops::resize::{Resize, ResizingType};

use super::padding_side;

/// The solution for one source size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Geometry {
    /// The first crop; 0 where an axis is not cropped.
    pub(super) crop: Size,
    /// Horizontal factor.
    pub(super) scale_x: f64,
    /// Vertical factor.
    pub(super) scale_y: f64,
    /// Effective device pixel ratio.
    pub(super) dpr: f64,
    /// Requested size in result pixels; 0 where the option is 0.
    pub(super) target: Size,
    /// Computed size after crop and scale.
    pub(super) scaled: Size,
    /// The second crop; 0 where an axis is not cropped.
    pub(super) result_crop: Size,
    /// Canvas of `extend_aspect_ratio`; 0x0 where there is nothing to do.
    pub(super) ratio_canvas: Size,
}

impl Geometry {
    /// Size after the second crop, or of the canvas that replaces it.
    pub(super) fn result(&self, extend: bool) -> Size {
        let kept = min_size(self.scaled, self.result_crop);
        let canvas = if extend {
            self.target
        } else {
            self.ratio_canvas
        };
        Size::new(kept.width.max(canvas.width), kept.height.max(canvas.height))
    }

    /// The same with the border.
    pub(super) fn padded_result(&self, extend: bool, padding: Padding) -> Size {
        let result = self.result(extend);
        let [top, right, bottom, left] = [padding.top, padding.right, padding.bottom, padding.left]
            .map(|side| padding_side(side, self.dpr));
        Size::new(result.width + left + right, result.height + top + bottom)
    }
}

/// Solves the pipeline for `source`, a size of 1–10^12 in the axes of the final image.
pub(super) fn solve(
    options: &PipelineOptions,
    source: Size,
    vector: bool,
    max_result_dimension: i64,
) -> Geometry {
    let resize = sane(&options.resize);
    let crop = Size::new(
        crop_side(options.crop.width, source.width),
        crop_side(options.crop.height, source.height),
    );
    let to_scale = min_size(crop, source);
    let factors = shrink_factors(&resize, options.extend.enabled, vector, to_scale);
    let ratio = options.extend_aspect_ratio.enabled;
    let geometry = sizes(
        &resize,
        ratio,
        to_scale,
        Geometry {
            crop,
            scale_x: 1.0 / factors.x,
            scale_y: 1.0 / factors.y,
            dpr: factors.dpr,
            target: Size::default(),
            scaled: Size::default(),
            result_crop: Size::default(),
            ratio_canvas: Size::default(),
        },
    );
    let result = geometry.padded_result(options.extend.enabled, options.padding);
    let longest = result.width.max(result.height);
    if max_result_dimension <= 0 || longest <= max_result_dimension {
        return geometry;
    }
    let k = float(max_result_dimension) / float(longest);
    sizes(
        &resize,
        ratio,
        to_scale,
        Geometry {
            scale_x: (geometry.scale_x * k).max(1.0 / float(to_scale.width)),
            scale_y: (geometry.scale_y * k).max(1.0 / float(to_scale.height)),
            dpr: geometry.dpr * k,
            ..geometry
        },
    )
}

/// One axis of section 5.2.
fn crop_side(side: f64, source: i64) -> i64 {
    if side >= 1.0 {
        trunc(side)
    } else if side > 0.0 {
        scale(source, side).max(1)
    } else {
        0
    }
}

/// Source pixels per result pixel, and the effective device pixel ratio.
#[derive(Clone, Copy)]
struct Factors {
    x: f64,
    y: f64,
    dpr: f64,
}

/// Section 5.3, steps 1 to 8.
fn shrink_factors(resize: &Resize, extend: bool, vector: bool, to_scale: Size) -> Factors {
    let (width, height) = (float(to_scale.width), float(to_scale.height));
    let (mut x, mut y) = by_type(resize, width, height);
    x /= resize.zoom_x;
    y /= resize.zoom_y;

    let mut dpr = resize.dpr;
    if !resize.enlarge && !vector {
        let least = x.min(y);
        if least < 1.0 {
            x /= least;
            y /= least;
            if !extend {
                dpr /= least;
            }
        }
        dpr = dpr.min(x).min(y);
    }

    if resize.min_width > 0 {
        let most = width / float(resize.min_width);
        if most < x {
            y /= x / most;
            x = most;
        }
    }
    if resize.min_height > 0 {
        let most = height / float(resize.min_height);
        if most < y {
            x /= y / most;
            y = most;
        }
    }

    Factors {
        x: (x / dpr).min(width),
        y: (y / dpr).min(height),
        dpr,
    }
}

/// Section 5.3, steps 1 and 2.
fn by_type(resize: &Resize, width: f64, height: f64) -> (f64, f64) {
    let target_width = if resize.width == 0 {
        width
    } else {
        float(resize.width)
    };
    let target_height = if resize.height == 0 {
        height
    } else {
        float(resize.height)
    };
    #[expect(
        clippy::float_cmp,
        reason = "both are whole numbers of pixels, and the rule asks for equality"
    )]
    let factor = |source: f64, target: f64| {
        if source == target {
            1.0
        } else {
            source / target
        }
    };
    let (x, y) = (factor(width, target_width), factor(height, target_height));
    #[expect(clippy::float_cmp, reason = "exactly 1 where the sides are equal")]
    let unchanged = x == 1.0 && y == 1.0;
    if unchanged {
        return (x, y);
    }
    let kind = match resize.kind {
        ResizingType::Auto => {
            let source = width - height;
            let target = target_width - target_height;
            if (source >= 0.0) == (target >= 0.0) {
                ResizingType::Fill
            } else {
                ResizingType::Fit
            }
        }
        kind => kind,
    };
    match kind {
        ResizingType::Force => (x, y),
        _ if resize.width == 0 => (y, y),
        _ if resize.height == 0 => (x, x),
        ResizingType::Fit => (x.max(y), x.max(y)),
        ResizingType::Fill | ResizingType::FillDown | ResizingType::Auto => (x.min(y), x.min(y)),
    }
}

/// Section 5.4: fills in the sizes that follow from the factors.
fn sizes(resize: &Resize, ratio: bool, to_scale: Size, geometry: Geometry) -> Geometry {
    let target = Size::new(
        scale(resize.width, geometry.dpr * resize.zoom_x),
        scale(resize.height, geometry.dpr * resize.zoom_y),
    );
    let scaled = Size::new(
        scale(to_scale.width, geometry.scale_x),
        scale(to_scale.height, geometry.scale_y),
    );
    let result_crop = if resize.kind == ResizingType::FillDown && !resize.enlarge {
        shrunk_to_aspect_ratio(target, scaled)
    } else {
        target
    };
    let ratio_canvas = if ratio && target.width > 0 && target.height > 0 {
        grown_to_aspect_ratio(target, min_size(scaled, result_crop))
    } else {
        Size::default()
    };
    Geometry {
        target,
        scaled,
        result_crop,
        ratio_canvas,
        ..geometry
    }
}

/// The crop of `fill-down`: the target, or its aspect ratio inside an image that is smaller.
fn shrunk_to_aspect_ratio(target: Size, image: Size) -> Size {
    let (excess_width, excess_height) = excess(target, image);
    if excess_width > excess_height && excess_width > 1.0 {
        Size::new(
            image.width,
            scale(image.width, float(target.height) / float(target.width)),
        )
    } else if excess_height > excess_width && excess_height > 1.0 {
        Size::new(
            scale(image.height, float(target.width) / float(target.height)),
            image.height,
        )
    } else {
        target
    }
}

/// The canvas of `extend_aspect_ratio`: the target's aspect ratio around the image.
fn grown_to_aspect_ratio(target: Size, image: Size) -> Size {
    let (excess_width, excess_height) = excess(target, image);
    if excess_height > excess_width {
        Size::new(
            image.width,
            scale(image.width, float(target.height) / float(target.width)),
        )
    } else if excess_width > excess_height {
        Size::new(
            scale(image.height, float(target.width) / float(target.height)),
            image.height,
        )
    } else {
        Size::default()
    }
}

fn excess(target: Size, image: Size) -> (f64, f64) {
    (
        float(target.width) / float(image.width),
        float(target.height) / float(image.height),
    )
}

fn min_size(a: Size, b: Size) -> Size {
    Size::new(
        min_non_zero(a.width, b.width),
        min_non_zero(a.height, b.height),
    )
}

/// The options with values that cannot break the arithmetic: whatever a URL can express stays as it is.
fn sane(resize: &Resize) -> Resize {
    let factor = |v: f64| {
        if v > 0.0 {
            v.clamp(1.0 / MAX_FACTOR, MAX_FACTOR)
        } else {
            1.0
        }
    };
    Resize {
        width: resize.width.max(0),
        height: resize.height.max(0),
        zoom_x: factor(resize.zoom_x),
        zoom_y: factor(resize.zoom_y),
        dpr: factor(resize.dpr),
        ..resize.clone()
    }
}

/// Factors beyond this (or below its inverse) have the same effect as this.
const MAX_FACTOR: f64 = 1e15;
