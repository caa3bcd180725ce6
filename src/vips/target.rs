//! Memory that a saver writes to, handed on without a copy.

use bytes::Bytes;
use libvips::bindings::{
    VipsArea, VipsTarget, g_object_get_property, g_value_dup_boxed, vips_area_unref, vips_blob_get,
    vips_blob_get_type, vips_target_end, vips_target_new_to_memory,
};

use super::object::{Object, Slot};
use super::{Error, ensure_ready};

/// Growing memory for one encoded image.
#[derive(Debug)]
pub struct Target {
    object: Object<VipsTarget>,
}

impl Target {
    /// An empty target.
    ///
    /// # Errors
    ///
    /// libvips is not initialised or out of memory.
    pub fn memory() -> Result<Self, Error> {
        ensure_ready("target")?;
        // SAFETY: libvips is initialised.
        let target = unsafe { vips_target_new_to_memory() };
        // SAFETY: the new reference, if any, is ours.
        let object = unsafe { Object::from_owned(target) };
        let object = object.ok_or_else(|| Error::take("target"))?;
        Ok(Self { object })
    }

    /// What was written. The memory stays libvips' and is freed by it when the last handle to the bytes goes.
    ///
    /// # Errors
    ///
    /// libvips cannot finish the target.
    pub fn finish(self) -> Result<Bytes, Error> {
        // SAFETY: the target is alive; ending it twice does nothing.
        if unsafe { vips_target_end(self.object.as_ptr()) } != 0 {
            return Err(Error::take("target"));
        }
        // SAFETY: a type getter without conditions once libvips is initialised.
        let mut slot = Slot::new(unsafe { vips_blob_get_type() });
        let target = self.object.as_ptr();
        // SAFETY: every target has the property `blob`, and the slot has its type.
        unsafe { g_object_get_property(target.cast(), c"blob".as_ptr(), slot.as_mut_ptr()) };
        // SAFETY: the slot holds a blob or null; the copy is a reference of our own.
        let blob = unsafe { g_value_dup_boxed(slot.as_ptr()) };
        if blob.is_null() {
            return Err(Error::new("target", "nothing was written"));
        }
        Ok(Bytes::from_owner(EncodedBlob { area: blob.cast() }))
    }

    pub(super) fn as_ptr(&self) -> *mut VipsTarget {
        self.object.as_ptr()
    }
}

/// One reference to a blob that nobody changes any more.
struct EncodedBlob {
    area: *mut VipsArea,
}

// SAFETY: the count of a blob is locked, its bytes are constant after the target ended, and freeing them is possible
// from every thread.
unsafe impl Send for EncodedBlob {}

impl AsRef<[u8]> for EncodedBlob {
    fn as_ref(&self) -> &[u8] {
        let mut length = 0;
        // SAFETY: the blob is alive as long as `self`.
        let data = unsafe { vips_blob_get(self.area.cast(), &raw mut length) };
        if data.is_null() || length == 0 {
            return &[];
        }
        let length = usize::try_from(length).unwrap_or(0);
        // SAFETY: libvips says that `length` bytes start at `data`; they stay as they are while `self` lives.
        unsafe { std::slice::from_raw_parts(data.cast(), length) }
    }
}

impl Drop for EncodedBlob {
    fn drop(&mut self) {
        // SAFETY: gives back the one reference that `self` owns.
        unsafe { vips_area_unref(self.area) };
    }
}
