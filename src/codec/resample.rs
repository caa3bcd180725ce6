//! Making rasters smaller: Lanczos with three lobes, as libvips does.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, MulDiv, PixelType, ResizeAlg, ResizeOptions, Resizer};

use super::{Area, Raster};

/// How one axis is made smaller.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Axis {
    /// Source pixels for one of the result, at least 1.
    pub shrink: f64,
    /// Pixels of the result, at least 1.
    pub side: usize,
}

/// Resamples an area, without a look at what lies around it. With 2 or 4 bands the last is alpha, and colours are weighted
/// by it.
///
/// The result lies in the middle of the area: where `side · shrink` is not the area's side, which is the usual case after
/// rounding, libvips leaves out or invents half of the difference at either end. `None` if the area is not inside, or for
/// more than 4 bands.
pub fn resize(raster: &Raster, area: Area, horizontal: Axis, vertical: Axis) -> Option<Raster> {
    let kind = match raster.bands {
        1 => PixelType::U8,
        2 => PixelType::U8x2,
        3 => PixelType::U8x3,
        4 => PixelType::U8x4,
        _ => return None,
    };
    let (across, down) = (boxes(area.width, horizontal), boxes(area.height, vertical));
    let has_alpha = matches!(raster.bands, 2 | 4);
    let averaged;
    // Means are of weighted colours, and stay weighted.
    let weighted = has_alpha && (across > 1 || down > 1);
    let (raster, inner) = if across > 1 || down > 1 {
        averaged = average(raster, area, across, down)?;
        (&averaged, averaged.area())
    } else {
        (raster, area)
    };
    let x = window(inner.width, horizontal, across, area.width);
    let y = window(inner.height, vertical, down, area.height);
    let bordered;
    let source = if inner == raster.area() && x.border == 0 && y.border == 0 {
        raster
    } else {
        bordered = with_border(raster, inner, x.border, y.border)?;
        &bordered
    };
    let side = |side: usize| u32::try_from(side).ok();
    let (width, height) = (side(source.width)?, side(source.height)?);
    let source = ImageRef::new(width, height, &source.bytes, kind).ok()?;
    let mut result = Image::new(side(horizontal.side)?, side(vertical.side)?, kind);
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3))
        .use_alpha(has_alpha && !weighted)
        .crop(x.start, y.start, x.length, y.length);
    Resizer::new().resize(&source, &mut result, &options).ok()?;
    if weighted {
        MulDiv::new().divide_alpha_inplace(&mut result).ok()?;
    }
    Raster::new(
        horizontal.side,
        vertical.side,
        raster.bands,
        result.into_vec(),
    )
}

/// The source pixels of one axis that the result covers.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Window {
    /// Pixels to invent at either end.
    border: usize,
    /// The first one, counted from the first of the border.
    start: f64,
    /// How many.
    length: f64,
}

/// `side` pixels, each the mean of `boxes` of the `outer` ones of the area.
fn window(side: usize, axis: Axis, boxes: usize, outer: usize) -> Window {
    let (side, boxes) = (float(side), float(boxes));
    let length = float(axis.side) * axis.shrink / boxes;
    let start = (float(outer) / boxes - length) / 2.0;
    let reach = if axis.side < MANY {
        LOBES * axis.shrink / boxes
    } else {
        0.0
    };
    let outside = (-start).max(start + length - side) + reach;
    let border = if outside > NEGLIGIBLE {
        whole(outside.ceil())
    } else {
        0
    };
    let start = (start + float(border)).max(0.0);
    Window {
        border,
        start,
        length: length.min(side + 2.0 * float(border) - start),
    }
}

/// How many pixels libvips averages before it resamples.
fn boxes(side: usize, axis: Axis) -> usize {
    whole(float(side) / float(axis.side) / GAP).max(1)
}

/// Means of boxes; the last ones of a row and a column are filled up with their outermost pixels. With alpha they are means
/// of colours that are weighted by it, which is whole numbers in libvips.
fn average(raster: &Raster, area: Area, across: usize, down: usize) -> Option<Raster> {
    let (bands, stride) = (raster.bands, raster.width * raster.bands);
    let (width, height) = (area.width.div_ceil(across), area.height.div_ceil(down));
    let (left, last) = (area.left * bands, area.height.checked_sub(1)?);
    let (inside, whole_boxes) = (area.width * bands, area.width / across);
    let count = u32::try_from(across.checked_mul(down)?).ok()?;
    let missing = u32::try_from(width * across - area.width).ok()?;
    let mut bytes = Vec::with_capacity(width.checked_mul(height)?.checked_mul(bands)?);
    let mut sums = vec![0_u32; width * bands];
    let has_alpha = matches!(bands, 2 | 4);
    let mut weighted = Vec::new();
    for line in 0..height {
        sums.fill(count / 2);
        for row in line * down..(line + 1) * down {
            let start = (area.top + row.min(last)).checked_mul(stride)? + left;
            let mut row = raster.bytes.get(start..start.checked_add(inside)?)?;
            if has_alpha {
                weighted.clear();
                weighted.extend_from_slice(row);
                weigh(&mut weighted, bands);
                row = &weighted;
            }
            let boxes = row.chunks(across * bands);
            for (sum, pixels) in sums.chunks_exact_mut(bands).zip(boxes) {
                for pixel in pixels.chunks_exact(bands) {
                    add(sum, pixel, 1);
                }
            }
            if missing > 0 {
                let sum = sums.get_mut(whole_boxes * bands..)?;
                add(sum, row.get(inside - bands..)?, missing);
            }
        }
        bytes.extend(
            sums.iter()
                .map(|sum| u8::try_from(sum / count).unwrap_or(u8::MAX)),
        );
    }
    Raster::new(width, height, bands, bytes)
}

/// Multiplies the colours of pixels by their alpha.
fn weigh(pixels: &mut [u8], bands: usize) {
    for pixel in pixels.chunks_exact_mut(bands) {
        let Some((alpha, colours)) = pixel.split_last_mut() else {
            continue;
        };
        for colour in colours {
            let product = u16::from(*colour) * u16::from(*alpha);
            *colour = u8::try_from(product / u16::from(u8::MAX)).unwrap_or(u8::MAX);
        }
    }
}

fn add(sums: &mut [u32], pixel: &[u8], times: u32) {
    for (sum, value) in sums.iter_mut().zip(pixel) {
        *sum += u32::from(*value) * times;
    }
}

fn float(side: usize) -> f64 {
    u32::try_from(side).map_or(f64::INFINITY, f64::from)
}

/// An area with its outermost pixels repeated.
fn with_border(raster: &Raster, area: Area, x: usize, y: usize) -> Option<Raster> {
    let bands = raster.bands;
    let (width, height) = (
        area.width.checked_add(2 * x)?,
        area.height.checked_add(2 * y)?,
    );
    let mut bytes = Vec::with_capacity(width.checked_mul(height)?.checked_mul(bands)?);
    let last = area.height.checked_sub(1)?;
    let (left, right) = (area.left, area.left.checked_add(area.width)?);
    for row in 0..height {
        let row = area.top + row.saturating_sub(y).min(last);
        let row = raster.bytes.chunks_exact(raster.width * bands).nth(row)?;
        let inside = row.get(left * bands..right * bands)?;
        let (first, end) = (inside.get(..bands)?, inside.get(inside.len() - bands..)?);
        (0..x).for_each(|_| bytes.extend_from_slice(first));
        bytes.extend_from_slice(inside);
        (0..x).for_each(|_| bytes.extend_from_slice(end));
    }
    Raster::new(width, height, bands, bytes)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to numbers that all types hold"
)]
fn whole(number: f64) -> usize {
    number.clamp(0.0, 1e6) as usize
}

/// Pixels of the result that a kernel reaches to either side.
const LOBES: f64 = 3.0;
/// In a result of fewer pixels its edges count. There libvips repeats the outermost pixels, and the kernel here takes only
/// what is there.
const MANY: usize = 100;
/// Less than this outside of the area is an error of rounding.
const NEGLIGIBLE: f64 = 1e-6;

/// libvips' `gap`: from twice as many source pixels for one of the result on, it averages before it resamples.
const GAP: f64 = 2.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(shrink: f64, side: usize) -> Axis {
        Axis { shrink, side }
    }

    #[test]
    fn an_even_picture_stays_even() {
        for bands in 1..=4 {
            let raster = Raster::new(50, 40, bands, vec![200; 50 * 40 * bands]).unwrap();
            let small = resize(&raster, raster.area(), axis(3.0, 17), axis(3.0, 13)).unwrap();
            assert_eq!(
                small,
                Raster::new(17, 13, bands, vec![200; 17 * 13 * bands]).unwrap()
            );
        }
    }

    #[test]
    fn the_result_lies_in_the_middle() {
        for (side, shrink, result, border, start, length) in [
            (200, 2.0, 100, 0, 0.0, 200.0),
            (201, 2.0, 100, 0, 0.5, 200.0),
            (201, 2.0, 101, 1, 0.5, 202.0),
            (100, 1.0, 100, 0, 0.0, 100.0),
            (40, 2.0, 20, 6, 6.0, 40.0),
        ] {
            let expected = Window {
                border,
                start,
                length,
            };
            assert_eq!(
                window(side, axis(shrink, result), 1, side),
                expected,
                "{side} by {shrink}"
            );
        }
        // 801 pixels in boxes of 2 are 401, of which 400 in the middle of the 801 count.
        let expected = Window {
            border: 0,
            start: 0.25,
            length: 400.0,
        };
        assert_eq!(window(401, axis(4.0, 200), 2, 801), expected);
    }

    #[test]
    fn boxes_are_averaged() {
        let pixels = [0, 10, 20, 30, 50, 2, 12, 22, 32, 52, 9, 9, 9, 9, 90];
        let raster = Raster::new(5, 3, 1, pixels.to_vec()).unwrap();
        let small = average(&raster, raster.area(), 2, 2).unwrap();
        assert_eq!(
            small,
            Raster::new(3, 2, 1, vec![6, 26, 51, 9, 9, 90]).unwrap()
        );
        let right = Area {
            left: 3,
            top: 1,
            width: 2,
            height: 2,
        };
        let small = average(&raster, right, 3, 1).unwrap();
        assert_eq!(small, Raster::new(1, 2, 1, vec![45, 63]).unwrap());
    }

    #[test]
    fn means_are_of_weighted_colours() {
        let pixels = [[200, 9, 101, 255], [255, 255, 255, 0], [100, 1, 3, 128]].concat();
        let raster = Raster::new(3, 1, 4, pixels).unwrap();
        let small = average(&raster, raster.area(), 2, 1).unwrap();
        let expected = vec![100, 5, 51, 128, 50, 0, 1, 128];
        assert_eq!(small, Raster::new(2, 1, 4, expected).unwrap());
    }

    #[test]
    fn what_lies_around_the_area_does_not_count() {
        let value = |i: usize| if i % 20 < 10 { 0 } else { 255 };
        let raster = Raster::new(20, 20, 1, (0..400).map(value).collect()).unwrap();
        let right = Area {
            left: 10,
            width: 10,
            ..raster.area()
        };
        let (across, down) = (axis(1.9, 5), axis(4.2, 5));
        assert_eq!(
            resize(&raster, right, across, down).unwrap().bytes(),
            [255; 25]
        );
        let outside = Area { left: 11, ..right };
        assert_eq!(resize(&raster, outside, across, down), None);
    }

    #[test]
    fn colours_count_as_much_as_they_can_be_seen() {
        let pixels = [[255, 0, 0, 255], [0, 255, 0, 0]].concat().repeat(50);
        let raster = Raster::new(10, 10, 4, pixels).unwrap();
        let small = resize(&raster, raster.area(), axis(10.0, 1), axis(10.0, 1)).unwrap();
        let &[red, green, _, alpha] = small.bytes() else {
            panic!()
        };
        assert!(
            red > 250 && green < 5 && (126..=129).contains(&alpha),
            "{small:?}"
        );
    }
}
