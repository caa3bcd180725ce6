//! Properties of the arithmetic over random requests. `PROPTEST_CASES` sets how many are tried, 256 by default.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::encode::OutputOptions;
use crate::format::ImageFormat;
use crate::geometry::{Angle, GravityKind, Rect, Size};
use crate::ops::PipelineOptions;
use crate::ops::crop::Crop as CropOption;
use crate::ops::extend::Extend;
use crate::ops::flip::Flip;
use crate::ops::gravity::GravityOption;
use crate::ops::padding::Padding;
use crate::ops::resize::{Resize, ResizingType};

use super::worked_examples::Case;
use super::{Crop, ImageInfo, Plan, Settings, load, output, position, watermark};

proptest! {
    #[test]
    fn nothing_panics_and_crops_stay_inside(
        case in any_case(),
        loaded in any_info(),
        image in any_size(),
        base in real(),
    ) {
        if let Ok(mut plan) = Plan::resolve(&case.options, &case.info, &case.settings) {
            prop_assert!(plan.dpr_scale() > 0.0 && plan.dpr_scale().is_finite());
            let _ = plan.preshrink(base);
            check_plan(&plan, image)?;
            plan.rebase(&loaded);
            check_plan(&plan, image)?;
        }
        let _ = case.try_walk();
    }

    #[test]
    fn the_free_functions_do_not_panic(
        gravity in gravity(),
        inner in any_size(),
        outer in any_size(),
        factor in real(),
        fraction in real(),
        turn in (angle(), any::<bool>(), any::<bool>()),
        info in any_info(),
        limits in (any::<u64>(), any::<u64>()),
        frames in any::<i64>(),
        quality in any::<u8>(),
        bytes in (any::<u64>(), any::<u64>()),
    ) {
        let gravity = gravity.resolved();
        let undone = position::undo(gravity, turn.0, turn.1, turn.2);
        for overflow in [false, true] {
            let _ = position::position(undone, inner, outer, factor, overflow);
        }
        let _ = load::check_limits(&info, limits.0, limits.1);
        let _ = load::vector_guard(&info, limits.0);
        let _ = watermark::preparation(gravity, fraction, outer, factor);
        let _ = watermark::place(gravity, inner, outer, frames, factor).top_in_stack(frames, outer.height);
        let _ = watermark::tile(inner, outer, turn.1);
        for format in ImageFormat::ALL {
            if let Some(factor) = output::fix_size(format, outer) {
                prop_assert!(factor > 0.0 && factor < 1.0);
            }
            let defaults = output::QualityDefaults { quality: 80, by_format: &BTreeMap::new() };
            prop_assert!(output::quality(&OutputOptions::default(), format, &defaults) == 80);
        }
        if let Some(next) = output::next_quality(quality, bytes.0, bytes.1) {
            prop_assert!((1..quality).contains(&next));
        }
    }

    #[test]
    fn nothing_grows_unasked(case in modest_case()) {
        let walk = case.walk();
        let source = upright(&case);
        prop_assert!(walk.result.width <= source.width, "{} of {source}", walk.result);
        prop_assert!(walk.result.height <= source.height, "{} of {source}", walk.result);
        prop_assert!(walk.result.width >= 1 && walk.result.height >= 1);
    }

    #[test]
    fn the_largest_dimension_holds(
        mut case in modest_case(),
        padding in any_padding(1..300),
        extend in any::<bool>(),
        enlarge in any::<bool>(),
        most in 1..4000_i64,
    ) {
        if case.options.resize.kind == ResizingType::FillDown {
            // Its crop takes an aspect ratio from rounded sides, and that error grows with the ratio.
            case.options.resize.kind = ResizingType::Fill;
        }
        case.options.padding = padding;
        case.options.extend.enabled = extend;
        case.options.resize.enlarge = enlarge;
        case.settings.max_result_dimension = most;
        let Ok(plan) = Plan::resolve(&case.options, &case.info, &case.settings) else {
            return Ok(());
        };
        // The reference drops a second crop whose side rounds to 0; the whole scaled side then remains.
        let resize = &case.options.resize;
        if (resize.width > 0 && plan.target.width == 0) || (resize.height > 0 && plan.target.height == 0) {
            return Ok(());
        }
        let result = case.walk().result;
        // Half a pixel each for image and two paddings, and no image is less than a pixel.
        prop_assert!(result.width.max(result.height) <= most + 2, "{result}");
    }

    #[test]
    fn the_axes_are_alike(mut case in modest_case(), enlarge in any::<bool>(), padding in any_padding(0..50), extend in any::<bool>()) {
        if case.options.resize.kind == ResizingType::Auto {
            // A square counts as landscape.
            case.options.resize.kind = ResizingType::Fill;
        }
        case.options.resize.enlarge = enlarge;
        case.options.padding = padding;
        case.options.extend.enabled = extend;
        let mut other = case.clone();
        let (o, r) = (&mut other.options, &case.options.resize);
        (o.resize.width, o.resize.height) = (r.height, r.width);
        (o.resize.zoom_x, o.resize.zoom_y) = (r.zoom_y, r.zoom_x);
        (o.crop.width, o.crop.height) = (case.options.crop.height, case.options.crop.width);
        o.padding = Padding { top: padding.left, right: padding.bottom, bottom: padding.right, left: padding.top };
        other.info.size = case.info.size.swapped_if(true);
        // Where the result is refused, both are.
        let result = |case: &Case| case.try_walk().ok().map(|walk| walk.result);
        prop_assert_eq!(result(&other).map(|size| size.swapped_if(true)), result(&case));
    }

    #[test]
    fn stored_rotation_does_not_change_the_size(mut case in modest_case(), turns in any::<bool>()) {
        case.options.crop = CropOption::default();
        case.options.rotate = Angle::D0;
        case.info.orientation = 1;
        let mut turned = case.clone();
        turned.info.size = case.info.size.swapped_if(true);
        if turns {
            turned.options.rotate = Angle::D90;
        } else {
            turned.info.orientation = 5;
        }
        prop_assert_eq!(turned.walk().result, case.walk().result);
    }

    #[test]
    fn shrink_on_load_does_not_change_the_size(mut case in modest_case()) {
        case.options.crop = CropOption::default();
        let shrunk = case.walk().result;
        case.settings.disable_shrink_on_load = true;
        let full = case.walk().result;
        prop_assert!(shrunk.width.abs_diff(full.width) <= 1 && shrunk.height.abs_diff(full.height) <= 1, "{shrunk} {full}");
    }

    #[test]
    fn the_types_keep_their_promise(mut case in modest_case(), width in 1..3000_i64, height in 1..3000_i64) {
        let resize = &mut case.options.resize;
        (resize.width, resize.height) = (width, height);
        (resize.zoom_x, resize.zoom_y, resize.dpr) = (1.0, 1.0, 1.0);
        resize.enlarge = true;
        let kind = resize.kind;
        let Ok(walk) = case.try_walk() else {
            return Ok(());
        };
        let result = walk.result;
        match kind {
            ResizingType::Fill | ResizingType::FillDown => {
                // A source with a side of a few pixels cannot be scaled by less than one, so it covers the size anyway.
                prop_assert_eq!(result, Size::new(width, height));
            }
            ResizingType::Force => prop_assert_eq!(result, Size::new(width, height)),
            ResizingType::Fit | ResizingType::Auto => {
                prop_assert!(result.width <= width && result.height <= height, "{result}");
            }
        }
    }
}

fn check_plan(plan: &Plan, image: Size) -> Result<(), TestCaseError> {
    for crop in [plan.crop(image), plan.crop_to_result(image)] {
        match crop {
            Crop::None => {}
            Crop::Smart(size) => prop_assert!(
                (1..=image.width).contains(&size.width)
                    && (1..=image.height).contains(&size.height)
            ),
            Crop::At(Rect {
                left,
                top,
                width,
                height,
            }) => prop_assert!(
                left >= 0
                    && top >= 0
                    && width >= 1
                    && height >= 1
                    && left <= image.width - width
                    && top <= image.height - height,
                "{crop:?} of {image}"
            ),
        }
    }
    for canvas in [
        plan.extend(image),
        plan.extend_aspect_ratio(image),
        plan.padding(image),
    ]
    .into_iter()
    .flatten()
    {
        prop_assert!(canvas.width >= 1 && canvas.height >= 1, "{canvas:?}");
    }
    if let Some((x, y)) = plan.scale() {
        prop_assert!(x > 0.0 && y > 0.0 && x.is_finite() && y.is_finite());
    }
    Ok(())
}

fn upright(case: &Case) -> Size {
    let plan = Plan::resolve(&case.options, &case.info, &case.settings).unwrap();
    case.info.size.swapped_if(plan.rotation().swaps_axes())
}

/// Requests that a reasonable client could send, none of which may enlarge.
fn modest_case() -> BoxedStrategy<Case> {
    let side = || prop_oneof![1 => Just(0), 3 => 1..3000_i64];
    let zoom = || prop_oneof![Just(1.0), 0.1..4.0_f64];
    let crop = || prop_oneof![Just(0.0), 0.01..1.0_f64, 1.0..3000.0_f64];
    (
        (1..6000_i64, 1..6000_i64),
        1..=8_u8,
        prop_oneof![
            Just(ImageFormat::Jpeg),
            Just(ImageFormat::Png),
            Just(ImageFormat::Webp)
        ],
        (kind(), side(), side(), zoom(), zoom(), zoom()),
        (crop(), crop(), gravity(), gravity()),
        (angle(), any::<bool>(), any::<bool>()),
    )
        .prop_map(|(size, orientation, format, resize, crop, turn)| Case {
            info: ImageInfo {
                size: Size::new(size.0, size.1),
                orientation,
                format: Some(format),
                frames: 1,
            },
            options: PipelineOptions {
                resize: Resize {
                    kind: resize.0,
                    width: resize.1,
                    height: resize.2,
                    zoom_x: resize.3,
                    zoom_y: resize.4,
                    dpr: resize.5,
                    ..Default::default()
                },
                crop: CropOption {
                    width: crop.0,
                    height: crop.1,
                    gravity: crop.2,
                },
                gravity: crop.3,
                rotate: turn.0,
                flip: Flip {
                    horizontal: turn.1,
                    vertical: turn.2,
                },
                ..Default::default()
            },
            settings: Settings {
                auto_rotate: true,
                disable_shrink_on_load: false,
                max_result_dimension: 0,
                max_result_pixels: 0,
            },
            result: None,
        })
        .boxed()
}

/// Anything that the types can hold.
fn any_case() -> BoxedStrategy<Case> {
    (
        any_info(),
        (
            (kind(), whole(), whole(), whole(), whole()),
            (real(), real(), real(), any::<bool>()),
        ),
        (real(), real(), gravity(), gravity()),
        (any::<bool>(), gravity(), any::<bool>(), gravity()),
        any_padding(i64::MIN..i64::MAX),
        (angle(), any::<bool>(), any::<bool>(), any::<Option<bool>>()),
        (any::<bool>(), any::<bool>(), whole(), whole()),
        prop::sample::select(&ImageFormat::ALL[..]),
    )
        .prop_map(
            |(info, (sizes, factors), crop, extend, padding, turn, settings, result)| Case {
                info,
                options: PipelineOptions {
                    resize: Resize {
                        kind: sizes.0,
                        width: sizes.1,
                        height: sizes.2,
                        min_width: sizes.3,
                        min_height: sizes.4,
                        zoom_x: factors.0,
                        zoom_y: factors.1,
                        dpr: factors.2,
                        enlarge: factors.3,
                    },
                    extend: Extend {
                        enabled: extend.0,
                        gravity: extend.1,
                    },
                    extend_aspect_ratio: Extend {
                        enabled: extend.2,
                        gravity: extend.3,
                    },
                    gravity: crop.3,
                    crop: CropOption {
                        width: crop.0,
                        height: crop.1,
                        gravity: crop.2,
                    },
                    padding,
                    auto_rotate: turn.3,
                    rotate: turn.0,
                    flip: Flip {
                        horizontal: turn.1,
                        vertical: turn.2,
                    },
                    ..Default::default()
                },
                settings: Settings {
                    auto_rotate: settings.0,
                    disable_shrink_on_load: settings.1,
                    max_result_dimension: settings.2,
                    max_result_pixels: settings.3,
                },
                result: Some(result),
            },
        )
        .boxed()
}

fn any_info() -> BoxedStrategy<ImageInfo> {
    (
        prop_oneof![
            any_size(),
            (whole(), whole()).prop_map(|(w, h)| Size::new(w, h))
        ],
        any::<u8>(),
        prop::option::of(prop::sample::select(&ImageFormat::ALL[..])),
        whole(),
    )
        .prop_map(|(size, orientation, format, frames)| ImageInfo {
            size,
            orientation,
            format,
            frames,
        })
        .boxed()
}

fn any_size() -> BoxedStrategy<Size> {
    let side = || prop_oneof![3 => 1..5000_i64, 1 => 1..=i64::MAX];
    (side(), side())
        .prop_map(|(width, height)| Size::new(width, height))
        .boxed()
}

fn any_padding(range: std::ops::Range<i64>) -> impl Strategy<Value = Padding> {
    let side = || prop::option::of(range.clone());
    (side(), side(), side(), side()).prop_map(|(top, right, bottom, left)| Padding {
        top,
        right,
        bottom,
        left,
    })
}

fn whole() -> BoxedStrategy<i64> {
    prop_oneof![
        Just(0),
        0..4000_i64,
        any::<i64>(),
        Just(i64::MAX),
        Just(i64::MIN)
    ]
    .boxed()
}

fn real() -> BoxedStrategy<f64> {
    prop_oneof![
        Just(0.0),
        Just(1.0),
        0.0..1.0_f64,
        -2000.0..2000.0_f64,
        prop::num::f64::ANY,
        Just(f64::NAN),
        Just(f64::INFINITY),
        Just(f64::MAX),
        Just(f64::MIN_POSITIVE)
    ]
    .boxed()
}

fn kind() -> impl Strategy<Value = ResizingType> {
    prop::sample::select(vec![
        ResizingType::Fit,
        ResizingType::Fill,
        ResizingType::FillDown,
        ResizingType::Force,
        ResizingType::Auto,
    ])
}

fn angle() -> impl Strategy<Value = Angle> {
    prop::sample::select(vec![Angle::D0, Angle::D90, Angle::D180, Angle::D270])
}

fn gravity() -> BoxedStrategy<GravityOption> {
    use GravityKind::*;
    let kinds = vec![
        Center, North, East, South, West, NorthWest, NorthEast, SouthWest, SouthEast, Smart,
        FocusPoint, Replicate,
    ];
    (
        prop::option::of(prop::sample::select(kinds)),
        real(),
        real(),
    )
        .prop_map(|(kind, x, y)| GravityOption { kind, x, y })
        .boxed()
}
