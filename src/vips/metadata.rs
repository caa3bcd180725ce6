//! Writing metadata. libvips images are shared, so every change happens on a private shallow copy.

use std::ffi::CString;

use libvips::bindings::{
    vips_autorot_remove_angle, vips_image_remove, vips_image_set_array_int,
    vips_image_set_blob_copy, vips_image_set_double, vips_image_set_int, vips_image_set_string,
};

use super::{Error, Image, Operation};

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

    /// Stores a real number.
    pub fn set_double(&mut self, field: &str, value: f64) {
        let Some(name) = self.name(field) else { return };
        // SAFETY: the image is alive and private to this edit; the name is terminated.
        unsafe { vips_image_set_double(self.image.as_ptr(), name.as_ptr(), value) };
    }

    /// Stores a text.
    pub fn set_string(&mut self, field: &str, value: &str) {
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
