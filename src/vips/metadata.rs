//! Reading and writing metadata. libvips images are shared, so every change happens on a private shallow copy.

use std::ffi::{CStr, CString};

use libvips::bindings::{
    GType, g_strfreev, g_value_get_double, g_value_get_int, g_value_get_string, g_value_transform,
    vips_array_int_get_type, vips_autorot_remove_angle, vips_blob_get_type, vips_image_get,
    vips_image_get_fields, vips_image_get_typeof, vips_image_remove, vips_image_set,
    vips_image_set_array_int, vips_image_set_blob_copy, vips_image_set_int,
    vips_ref_string_get_type, vips_value_get_array_int, vips_value_get_blob,
    vips_value_get_ref_string,
};
#[cfg(test)]
use libvips::bindings::{vips_image_set_double, vips_image_set_string};

use super::object::{Slot, fundamental};
use super::{Error, Image, Operation};

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
    fn number(&self, field: &str, kind: GType) -> Option<Slot> {
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

/// The metadata of an image that nobody else has seen yet.
#[derive(Debug)]
pub struct Metadata<'a> {
    image: &'a Image,
    resolution: Option<(f64, f64)>,
    error: Option<Error>,
}

impl Image {
    /// A copy with changed metadata; pixels are shared and this image stays as it is.
    ///
    /// # Errors
    ///
    /// A name or text has a zero byte, a blob or array is too long, or libvips is out of memory.
    pub fn edit(&self, change: impl FnOnce(&mut Metadata<'_>)) -> Result<Self, Error> {
        let copy = Operation::new("copy")?
            .set("in", self)?
            .run()?
            .image("out")?;
        let mut metadata = Metadata {
            image: &copy,
            resolution: None,
            error: None,
        };
        change(&mut metadata);
        let Metadata {
            resolution, error, ..
        } = metadata;
        if let Some(error) = error {
            return Err(error);
        }
        match resolution {
            None => Ok(copy),
            Some((x, y)) => Operation::new("copy")?
                .set("in", &copy)?
                .set("xres", x)?
                .set("yres", y)?
                .run()?
                .image("out"),
        }
    }
}

impl Metadata<'_> {
    /// Stores a whole number.
    pub fn set_int(&mut self, field: &str, value: i32) {
        let Some(name) = self.name(field) else { return };
        // SAFETY: the image is alive and private to this edit; the name is terminated.
        unsafe { vips_image_set_int(self.image.as_ptr(), name.as_ptr(), value) };
    }

    /// Stores a real number, as decoders do.
    #[cfg(test)]
    fn set_double(&mut self, field: &str, value: f64) {
        let Some(name) = self.name(field) else { return };
        // SAFETY: the image is alive and private to this edit; the name is terminated.
        unsafe { vips_image_set_double(self.image.as_ptr(), name.as_ptr(), value) };
    }

    /// Stores a text, as decoders do.
    #[cfg(test)]
    fn set_string(&mut self, field: &str, value: &str) {
        let Some(name) = self.name(field) else { return };
        let Some(value) = self.name(value) else {
            return;
        };
        // SAFETY: the image is alive and private to this edit; both strings are terminated and copied.
        unsafe { vips_image_set_string(self.image.as_ptr(), name.as_ptr(), value.as_ptr()) };
    }

    /// Stores a copy of bytes.
    pub fn set_blob(&mut self, field: &str, value: &[u8]) {
        let Some(name) = self.name(field) else { return };
        let (data, length) = (value.as_ptr().cast(), value.len() as u64);
        // SAFETY: the image is alive and private to this edit; the bytes are copied.
        unsafe { vips_image_set_blob_copy(self.image.as_ptr(), name.as_ptr(), data, length) };
    }

    /// Stores whole numbers.
    pub fn set_array_int(&mut self, field: &str, values: &[i32]) {
        let Some(name) = self.name(field) else { return };
        let Ok(count) = i32::try_from(values.len()) else {
            self.fail("an array is too long");
            return;
        };
        let image = self.image.as_ptr();
        // SAFETY: the image is alive and private to this edit; `count` numbers are copied.
        unsafe { vips_image_set_array_int(image, name.as_ptr(), values.as_ptr(), count) };
    }

    /// Stores every field of another image that this one does not have; what describes the pixels stays.
    pub fn add_all(&mut self, other: &Image) {
        for field in other.fields().iter().filter(|field| !self.image.has(field)) {
            let (Some(name), Some(mut value)) = (self.name(field), other.field(field)) else {
                continue;
            };
            let (image, value) = (self.image.as_ptr(), value.as_mut_ptr());
            // SAFETY: the image is alive and private to this edit; the name is terminated and the value is copied.
            unsafe { vips_image_set(image, name.as_ptr(), value) };
        }
        self.resolution = Some(other.resolution());
    }

    /// Removes a field; a missing field and one of the header are left alone.
    pub fn remove(&mut self, field: &str) {
        let Some(name) = self.name(field) else { return };
        // SAFETY: the image is alive and private to this edit; the name is terminated.
        unsafe { vips_image_remove(self.image.as_ptr(), name.as_ptr()) };
    }

    /// Removes the orientation, the EXIF tag included.
    pub fn remove_orientation(&mut self) {
        // SAFETY: the image is alive and private to this edit.
        unsafe { vips_autorot_remove_angle(self.image.as_ptr()) };
    }

    /// Sets the resolution in pixels per millimetre.
    pub fn set_resolution(&mut self, x: f64, y: f64) {
        self.resolution = Some((x, y));
    }

    fn name(&mut self, text: &str) -> Option<CString> {
        let name = CString::new(text).ok();
        if name.is_none() {
            self.fail("a name or text contains a zero byte");
        }
        name
    }

    fn fail(&mut self, detail: &str) {
        self.error.get_or_insert_with(|| Error::new("edit", detail));
    }
}

#[cfg(test)]
mod tests {
    use super::super::stress::picture;

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
    fn fields_of_another_image_come_where_there_is_none() {
        let from = picture(6, 8, 3).edit(|metadata| {
            metadata.set_int("page-height", 4);
            metadata.set_blob("icc-profile-data", &[1, 2, 3]);
            metadata.set_array_int("delay", &[40, 50]);
            metadata.set_resolution(2.0, 3.0);
        });
        let from = from.unwrap();
        let to = picture(2, 2, 4).edit(|metadata| {
            metadata.set_int("page-height", 1);
            metadata.add_all(&from);
        });
        let to = to.unwrap();
        assert_eq!((to.width(), to.height(), to.bands()), (2, 2, 4));
        assert_eq!(to.int("width"), Some(2));
        assert_eq!(to.int("page-height"), Some(1));
        assert_eq!(to.blob("icc-profile-data"), Some(vec![1, 2, 3]));
        assert_eq!(to.array_int("delay"), Some(vec![40, 50]));
        assert_eq!(to.resolution(), (2.0, 3.0));
        assert_eq!(
            to.to_pixels().unwrap(),
            picture(2, 2, 4).to_pixels().unwrap()
        );
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
