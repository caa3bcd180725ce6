//! The image handle: a counted reference with the header readers and the ways between pixels and bytes.
//!
//! Nothing here changes an image; metadata is written on a private copy (see [`Image::edit`]).

use std::cell::Cell;
use std::ffi::{CStr, c_void};
use std::marker::PhantomData;

use bytes::Bytes;
use libvips::bindings::{
    VipsImage, g_free, g_object_set_data_full, vips_image_copy_memory, vips_image_get_bands,
    vips_image_get_coding, vips_image_get_format, vips_image_get_height,
    vips_image_get_interpretation, vips_image_get_page_height, vips_image_get_width,
    vips_image_get_xres, vips_image_get_yres, vips_image_guess_interpretation, vips_image_hasalpha,
    vips_image_new_from_memory, vips_image_write_to_memory,
};

use super::object::Object;
use super::{BandFormat, Error, Interpretation, calls, ensure_ready};

/// A libvips image: a header and the way to its pixels, which are made when somebody needs them.
///
/// Cloning counts a reference. Everything an image needs to make its pixels, the encoded bytes included, lives as long
/// as the image or anything derived from it.
#[derive(Clone, Debug)]
pub struct Image {
    object: Object<VipsImage>,
    /// A handle stays on one thread at a time.
    not_sync: PhantomData<Cell<()>>,
}

// SAFETY: reference counts are atomic, libvips evaluates one image from several threads itself, and no function of this
// folder changes an image that has a second handle. Finalising an image is possible on every thread.
unsafe impl Send for Image {}

impl Image {
    pub(super) fn from_object(object: Object<VipsImage>) -> Self {
        Self {
            object,
            not_sync: PhantomData,
        }
    }

    pub(super) fn as_ptr(&self) -> *mut VipsImage {
        self.object.as_ptr()
    }

    /// Wraps 8-bit pixels without copying them: rows from top to bottom, bands interleaved, no padding.
    ///
    /// # Errors
    ///
    /// A side or `bands` is not positive, or the number of bytes is not width · height · bands.
    pub fn from_pixels(
        pixels: Bytes,
        width: i32,
        height: i32,
        bands: i32,
        interpretation: Interpretation,
    ) -> Result<Self, Error> {
        const NAME: &str = "from_pixels";
        ensure_ready(NAME)?;
        let wanted = [width, height, bands]
            .into_iter()
            .try_fold(1_usize, |product, n| {
                let n = usize::try_from(n).ok().filter(|n| *n > 0)?;
                product.checked_mul(n)
            });
        if wanted != Some(pixels.len()) {
            let detail = format!("{} bytes for {width}×{height}×{bands}", pixels.len());
            return Err(Error::new(NAME, detail));
        }
        let keeper = Box::new(pixels);
        let (data, length) = (keeper.as_ptr().cast::<c_void>(), keeper.len() as u64);
        let format = BandFormat::Uchar.raw();
        // SAFETY: `length` bytes start at `data`; `keeper` is tied to the image below and never moves its bytes.
        let image =
            unsafe { vips_image_new_from_memory(data, length, width, height, bands, format) };
        // SAFETY: the new reference, if any, is ours.
        let object = unsafe { Object::from_owned(image) }.ok_or_else(|| Error::take(NAME))?;
        let (gobject, keeper) = (object.as_ptr().cast(), Box::into_raw(keeper).cast());
        // SAFETY: glib calls `drop_pixels` with `keeper` once, when the image is finalised.
        unsafe {
            g_object_set_data_full(gobject, PIXELS_KEY.as_ptr(), keeper, Some(drop_pixels));
        }
        calls::copy_with_interpretation(&Self::from_object(object), interpretation)
    }

    /// Makes all pixels and returns them as a new image that holds them in memory.
    ///
    /// # Errors
    ///
    /// Making the pixels failed.
    pub fn copy_memory(&self) -> Result<Self, Error> {
        // SAFETY: the image is alive; the result is a reference for us.
        let copy = unsafe { vips_image_copy_memory(self.as_ptr()) };
        // SAFETY: as above.
        let object = unsafe { Object::from_owned(copy) };
        object
            .map(Self::from_object)
            .ok_or_else(|| Error::take("copy_memory"))
    }

    /// Makes all pixels and returns their bytes: rows from top to bottom, bands interleaved, numbers in the machine's
    /// byte order and in the image's own band format.
    ///
    /// # Errors
    ///
    /// Making the pixels failed.
    pub fn to_pixels(&self) -> Result<Vec<u8>, Error> {
        let mut length = 0;
        // SAFETY: the image is alive; the memory that comes back is ours.
        let data = unsafe { vips_image_write_to_memory(self.as_ptr(), &raw mut length) };
        if data.is_null() {
            return Err(Error::take("to_pixels"));
        }
        let length = usize::try_from(length).unwrap_or(0);
        // SAFETY: libvips wrote `length` bytes there.
        let pixels = unsafe { std::slice::from_raw_parts(data.cast::<u8>(), length) }.to_vec();
        // SAFETY: the memory came from glib's allocator and is not used again.
        unsafe { g_free(data) };
        Ok(pixels)
    }
}

/// The header.
impl Image {
    /// Width in pixels.
    pub fn width(&self) -> i32 {
        // SAFETY: reads the header of a live image.
        unsafe { vips_image_get_width(self.as_ptr()) }
    }

    /// Height in pixels, of all pages together.
    pub fn height(&self) -> i32 {
        // SAFETY: reads the header of a live image.
        unsafe { vips_image_get_height(self.as_ptr()) }
    }

    /// Number of bands, alpha included.
    pub fn bands(&self) -> i32 {
        // SAFETY: reads the header of a live image.
        unsafe { vips_image_get_bands(self.as_ptr()) }
    }

    /// How one band is stored.
    pub fn format(&self) -> BandFormat {
        // SAFETY: reads the header of a live image.
        BandFormat::from_raw(unsafe { vips_image_get_format(self.as_ptr()) })
    }

    /// What the header says that the bands mean.
    pub fn interpretation(&self) -> Interpretation {
        // SAFETY: reads the header of a live image.
        Interpretation::from_raw(unsafe { vips_image_get_interpretation(self.as_ptr()) })
    }

    /// What the bands mean as far as number and format of the bands allow the header to be right.
    pub fn guess_interpretation(&self) -> Interpretation {
        // SAFETY: reads the header of a live image.
        Interpretation::from_raw(unsafe { vips_image_guess_interpretation(self.as_ptr()) })
    }

    /// Whether pixels are plain numbers; false for packed ones such as Radiance and LABQ.
    pub fn coding_is_none(&self) -> bool {
        // SAFETY: reads the header of a live image.
        unsafe { vips_image_get_coding(self.as_ptr()) == CODING_NONE }
    }

    /// Whether libvips takes the last band for alpha.
    pub fn has_alpha(&self) -> bool {
        // SAFETY: reads the header of a live image.
        unsafe { vips_image_hasalpha(self.as_ptr()) != 0 }
    }

    /// Height of one page in pixels; the whole height if there are no pages or the metadata make no sense.
    pub fn page_height(&self) -> i32 {
        // SAFETY: reads the header of a live image.
        unsafe { vips_image_get_page_height(self.as_ptr()) }
    }

    /// Horizontal and vertical resolution in pixels per millimetre.
    pub fn resolution(&self) -> (f64, f64) {
        // SAFETY: reads the header of a live image.
        let x = unsafe { vips_image_get_xres(self.as_ptr()) };
        // SAFETY: reads the header of a live image.
        let y = unsafe { vips_image_get_yres(self.as_ptr()) };
        (x, y)
    }
}

/// Called by glib when an image over foreign pixels is finalised.
unsafe extern "C" fn drop_pixels(keeper: *mut c_void) {
    // SAFETY: `keeper` is the box that `Image::from_pixels` gave away; glib calls this once.
    drop(unsafe { Box::from_raw(keeper.cast::<Bytes>()) });
}

/// Name under which an image keeps the bytes of its pixels.
const PIXELS_KEY: &CStr = c"imgforge-pixels";

/// `VIPS_CODING_NONE`.
const CODING_NONE: i32 = 0;

#[cfg(test)]
mod tests {
    use super::super::stress::{picture, ready};
    use super::*;

    #[test]
    fn pixels_must_fill_the_picture() {
        ready();
        let cases = [
            ("right", 12, 2, 2, 3, true),
            ("too few", 11, 2, 2, 3, false),
            ("too many", 13, 2, 2, 3, false),
            ("no width", 0, 0, 2, 3, false),
            ("negative", 12, -2, -2, 3, false),
            ("overflow", 12, i32::MAX, i32::MAX, i32::MAX, false),
        ];
        for (name, length, width, height, bands, right) in cases {
            let pixels = Bytes::from(vec![7; length]);
            let result = Image::from_pixels(pixels, width, height, bands, Interpretation::Srgb);
            assert_eq!(result.is_ok(), right, "{name}");
        }
    }

    #[test]
    fn the_header_tells_what_the_picture_is() {
        let image = picture(6, 4, 4);
        assert_eq!((image.width(), image.height(), image.bands()), (6, 4, 4));
        assert_eq!(image.format(), BandFormat::Uchar);
        assert_eq!(image.interpretation(), Interpretation::Srgb);
        assert_eq!(image.guess_interpretation(), Interpretation::Srgb);
        assert!(image.has_alpha() && image.coding_is_none());
        assert_eq!(image.page_height(), 4);
        assert_eq!(image.int("width"), Some(6));
        assert!(image.fields().contains(&"bands".to_owned()));
    }
}
