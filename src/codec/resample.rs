//! Making rasters smaller: Lanczos with three lobes, as libvips does.

use fast_image_resize::images::{CroppedImage, Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

use super::{Area, Raster};

/// Resamples an area to a size, without a look at what lies around the area. With 2 or 4 bands the last is alpha, and
/// colours are weighted by it.
///
/// `None` if the area is not inside, or for more than 4 bands.
pub fn resize(raster: &Raster, area: Area, width: usize, height: usize) -> Option<Raster> {
    let kind = match raster.bands {
        1 => PixelType::U8,
        2 => PixelType::U8x2,
        3 => PixelType::U8x3,
        4 => PixelType::U8x4,
        _ => return None,
    };
    let side = |side: usize| u32::try_from(side).ok();
    let source = ImageRef::new(
        side(raster.width)?,
        side(raster.height)?,
        &raster.bytes,
        kind,
    )
    .ok()?;
    let (left, top) = (side(area.left)?, side(area.top)?);
    let source =
        CroppedImage::new(&source, left, top, side(area.width)?, side(area.height)?).ok()?;
    let mut result = Image::new(side(width)?, side(height)?, kind);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3));
    Resizer::new().resize(&source, &mut result, &options).ok()?;
    Raster::new(width, height, raster.bands, result.into_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_even_picture_stays_even() {
        for bands in 1..=4 {
            let raster = Raster::new(50, 40, bands, vec![200; 50 * 40 * bands]).unwrap();
            let small = resize(&raster, raster.area(), 17, 13).unwrap();
            assert_eq!(
                small,
                Raster::new(17, 13, bands, vec![200; 17 * 13 * bands]).unwrap()
            );
        }
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
        assert_eq!(resize(&raster, right, 5, 5).unwrap().bytes(), [255; 25]);
        let outside = Area { left: 11, ..right };
        assert_eq!(resize(&raster, outside, 5, 5), None);
    }

    #[test]
    fn colours_count_as_much_as_they_can_be_seen() {
        let pixels = [[255, 0, 0, 255], [0, 255, 0, 0]].concat().repeat(50);
        let raster = Raster::new(10, 10, 4, pixels).unwrap();
        let small = resize(&raster, raster.area(), 1, 1).unwrap();
        let &[red, green, _, alpha] = small.bytes() else {
            panic!()
        };
        assert!(
            red > 250 && green < 5 && (126..=129).contains(&alpha),
            "{small:?}"
        );
    }
}
