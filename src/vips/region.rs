//! Pixels of a part of an image, made in the calling thread: libvips starts no threads for it.

use std::marker::PhantomData;

use libvips::bindings::{VipsRegion, g_free, vips_region_fetch, vips_region_new};

use super::object::{GObjectType, Object};
use super::{BandFormat, Error, Image};

/// Reads rows of an 8-bit image.
///
/// A region belongs to the thread that made it.
#[derive(Debug)]
pub struct Region {
    object: Object<VipsRegion>,
    /// What the region reads from; it has no reference of its own that counts.
    image: Image,
    not_send: PhantomData<*const ()>,
}

// SAFETY: VipsRegion → VipsObject → GObject.
unsafe impl GObjectType for VipsRegion {}

impl Region {
    /// A region of this image.
    ///
    /// # Errors
    ///
    /// Bands are not plain 8-bit numbers, or libvips is out of memory.
    pub fn new(image: &Image) -> Result<Self, Error> {
        if image.format() != BandFormat::Uchar || !image.coding_is_none() {
            return Err(Error::new(NAME, "bands are not 8-bit numbers"));
        }
        // SAFETY: the image is alive; the new reference, if any, is ours.
        let region = unsafe { vips_region_new(image.as_ptr()) };
        // SAFETY: as above.
        let object = unsafe { Object::from_owned(region) }.ok_or_else(|| Error::take(NAME))?;
        Ok(Self {
            object,
            image: image.clone(),
            not_send: PhantomData,
        })
    }

    /// Appends rows to `pixels`, bands interleaved, no padding. An image that was opened for sequential access gives its
    /// rows once, from top to bottom.
    ///
    /// # Errors
    ///
    /// There are no such rows, or making their pixels failed.
    pub fn read(&self, top: i32, height: i32, pixels: &mut Vec<u8>) -> Result<(), Error> {
        let end = top.checked_add(height);
        let end = end.filter(|end| top >= 0 && height > 0 && *end <= self.image.height());
        let Some(end) = end else {
            let detail = format!("{height} rows from {top} of {}", self.image.height());
            return Err(Error::new(NAME, detail));
        };
        let mut top = top;
        while top < end {
            let height = STRIP.min(end - top);
            self.append(top, height, pixels)?;
            top += height;
        }
        Ok(())
    }

    fn append(&self, top: i32, height: i32, pixels: &mut Vec<u8>) -> Result<(), Error> {
        let (region, width) = (self.object.as_ptr(), self.image.width());
        let mut length = 0;
        // SAFETY: the region is alive and of this thread, the rows are inside; the memory that comes back is ours.
        let data = unsafe { vips_region_fetch(region, 0, top, width, height, &raw mut length) };
        if data.is_null() {
            return Err(Error::take(NAME));
        }
        let length = usize::try_from(length).unwrap_or(0);
        // SAFETY: libvips wrote `length` bytes there.
        pixels.extend_from_slice(unsafe { std::slice::from_raw_parts(data, length) });
        // SAFETY: the memory came from glib's allocator and is not used again.
        unsafe { g_free(data.cast()) };
        Ok(())
    }
}

const NAME: &str = "region";
/// Rows that are made at a time, so that what is copied is still in the processor's cache.
const STRIP: i32 = 64;

#[cfg(test)]
mod tests {
    use super::super::calls;
    use super::super::stress::picture;
    use super::*;

    #[test]
    fn rows_come_as_they_are_in_the_image() {
        let image = picture(7, 200, 3);
        let region = Region::new(&image).unwrap();
        let mut rows = vec![9];
        region.read(3, 150, &mut rows).unwrap();
        region.read(153, 47, &mut rows).unwrap();
        assert_eq!(rows[0], 9);
        assert_eq!(rows[1..], image.to_pixels().unwrap()[3 * 21..]);
    }

    #[test]
    fn only_rows_of_bytes_that_are_there_can_be_read() {
        let image = picture(7, 20, 3);
        let region = Region::new(&image).unwrap();
        let mut rows = Vec::new();
        for (top, height) in [(-1, 2), (0, 0), (0, -1), (19, 2), (20, 1), (i32::MAX, 1)] {
            assert!(
                region.read(top, height, &mut rows).is_err(),
                "{height} from {top}"
            );
        }
        assert!(rows.is_empty());
        let float = calls::cast(&image, BandFormat::Float).unwrap();
        assert!(Region::new(&float).is_err());
    }
}
