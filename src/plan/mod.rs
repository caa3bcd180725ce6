//! Pure arithmetic: options and header facts in, resolved numbers out. No vips, no I/O, no clock.
//!
//! [`Plan::resolve`] answers every question of one pipeline that the header can answer. What depends on the size that
//! libvips really delivered (crops, canvases) is a method that takes that size, because libvips' own rounding may differ
//! from the computed size by a pixel. Rule: `spec/pipeline.md` sections 1 to 7.

pub mod canvas;
mod geometry;
pub mod load;
pub mod output;
pub mod position;
pub mod watermark;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod worked_examples;

use thiserror::Error;

use crate::error::{Error, Kind};
use crate::format::ImageFormat;
use crate::geometry::{Angle, Gravity, Size, float, min_non_zero, round, scale, scale_to_even};
use crate::ops::PipelineOptions;
use crate::ops::flip::Flip;
use crate::ops::padding::Padding;

pub use canvas::{Canvas, Crop};

/// What a header says about an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageInfo {
    /// Pixels as stored, before any rotation; of one frame where the image is an animation.
    pub size: Size,
    /// EXIF orientation, 1–8; anything else counts as 1.
    pub orientation: u8,
    /// The format of the source bytes while they can be decoded again; `None` after trim and for animation frames.
    pub format: Option<ImageFormat>,
    /// Frames that the result stacks vertically; 1 for a still picture.
    pub frames: i64,
}

impl ImageInfo {
    /// The size of one frame as the debug headers and the limits see it: orientations 5–8 exchange the axes, whether or
    /// not the picture will be rotated. Rule: `spec/pipeline.md` section 4.
    pub fn upright_size(&self) -> Size {
        self.size.swapped_if(matches!(self.orientation, 5..=8))
    }

    /// Whether the source bytes are vector graphics that can be rendered at any size.
    pub fn is_vector(&self) -> bool {
        self.format.is_some_and(|format| format.info().vector)
    }
}

/// Effective settings of the server and the request that the arithmetic needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Whether to honour EXIF orientation where the pipeline does not say.
    pub auto_rotate: bool,
    /// Never decode raster images at a reduced size.
    pub disable_shrink_on_load: bool,
    /// Longest side of the result in pixels, reached by scaling down; ≤ 0 is off.
    pub max_result_dimension: i64,
    /// Most pixels, over all frames, that an enlarged, extended or padded result may have; ≤ 0 is off. A result no larger
    /// than its source is never refused.
    pub max_result_pixels: i64,
}

/// Why no plan could be made.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum PlanError {
    /// The source has more pixels than allowed.
    #[error("Source image resolution is too big")]
    ResolutionTooLarge,
    /// One frame of an animation has more pixels than allowed.
    #[error("Source image frame resolution is too big")]
    FrameResolutionTooLarge,
    /// The result, or an image on the way to it, has more pixels than allowed or than libvips can hold.
    #[error("Result image is too big: {0}")]
    ResultTooLarge(Size),
    /// The result format cannot be encoded.
    #[error("Resulting image format is not supported: {0}")]
    FormatNotSavable(ImageFormat),
}

impl From<PlanError> for Error {
    fn from(error: PlanError) -> Self {
        let kind = match error {
            PlanError::ResolutionTooLarge | PlanError::FrameResolutionTooLarge => {
                Kind::ResolutionTooLarge
            }
            PlanError::ResultTooLarge(_) => Kind::ResultTooLarge,
            PlanError::FormatNotSavable(_) => Kind::ResultFormatUnsupported,
        };
        Self::new(kind, error.to_string())
    }
}

/// The turns and mirrors of one pipeline, in the order of execution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rotation {
    /// First: clockwise, from EXIF.
    pub exif_angle: Angle,
    /// Second: left to right, from EXIF.
    pub exif_flip: bool,
    /// Third: clockwise, from `rotate`.
    pub angle: Angle,
    /// Fourth: left to right, from `flip`.
    pub flip_horizontal: bool,
    /// Fifth: top to bottom, from `flip`.
    pub flip_vertical: bool,
}

impl Rotation {
    /// Whether nothing moves, so that the step (and the removal of the orientation tag) is left out.
    pub fn is_identity(&self) -> bool {
        *self == Self::default()
    }

    /// Whether stored and final image have width and height exchanged.
    pub fn swaps_axes(&self) -> bool {
        self.exif_angle.plus(self.angle).swaps_axes()
    }
}

/// The resolved numbers of one pipeline.
///
/// Sizes and factors are in the axes of the final, rotated image; methods that concern steps before the rotation take
/// and answer stored axes.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    source: Size,
    format: Option<ImageFormat>,
    auto_rotate: bool,
    shrink_on_load: bool,
    rotation: Rotation,
    crop: Size,
    crop_gravity: Gravity,
    scale_x: f64,
    scale_y: f64,
    dpr: f64,
    target: Size,
    result_crop: Size,
    gravity: Gravity,
    extend: Option<Gravity>,
    ratio_canvas: Size,
    ratio_gravity: Gravity,
    padding: Padding,
}

impl Plan {
    /// Resolves a pipeline for an image: for a vector image after [`load::vector_guard`] was obeyed, and again after
    /// `trim`.
    ///
    /// # Errors
    ///
    /// [`PlanError::ResultTooLarge`] where the scaled image or the result canvas has a side over 10,000,000 pixels or
    /// more pixels than both the source and `max_result_pixels`.
    pub fn resolve(
        options: &PipelineOptions,
        info: &ImageInfo,
        settings: &Settings,
    ) -> Result<Self, PlanError> {
        let auto_rotate = options.auto_rotate.unwrap_or(settings.auto_rotate);
        let rotation = rotation(auto_rotate, info.orientation, options.rotate, options.flip);
        let source = clamped(info.size).swapped_if(rotation.swaps_axes());
        let geometry = geometry::solve(
            options,
            source,
            info.is_vector(),
            settings.max_result_dimension,
        );
        let plan = Self {
            source,
            format: info.format,
            auto_rotate,
            shrink_on_load: !settings.disable_shrink_on_load,
            rotation,
            crop: geometry.crop,
            crop_gravity: match options.crop.gravity.kind {
                Some(_) => options.crop.gravity.resolved(),
                None => options.gravity.resolved(),
            },
            scale_x: geometry.scale_x,
            scale_y: geometry.scale_y,
            dpr: geometry.dpr,
            target: geometry.target,
            result_crop: geometry.result_crop,
            gravity: options.gravity.resolved(),
            extend: options
                .extend
                .enabled
                .then(|| options.extend.gravity.resolved()),
            ratio_canvas: geometry.ratio_canvas,
            ratio_gravity: options.extend_aspect_ratio.gravity.resolved(),
            padding: options.padding,
        };
        plan.check_result(&geometry, info.frames, settings.max_result_pixels)?;
        Ok(plan)
    }

    /// The rotation that EXIF asks for, and whether a horizontal flip follows it; none where `auto_rotate` is off.
    pub fn exif(&self) -> (Angle, bool) {
        (self.rotation.exif_angle, self.rotation.exif_flip)
    }

    /// The effective device pixel ratio: factor of pixel offsets and paddings, above 0.
    pub fn dpr_scale(&self) -> f64 {
        self.dpr
    }

    /// The first crop, of the loaded image in stored axes. Rule: `spec/pipeline.md` section 6.5.
    pub fn crop(&self, image: Size) -> Crop {
        let r = &self.rotation;
        let gravity = position::undo(
            self.crop_gravity,
            r.angle,
            r.flip_horizontal,
            r.flip_vertical,
        );
        let gravity = position::undo(gravity, r.exif_angle, r.exif_flip, false);
        canvas::crop(self.crop.swapped_if(r.swaps_axes()), gravity, 1.0, image)
    }

    /// Factors of width and height in stored axes; `None` where both are exactly 1.
    pub fn scale(&self) -> Option<(f64, f64)> {
        #[expect(
            clippy::float_cmp,
            reason = "the rule is exactly 1, and rebase stores exactly 1"
        )]
        let unchanged = self.scale_x == 1.0 && self.scale_y == 1.0;
        if unchanged {
            None
        } else if self.rotation.swaps_axes() {
            Some((self.scale_y, self.scale_x))
        } else {
            Some((self.scale_x, self.scale_y))
        }
    }

    /// The turns and mirrors.
    pub fn rotation(&self) -> Rotation {
        self.rotation
    }

    /// The crop after rotation. Rule: `spec/pipeline.md` section 6.8.
    pub fn crop_to_result(&self, image: Size) -> Crop {
        canvas::crop(self.result_crop, self.gravity, self.dpr, image)
    }

    /// The canvas of `extend`; `None` where the image already covers it. Rule: `spec/pipeline.md` section 6.10.
    pub fn extend(&self, image: Size) -> Option<Canvas> {
        canvas::extend(self.target, self.extend?, self.dpr, image)
    }

    /// The canvas of `extend_aspect_ratio`. Rule: `spec/pipeline.md` section 6.11.
    pub fn extend_aspect_ratio(&self, image: Size) -> Option<Canvas> {
        canvas::extend(self.ratio_canvas, self.ratio_gravity, self.dpr, image)
    }

    /// The canvas of `padding`: `Some` wherever the option is on, even if every side rounds to 0, because the step also
    /// adds the alpha band. Rule: `spec/pipeline.md` section 6.12.
    pub fn padding(&self, image: Size) -> Option<Canvas> {
        self.padding
            .is_enabled()
            .then(|| canvas::pad(self.padding, self.dpr, image))
    }

    /// The size of the result before its border, to a pixel or so: what the steps really deliver may differ.
    pub fn result(&self) -> Size {
        let axis = |crop, source, factor, cut, target, canvas| {
            let scaled = scale(min_non_zero(crop, source), factor);
            let wanted = if self.extend.is_some() {
                target
            } else {
                canvas
            };
            min_non_zero(scaled, cut).max(wanted).max(1)
        };
        Size::new(
            axis(
                self.crop.width,
                self.source.width,
                self.scale_x,
                self.result_crop.width,
                self.target.width,
                self.ratio_canvas.width,
            ),
            axis(
                self.crop.height,
                self.source.height,
                self.scale_y,
                self.result_crop.height,
                self.target.height,
                self.ratio_canvas.height,
            ),
        )
    }

    /// Refuses what libvips cannot hold and what would be far larger than anything the client sent.
    fn check_result(
        &self,
        geometry: &geometry::Geometry,
        frames: i64,
        max_pixels: i64,
    ) -> Result<(), PlanError> {
        let frames = frames.max(1);
        let rendered = if self.is_vector() {
            let ratio = self.ratio();
            let side = |pixels| scale(pixels, 1.0 / ratio);
            Size::new(side(self.source.width), side(self.source.height))
        } else {
            Size::default()
        };
        let allowed = match max_pixels {
            ..=0 => i64::MAX,
            n => n.max(self.source.pixels().saturating_mul(frames)),
        };
        for size in [
            rendered,
            geometry.scaled,
            geometry.result(self.extend.is_some()),
            geometry.padded_result(self.extend.is_some(), self.padding),
        ] {
            let stack = Size::new(size.width, size.height.saturating_mul(frames));
            if stack.width.max(stack.height) > MAX_SIDE || stack.pixels() > allowed {
                return Err(PlanError::ResultTooLarge(stack));
            }
        }
        Ok(())
    }
}

/// The orientation table of `spec/pipeline.md` section 5.1 with the user's own turns.
fn rotation(auto_rotate: bool, orientation: u8, angle: Angle, flip: Flip) -> Rotation {
    let (exif_angle, exif_flip) = match orientation {
        _ if !auto_rotate => (Angle::D0, false),
        2 => (Angle::D0, true),
        3 => (Angle::D180, false),
        4 => (Angle::D180, true),
        5 => (Angle::D90, true),
        6 => (Angle::D90, false),
        7 => (Angle::D270, true),
        8 => (Angle::D270, false),
        _ => (Angle::D0, false),
    };
    Rotation {
        exif_angle,
        exif_flip,
        angle,
        flip_horizontal: flip.horizontal,
        flip_vertical: flip.vertical,
    }
}

/// A header size that the arithmetic can divide by.
fn clamped(size: Size) -> Size {
    Size::new(
        size.width.clamp(1, MAX_SOURCE_SIDE),
        size.height.clamp(1, MAX_SOURCE_SIDE),
    )
}

/// Libvips' resize by a factor of at most 1: how many pixels of a side become one, and how many there are then. Not always
/// the nearest integer to the product: libvips divides by the inverse. Rule: `spec/pipeline.md` section 1.
pub fn shrunk_side(side: i64, factor: f64) -> (f64, i64) {
    let side = float(side.max(1));
    let shrink = 1.0 / factor.max(1.0 / side);
    (shrink, round(side / shrink).max(1))
}

/// A padding side in result pixels.
fn padding_side(side: Option<i64>, dpr: f64) -> i64 {
    scale_to_even(side.unwrap_or(0), dpr)
}

/// libvips' `VIPS_MAX_COORD`: no image may have a longer side.
const MAX_SIDE: i64 = 10_000_000;

/// Far beyond anything a decoder accepts, and small enough that sums of sides cannot overflow.
const MAX_SOURCE_SIDE: i64 = 1_000_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orientations() {
        for (orientation, angle, flip) in [
            (0, Angle::D0, false),
            (1, Angle::D0, false),
            (2, Angle::D0, true),
            (3, Angle::D180, false),
            (4, Angle::D180, true),
            (5, Angle::D90, true),
            (6, Angle::D90, false),
            (7, Angle::D270, true),
            (8, Angle::D270, false),
            (9, Angle::D0, false),
        ] {
            let on = rotation(true, orientation, Angle::D0, Flip::default());
            assert_eq!(
                (on.exif_angle, on.exif_flip),
                (angle, flip),
                "{orientation}"
            );
            assert_eq!(on.is_identity(), angle == Angle::D0 && !flip);
            assert!(rotation(false, orientation, Angle::D0, Flip::default()).is_identity());
        }
    }

    #[test]
    fn an_option_overrides_the_setting_of_auto_rotate() {
        let info = info(800, 600, None, 6);
        for (option, setting, angle) in [
            (None, true, Angle::D90),
            (None, false, Angle::D0),
            (Some(true), false, Angle::D90),
            (Some(false), true, Angle::D0),
        ] {
            let mut options = PipelineOptions {
                auto_rotate: option,
                ..Default::default()
            };
            options.rotate = Angle::D270;
            let settings = Settings {
                auto_rotate: setting,
                ..settings()
            };
            let plan = Plan::resolve(&options, &info, &settings).unwrap();
            assert_eq!(plan.exif(), (angle, false));
            assert_eq!(plan.rotation().swaps_axes(), angle == Angle::D0);
        }
    }

    #[test]
    fn results_that_nothing_can_hold_are_refused() {
        let pixels = 1_000_000;
        for (name, width, height, enlarge, extend, pad, frames, error) in [
            ("as large as allowed", 1000, 1000, true, false, 0, 1, None),
            (
                "one row too many",
                1000,
                1001,
                true,
                false,
                0,
                1,
                Some((1000, 1001)),
            ),
            ("not enlarged", 1000, 1001, false, false, 0, 1, None),
            (
                "extended",
                1000,
                1001,
                false,
                true,
                0,
                1,
                Some((1000, 1001)),
            ),
            ("padded", 0, 0, false, false, 500, 1, Some((1100, 1100))),
            (
                "every frame counts",
                500,
                500,
                true,
                false,
                0,
                5,
                Some((500, 2500)),
            ),
            ("few frames", 500, 500, true, false, 0, 4, None),
            (
                "beyond any number",
                i64::MAX,
                1,
                true,
                false,
                0,
                1,
                Some((1_000_000_000_000, 1)),
            ),
            (
                "padding beyond any number",
                0,
                0,
                false,
                false,
                i64::MAX,
                1,
                Some((2_000_000_000_100, 2_000_000_000_100)),
            ),
        ] {
            let mut options = PipelineOptions::default();
            options.resize.kind = crate::ops::resize::ResizingType::Force;
            options.resize.width = width;
            options.resize.height = height;
            options.resize.enlarge = enlarge;
            options.extend.enabled = extend;
            options.padding = Padding {
                top: Some(pad),
                right: Some(pad),
                bottom: Some(pad),
                left: Some(pad),
            };
            let settings = Settings {
                max_result_pixels: pixels,
                ..settings()
            };
            let info = ImageInfo {
                frames,
                ..info(100, 100, None, 1)
            };
            let expected = error.map(|(w, h)| PlanError::ResultTooLarge(Size::new(w, h)));
            assert_eq!(
                Plan::resolve(&options, &info, &settings).err(),
                expected,
                "{name}"
            );
        }
    }

    #[test]
    fn the_source_may_always_come_back_at_its_own_size() {
        let settings = Settings {
            max_result_pixels: 10,
            ..settings()
        };
        let info = info(100, 100, None, 1);
        assert!(Plan::resolve(&PipelineOptions::default(), &info, &settings).is_ok());
    }

    #[test]
    fn a_vector_image_is_not_rendered_beyond_the_limits_to_be_cropped_afterwards() {
        let mut options = PipelineOptions::default();
        options.crop.width = 1.0;
        options.crop.height = 1.0;
        options.resize.width = 1000;
        let info = info(100, 100, Some(ImageFormat::Svg), 1);
        let settings = Settings {
            max_result_pixels: 1_000_000_000,
            ..settings()
        };
        assert_eq!(
            Plan::resolve(&options, &info, &settings),
            Err(PlanError::ResultTooLarge(Size::new(100_000, 100_000)))
        );
    }

    #[test]
    fn errors_choose_their_kind() {
        for (error, kind, detail) in [
            (
                PlanError::ResolutionTooLarge,
                Kind::ResolutionTooLarge,
                "Source image resolution is too big",
            ),
            (
                PlanError::FrameResolutionTooLarge,
                Kind::ResolutionTooLarge,
                "Source image frame resolution is too big",
            ),
            (
                PlanError::ResultTooLarge(Size::new(2, 3)),
                Kind::ResultTooLarge,
                "Result image is too big: 2x3",
            ),
            (
                PlanError::FormatNotSavable(ImageFormat::Svg),
                Kind::ResultFormatUnsupported,
                "Resulting image format is not supported: svg",
            ),
        ] {
            let error = Error::from(error);
            assert_eq!((error.kind(), error.detail()), (kind, detail));
        }
    }

    #[test]
    fn upright_sizes() {
        for orientation in 0..=9 {
            let size = info(4, 3, None, orientation).upright_size();
            assert_eq!(size.width == 3, (5..=8).contains(&orientation));
        }
    }

    fn settings() -> Settings {
        Settings {
            auto_rotate: true,
            disable_shrink_on_load: false,
            max_result_dimension: 0,
            max_result_pixels: 0,
        }
    }

    fn info(width: i64, height: i64, format: Option<ImageFormat>, orientation: u8) -> ImageInfo {
        ImageInfo {
            size: Size::new(width, height),
            orientation,
            format,
            frames: 1,
        }
    }
}
