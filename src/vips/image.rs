//! The image handle: a counted reference with the header readers and the ways between pixels and bytes.
//!
//! Nothing here changes an image; metadata is written on a private copy (see [`Image::edit`]).

use std::cell::Cell;
use std::ffi::{CStr, CString, c_void};
use std::marker::PhantomData;

use bytes::Bytes;
use libvips::bindings::{
    VipsImage, g_free, g_object_set_data_full, g_strfreev, g_value_get_double, g_value_get_int,
    g_value_get_string, g_value_transform, vips_array_int_get_type, vips_blob_get_type,
    vips_image_copy_memory, vips_image_get, vips_image_get_bands, vips_image_get_coding,
    vips_image_get_fields, vips_image_get_format, vips_image_get_height,
    vips_image_get_interpretation, vips_image_get_page_height, vips_image_get_typeof,
    vips_image_get_width, vips_image_get_xres, vips_image_get_yres,
    vips_image_guess_interpretation, vips_image_hasalpha, vips_image_new_from_memory,
    vips_image_write_to_memory, vips_ref_string_get_type, vips_value_get_array_int,
    vips_value_get_blob, vips_value_get_ref_string,
};

use super::object::{Object, Slot, fundamental};
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

/// Metadata, header fields included.
impl Image {
    /// Whether there is a field of this name.
    pub fn has(&self, field: &str) -> bool {
        CString::new(field).is_ok_and(|name| self.has_field(&name))
    }

    /// A whole number; `None` if the field is missing or no number.
    pub fn int(&self, field: &str) -> Option<i32> {
        let slot = self.number(field, fundamental::INT)?;
        // SAFETY: the slot is an int.
        Some(unsafe { g_value_get_int(slot.as_ptr()) })
    }

    /// A real number; `None` if the field is missing or no number.
    pub fn double(&self, field: &str) -> Option<f64> {
        let slot = self.number(field, fundamental::DOUBLE)?;
        // SAFETY: the slot is a double.
        Some(unsafe { g_value_get_double(slot.as_ptr()) })
    }

    /// A text, with bytes that are not UTF-8 replaced; `None` if the field is missing or no text.
    pub fn string(&self, field: &str) -> Option<String> {
        let slot = self.field(field)?;
        // SAFETY: a type getter.
        let text = if slot.holds(unsafe { vips_ref_string_get_type() }) {
            // SAFETY: the slot is a reference-counted string.
            unsafe { vips_value_get_ref_string(slot.as_ptr(), std::ptr::null_mut()) }
        } else if slot.holds(fundamental::STRING) {
            // SAFETY: the slot is a string.
            unsafe { g_value_get_string(slot.as_ptr()) }
        } else {
            return None;
        };
        if text.is_null() {
            return None;
        }
        // SAFETY: a terminated string inside the slot, which outlives the copy.
        let text = unsafe { CStr::from_ptr(text) };
        Some(text.to_string_lossy().into_owned())
    }

    /// Bytes, for example `icc-profile-data`; `None` if the field is missing or no blob.
    pub fn blob(&self, field: &str) -> Option<Vec<u8>> {
        let slot = self.field(field)?;
        // SAFETY: a type getter.
        if !slot.holds(unsafe { vips_blob_get_type() }) {
            return None;
        }
        let mut length = 0;
        // SAFETY: the slot is a blob.
        let data = unsafe { vips_value_get_blob(slot.as_ptr(), &raw mut length) };
        let length = usize::try_from(length).ok()?;
        if data.is_null() || length == 0 {
            return Some(Vec::new());
        }
        // SAFETY: the blob has `length` bytes and belongs to the slot, which outlives the copy.
        Some(unsafe { std::slice::from_raw_parts(data.cast::<u8>(), length) }.to_vec())
    }

    /// Whole numbers, for example `delay`; `None` if the field is missing or no such array.
    pub fn array_int(&self, field: &str) -> Option<Vec<i32>> {
        let slot = self.field(field)?;
        // SAFETY: a type getter.
        if !slot.holds(unsafe { vips_array_int_get_type() }) {
            return None;
        }
        let mut count = 0;
        // SAFETY: the slot is an array of ints.
        let data = unsafe { vips_value_get_array_int(slot.as_ptr(), &raw mut count) };
        let count = usize::try_from(count).ok()?;
        if data.is_null() || count == 0 {
            return Some(Vec::new());
        }
        // SAFETY: the array has `count` members and belongs to the slot, which outlives the copy.
        Some(unsafe { std::slice::from_raw_parts(data, count) }.to_vec())
    }

    /// Names of all fields, those of the header included.
    pub fn fields(&self) -> Vec<String> {
        // SAFETY: the image is alive; the list that comes back is ours.
        let list = unsafe { vips_image_get_fields(self.as_ptr()) };
        let mut names = Vec::new();
        let mut next = list;
        while !next.is_null() {
            // SAFETY: `next` is within the list, whose end is a null pointer.
            let name = unsafe { *next };
            if name.is_null() {
                break;
            }
            // SAFETY: a terminated string that belongs to the list.
            let text = unsafe { CStr::from_ptr(name) };
            names.push(text.to_string_lossy().into_owned());
            // SAFETY: the end was not reached, so there is a next place.
            next = unsafe { next.add(1) };
        }
        // SAFETY: the list is ours and is not used again; null is allowed.
        unsafe { g_strfreev(list) };
        names
    }

    fn has_field(&self, name: &CStr) -> bool {
        // SAFETY: a live image and a terminated name.
        unsafe { vips_image_get_typeof(self.as_ptr(), name.as_ptr()) != 0 }
    }

    fn field(&self, field: &str) -> Option<Slot> {
        let name = CString::new(field).ok()?;
        if !self.has_field(&name) {
            return None;
        }
        let mut slot = Slot::unset();
        // SAFETY: a live image, a terminated name and zeroed storage that libvips initialises.
        let failed =
            unsafe { vips_image_get(self.as_ptr(), name.as_ptr(), slot.as_mut_ptr()) } != 0;
        (!failed).then_some(slot)
    }

    /// A field converted to a numeric type; only numbers convert.
    fn number(&self, field: &str, kind: libvips::bindings::GType) -> Option<Slot> {
        let slot = self.field(field)?;
        if slot.holds(fundamental::STRING) {
            return None;
        }
        let mut number = Slot::new(kind);
        // SAFETY: both slots are initialised; glib answers false where no conversion exists.
        let converted = unsafe { g_value_transform(slot.as_ptr(), number.as_mut_ptr()) } != 0;
        converted.then_some(number)
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

    #[test]
    fn metadata_are_read_back_and_never_change_the_original() {
        let image = picture(6, 8, 3);
        let edited = image
            .edit(|metadata| {
                metadata.set_int("orientation", 6);
                metadata.set_double("number", 1.5);
                metadata.set_string("text", "grün");
                metadata.set_blob("icc-profile-data", &[1, 2, 3]);
                metadata.set_array_int("delay", &[40, 50]);
                metadata.set_int("page-height", 4);
                metadata.set_resolution(2.0, 3.0);
            })
            .unwrap();
        assert_eq!(edited.int("orientation"), Some(6));
        assert_eq!(edited.double("number"), Some(1.5));
        assert_eq!(edited.double("orientation"), Some(6.0));
        assert_eq!(edited.string("text").as_deref(), Some("grün"));
        assert_eq!(edited.blob("icc-profile-data"), Some(vec![1, 2, 3]));
        assert_eq!(edited.array_int("delay"), Some(vec![40, 50]));
        assert_eq!(edited.page_height(), 4);
        assert_eq!(edited.resolution(), (2.0, 3.0));
        for field in ["orientation", "number", "text", "icc-profile-data", "delay"] {
            assert!(edited.has(field) && !image.has(field), "{field}");
        }
        let removed = edited
            .edit(|metadata| {
                metadata.remove_orientation();
                metadata.remove("delay");
                metadata.remove("never there");
            })
            .unwrap();
        assert!(!removed.has("orientation") && !removed.has("delay"));
        assert!(edited.has("orientation") && edited.has("delay"));
        assert_eq!(removed.to_pixels().unwrap(), image.to_pixels().unwrap());
    }

    #[test]
    fn fields_of_another_type_are_absent() {
        let image = picture(6, 4, 3)
            .edit(|metadata| {
                metadata.set_string("text", "7");
                metadata.set_blob("blob", b"x");
                metadata.set_int("int", 7);
            })
            .unwrap();
        assert_eq!(image.int("text"), None);
        assert_eq!(image.int("blob"), None);
        assert_eq!(image.string("int"), None);
        assert_eq!(image.blob("text"), None);
        assert_eq!(image.array_int("int"), None);
        assert_eq!(image.int("a\0b"), None);
        assert!(!image.has("a\0b"));
    }

    #[test]
    fn a_zero_byte_in_a_name_or_text_is_an_error() {
        let image = picture(6, 4, 3);
        assert!(image.edit(|metadata| metadata.set_int("a\0b", 1)).is_err());
        assert!(
            image
                .edit(|metadata| metadata.set_string("a", "\0"))
                .is_err()
        );
        assert!(
            image
                .edit(|metadata| metadata.set_resolution(-1.0, 1.0))
                .is_err()
        );
    }
}
