//! Encoded bytes that a loader reads.
//!
//! libvips reads lazily, so the bytes must outlive every image decoded from them. Each load gets a libvips source of its
//! own over a blob that owns a handle to the bytes; the chain image → loader → source → blob → bytes keeps them alive.

use std::ffi::c_void;
use std::os::raw::c_int;

use bytes::Bytes;
use libvips::bindings::{
    VipsArea, VipsBlob, VipsSource, vips_area_unref, vips_blob_new, vips_source_new_from_blob,
};

use super::object::Object;
use super::{Error, ensure_ready};

/// Encoded bytes in memory. Cloning and loading do not copy them.
#[derive(Clone, Debug)]
pub struct Source {
    bytes: Bytes,
}

impl Source {
    /// A source over `bytes`. One source serves any number of loads, one after the other or at once.
    pub fn from_bytes(bytes: Bytes) -> Self {
        Self { bytes }
    }

    /// The bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// A fresh libvips source with a read position of its own.
    pub(super) fn open(&self) -> Result<Object<VipsSource>, Error> {
        ensure_ready("source")?;
        let blob = self.blob()?;
        // SAFETY: `blob` is alive; the source takes a reference of its own.
        let source = unsafe { vips_source_new_from_blob(blob.0) };
        // SAFETY: the new reference, if any, is ours.
        let object = unsafe { Object::from_owned(source) };
        object.ok_or_else(|| Error::take("source"))
    }

    fn blob(&self) -> Result<BlobRef, Error> {
        let keeper = Box::new(self.bytes.clone());
        let (data, length) = (keeper.as_ptr(), keeper.len());
        // SAFETY: the bytes behind a `Bytes` never move; `keeper` goes into the blob below and lives as long as it.
        let blob = unsafe { vips_blob_new(Some(release_bytes), data.cast(), length as u64) };
        if blob.is_null() {
            return Err(Error::take("source"));
        }
        let client = Box::into_raw(keeper);
        // SAFETY: nobody else has seen the blob yet, and `client` is the field that libvips leaves to its creator.
        unsafe { (*blob).area.client = client.cast() };
        Ok(BlobRef(blob))
    }
}

/// Our reference to a blob while it is handed to a source.
struct BlobRef(*mut VipsBlob);

impl Drop for BlobRef {
    fn drop(&mut self) {
        // SAFETY: gives back the one reference that creation handed out.
        unsafe { vips_area_unref(self.0.cast()) };
    }
}

/// Drops the `Bytes` of a blob; libvips calls it once, when the last reference to the blob goes.
unsafe extern "C" fn release_bytes(_data: *mut c_void, area: *mut c_void) -> c_int {
    let area = area.cast::<VipsArea>();
    // SAFETY: libvips passes the area that is being freed.
    let client = unsafe { (*area).client };
    if !client.is_null() {
        // SAFETY: `client` is the box that `Source::blob` gave away; this is the only place that takes it back.
        drop(unsafe { Box::from_raw(client.cast::<Bytes>()) });
    }
    0
}
