//! What happens around decoding: limits, skipped processing, animation, shrink-on-load and the rebase afterwards.
//!
//! Rules: `spec/pipeline.md` sections 3, 4, 6.1 and 6.3; `spec/formats.md` section 7.

use crate::format::ImageFormat;
use crate::geometry::{Gravity, GravityKind, Size, float, round_to_even, scale, shrink};

use super::{ImageInfo, Plan, PlanError, clamped, rotation};
use crate::ops::flip::Flip;

/// Refuses a source with too many pixels; `info.frames` counts the frames that were loaded. Vector images pass.
///
/// `max_frame_resolution` (0 is off) replaces the other limit for sources with more than one frame.
///
/// # Errors
///
/// [`PlanError::ResolutionTooLarge`] or [`PlanError::FrameResolutionTooLarge`].
pub fn check_limits(
    info: &ImageInfo,
    max_src_resolution: u64,
    max_frame_resolution: u64,
) -> Result<(), PlanError> {
    if info.is_vector() {
        return Ok(());
    }
    let frame = pixels(info.size);
    if info.frames > 1 && max_frame_resolution > 0 {
        if frame > u128::from(max_frame_resolution) {
            return Err(PlanError::FrameResolutionTooLarge);
        }
        return Ok(());
    }
    let frames = u128::from(info.frames.max(1).unsigned_abs());
    if frame.saturating_mul(frames) > u128::from(max_src_resolution) {
        return Err(PlanError::ResolutionTooLarge);
    }
    Ok(())
}

/// How much smaller than its natural size a vector image has to be rendered to keep within the limit; `None` where it
/// fits. The image is reloaded at this shrink, the plan resolved again, and the value handed to [`Plan::preshrink`].
pub fn vector_guard(info: &ImageInfo, max_src_resolution: u64) -> Option<f64> {
    let resolution = pixels(info.size);
    if !info.is_vector() || resolution <= u128::from(max_src_resolution) {
        return None;
    }
    // A limit of 0 admits nothing, and vector images are not refused by size: one pixel is the nearest to it.
    #[expect(
        clippy::cast_precision_loss,
        reason = "the ratio of two pixel counts needs no more than a double"
    )]
    let ratio = resolution as f64 / max_src_resolution.max(1) as f64;
    Some(ratio.sqrt())
}

/// How much smaller a vector image that [`vector_guard`] has made smaller is rendered, to be enlarged to `size` afterwards;
/// `None` where it can be rendered at that size.
pub fn vector_detail(size: Size, vector_base: f64) -> Option<f64> {
    // libvips renders tiles of 2000 pixels a side and keeps two rows of them.
    let by_width = float(size.width) * ROWS_HELD / LARGEST_RENDERED;
    let by_size = (float(size.width) * float(size.height) / LARGEST_RENDERED).sqrt();
    let detail = by_width.min(by_size);
    (vector_base > 1.0 && detail > 1.0).then_some(detail)
}

/// Rows of pixels that libvips holds of a drawing.
const ROWS_HELD: f64 = 4000.0;

/// Pixels that it may hold: 64 MB.
const LARGEST_RENDERED: f64 = 16e6;

/// Whether the source bytes are the answer, without decoding. `configured` and `requested` are the two skip lists.
pub fn skips_processing(
    source: ImageFormat,
    result: Option<ImageFormat>,
    configured: &[ImageFormat],
    requested: &[ImageFormat],
    always_rasterize_svg: bool,
) -> bool {
    let listed = configured.contains(&source) || requested.contains(&source);
    match (source, result) {
        (ImageFormat::Svg, None) => listed || !always_rasterize_svg,
        (ImageFormat::Svg, Some(result)) => result == ImageFormat::Svg,
        (_, None) => listed,
        (_, Some(result)) => listed && result == source,
    }
}

/// Frames to load from a source with `pages` pages; 1 where it is treated as a still picture. `timed` says that libvips
/// found both `delay` and `loop`.
pub fn animation_frames(pages: i64, timed: bool, max_animation_frames: u32) -> i64 {
    if timed && pages > 1 && max_animation_frames > 1 {
        pages.min(i64::from(max_animation_frames))
    } else {
        1
    }
}

impl Plan {
    /// The shrink to reload the source with; `None` where the image at hand stays.
    ///
    /// JPEG: 2, 4 or 8. WebP and SVG: the real number for the loader, below 1 to render an SVG larger. HEIC and AVIF: the
    /// embedded thumbnail may be tried. `vector_base` is [`vector_guard`]'s answer, else 1.
    pub fn preshrink(&self, vector_base: f64) -> Option<f64> {
        let ratio = self.ratio();
        match self.format? {
            format if format.info().vector => {
                let shrink = ratio * vector_base;
                // The reload is left out where it would give the image at hand, which was loaded at `vector_base`. The
                // other test is the reference's rule, although a guarded image is then enlarged.
                #[expect(clippy::float_cmp, reason = "the rule is: any number but exactly 1")]
                let stays = ratio == 1.0 || shrink == 1.0;
                (!stays).then_some(shrink)
            }
            _ if !self.shrink_on_load || ratio <= 1.0 => None,
            ImageFormat::Jpeg => [8.0, 4.0, 2.0].into_iter().find(|&shrink| ratio >= shrink),
            ImageFormat::Webp | ImageFormat::Heic | ImageFormat::Avif => Some(ratio),
            _ => None,
        }
    }

    /// Carries the plan over to the reloaded image. `false`: `loaded` is a thumbnail that is too small or not smaller,
    /// the plan is unchanged, and the image at hand stays.
    pub fn rebase(&mut self, loaded: &ImageInfo) -> bool {
        let user = self.rotation;
        let turned = rotation(
            self.auto_rotate,
            loaded.orientation,
            user.angle,
            Flip {
                horizontal: user.flip_horizontal,
                vertical: user.flip_vertical,
            },
        );
        let size = clamped(loaded.size).swapped_if(turned.swaps_axes());
        let x = float(self.source.width) / float(size.width);
        let y = float(self.source.height) / float(size.height);
        let thumbnail = self.format.is_some_and(|format| format.info().thumbnail);
        if thumbnail && (x.min(y) <= 1.0 || x.max(y) > self.ratio()) {
            return false;
        }

        self.rotation = turned;
        self.scale_x = rebased_scale(self.scale_x * x, size.width);
        self.scale_y = rebased_scale(self.scale_y * y, size.height);
        self.crop = Size::new(
            rebased_crop(self.crop.width, x),
            rebased_crop(self.crop.height, y),
        );
        if self.crop_gravity.kind != GravityKind::FocusPoint {
            self.crop_gravity = Gravity {
                x: rebased_offset(self.crop_gravity.x, x),
                y: rebased_offset(self.crop_gravity.y, y),
                ..self.crop_gravity
            };
        }
        self.source = size;
        true
    }

    /// Whether the source can be rendered at any size.
    pub(super) fn is_vector(&self) -> bool {
        self.format.is_some_and(|format| format.info().vector)
    }

    /// How much smaller the source may be decoded. Not the inverse of the factor, which would overshoot where the scaled
    /// side was rounded up.
    pub(super) fn ratio(&self) -> f64 {
        let axis = |source: i64, factor: f64| float(source) / float(scale(source, factor).max(1));
        axis(self.source.width, self.scale_x).min(axis(self.source.height, self.scale_y))
    }
}

fn pixels(size: Size) -> u128 {
    u128::from(size.width.max(0).unsigned_abs()) * u128::from(size.height.max(0).unsigned_abs())
}

/// Exactly 1 where the loaded side already is the wanted one, so that no resampling happens.
fn rebased_scale(factor: f64, side: i64) -> f64 {
    if scale(side, factor) == side {
        1.0
    } else {
        factor
    }
}

fn rebased_crop(side: i64, shrunk: f64) -> i64 {
    if side > 0 {
        shrink(side, shrunk).max(1)
    } else {
        side
    }
}

/// Pixels shrink with the image, fractions stay.
fn rebased_offset(offset: f64, shrunk: f64) -> f64 {
    if offset.abs() >= 1.0 {
        float(round_to_even(offset / shrunk))
    } else {
        offset
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::PipelineOptions;
    use crate::plan::Settings;
    use ImageFormat::*;

    #[test]
    fn details() {
        let size = Size::new(8_000, 8_000);
        assert_eq!(vector_detail(size, 1.0), None);
        assert_eq!(vector_detail(size, 1.5), Some(2.0));
        assert_eq!(vector_detail(Size::new(4_000, 4_000), 9.0), None);
        assert_eq!(vector_detail(Size::new(4_000, 40_000), 9.0), None);
        assert_eq!(vector_detail(Size::new(40_000, 400), 9.0), None);
        assert_eq!(vector_detail(Size::new(40_000, 1_600), 9.0), Some(2.0));
    }

    #[test]
    fn limits() {
        use PlanError::{FrameResolutionTooLarge, ResolutionTooLarge};
        for (name, width, height, frames, format, max, max_frame, expected) in [
            ("exactly", 100, 100, 1, Png, 10_000, 0, Ok(())),
            (
                "one row more",
                100,
                101,
                1,
                Png,
                10_000,
                0,
                Err(ResolutionTooLarge),
            ),
            (
                "frames multiply",
                100,
                100,
                2,
                Gif,
                19_999,
                0,
                Err(ResolutionTooLarge),
            ),
            ("frames fit", 100, 100, 2, Gif, 20_000, 0, Ok(())),
            ("frame limit replaces", 100, 100, 2, Gif, 1, 10_000, Ok(())),
            (
                "frame limit",
                100,
                100,
                2,
                Gif,
                20_000,
                9_999,
                Err(FrameResolutionTooLarge),
            ),
            (
                "no frame limit on stills",
                100,
                100,
                1,
                Gif,
                10_000,
                1,
                Ok(()),
            ),
            (
                "nothing allowed",
                1,
                1,
                1,
                Png,
                0,
                0,
                Err(ResolutionTooLarge),
            ),
            ("vector", 1_000_000, 1_000_000, 1, Svg, 1, 1, Ok(())),
            (
                "beyond any number",
                i64::MAX,
                i64::MAX,
                i64::MAX,
                Tiff,
                u64::MAX,
                0,
                Err(ResolutionTooLarge),
            ),
        ] {
            let info = info(width, height, Some(format), frames);
            assert_eq!(check_limits(&info, max, max_frame), expected, "{name}");
        }
    }

    #[test]
    fn vector_guards() {
        for (width, height, format, max, expected) in [
            (20_000, 10_000, Svg, 50_000_000, Some(2.0)),
            (10_000, 5_000, Svg, 50_000_000, None),
            (20_000, 10_000, Png, 50_000_000, None),
            (4, 4, Svg, 0, Some(4.0)),
        ] {
            let info = info(width, height, Some(format), 1);
            assert_eq!(
                vector_guard(&info, max),
                expected,
                "{width}x{height} {format}"
            );
        }
    }

    #[test]
    fn skipping() {
        for (source, result, configured, requested, rasterize, expected) in [
            (Png, None, &[][..], &[][..], false, false),
            (Png, None, &[Png][..], &[][..], false, true),
            (Png, None, &[][..], &[Gif, Png][..], false, true),
            (Png, Some(Png), &[Png][..], &[][..], false, true),
            (Png, Some(Webp), &[Png][..], &[][..], false, false),
            (Png, Some(Svg), &[Png][..], &[][..], false, false),
            (Svg, None, &[][..], &[][..], false, true),
            (Svg, None, &[][..], &[][..], true, false),
            (Svg, None, &[Svg][..], &[][..], true, true),
            (Svg, Some(Svg), &[][..], &[][..], true, true),
            (Svg, Some(Png), &[Svg][..], &[][..], false, false),
        ] {
            assert_eq!(
                skips_processing(source, result, configured, requested, rasterize),
                expected,
                "{source} {result:?} {configured:?} {requested:?} {rasterize}"
            );
        }
    }

    #[test]
    fn frames() {
        for (pages, timed, max, expected) in [
            (10, true, 1, 1),
            (10, true, 4, 4),
            (3, true, 4, 3),
            (10, false, 4, 1),
            (1, true, 4, 1),
            (0, true, 4, 1),
        ] {
            assert_eq!(
                animation_frames(pages, timed, max),
                expected,
                "{pages} {timed} {max}"
            );
        }
    }

    #[test]
    fn which_formats_shrink_on_load() {
        for (format, width, disabled, expected) in [
            (Some(Jpeg), 100, false, Some(8.0)),
            (Some(Jpeg), 160, false, Some(4.0)),
            (Some(Jpeg), 500, false, Some(2.0)),
            (Some(Jpeg), 501, false, None),
            (Some(Jpeg), 100, true, None),
            (Some(Webp), 400, false, Some(2.5)),
            (Some(Webp), 400, true, None),
            (Some(Heic), 400, false, Some(2.5)),
            (Some(Avif), 400, false, Some(2.5)),
            (Some(Svg), 400, true, Some(2.5)),
            (Some(Svg), 2000, false, Some(0.5)),
            (Some(Svg), 1000, false, None),
            (Some(Png), 100, false, None),
            (Some(Tiff), 100, false, None),
            (Some(Jxl), 100, false, None),
            (Some(Gif), 100, false, None),
            (None, 100, false, None),
        ] {
            let plan = plan(format, width, disabled);
            assert_eq!(
                plan.preshrink(1.0),
                expected,
                "{format:?} {width} {disabled}"
            );
        }
        assert_eq!(plan(Some(Svg), 500, false).preshrink(2.0), Some(4.0));
        assert_eq!(plan(Some(Svg), 1000, false).preshrink(2.0), None);
        assert_eq!(plan(Some(Svg), 2000, false).preshrink(2.0), None);
        assert_eq!(plan(Some(Svg), 2000, false).preshrink(4.0), Some(2.0));
    }

    #[test]
    fn thumbnails() {
        for (name, width, height, kept) in [
            ("as small as wanted", 400, 200, true),
            ("between", 500, 250, true),
            ("too small", 399, 200, false),
            ("not smaller", 1000, 500, false),
            ("another ratio, one side too small", 500, 199, false),
        ] {
            let before = plan(Some(Heic), 400, false);
            let mut after = before.clone();
            let loaded = info(width, height, Some(Heic), 1);
            assert_eq!(after.rebase(&loaded), kept, "{name}");
            assert_eq!(after == before, !kept, "{name}");
        }
    }

    #[test]
    fn an_unscaled_reload_keeps_the_factors() {
        let before = plan(Some(Webp), 400, false);
        let mut after = before.clone();
        assert!(after.rebase(&info(1000, 500, Some(Webp), 1)));
        assert_eq!(after, before);
    }

    #[test]
    fn relative_offsets_and_focus_points_survive_a_reload() {
        for (kind, x, y, expected) in [
            (GravityKind::West, 11.0, -7.0, (3.0, -2.0)),
            (GravityKind::West, 1.0, 2.0, (0.0, 0.0)),
            (GravityKind::West, 0.5, -0.25, (0.5, -0.25)),
            (GravityKind::FocusPoint, 1.0, 0.5, (1.0, 0.5)),
        ] {
            let mut plan = plan(Some(Jpeg), 250, false);
            plan.crop_gravity = Gravity { kind, x, y };
            assert!(plan.rebase(&info(250, 125, Some(Jpeg), 1)));
            let gravity = plan.crop_gravity;
            assert_eq!((gravity.x, gravity.y), expected, "{kind:?} {x} {y}");
        }
    }

    fn plan(format: Option<ImageFormat>, width: i64, disabled: bool) -> Plan {
        let mut options = PipelineOptions::default();
        options.resize.width = width;
        let settings = Settings {
            auto_rotate: true,
            disable_shrink_on_load: disabled,
            max_result_dimension: 0,
            max_result_pixels: 0,
        };
        Plan::resolve(&options, &info(1000, 500, format, 1), &settings).unwrap()
    }

    fn info(width: i64, height: i64, format: Option<ImageFormat>, frames: i64) -> ImageInfo {
        ImageInfo {
            size: Size::new(width, height),
            orientation: 1,
            format,
            frames,
        }
    }
}
