//! Stopping libvips from another thread.
//!
//! libvips is lazy: nearly all work of a job happens inside its last call. The only way to stop that call is the kill
//! flag of an image that it reads from. The registry holds weak references, so a registered image costs a few bytes and
//! never keeps pixels alive.
//!
//! libvips clears the flag when it obeys, so whoever cancelled must be asked with [`Cancel::is_cancelled`]; the error of
//! the call is no evidence.

use std::ffi::c_void;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use libvips::bindings::{
    GWeakRef, GWeakRef__bindgen_ty_1, VipsImage, g_weak_ref_clear, g_weak_ref_get, g_weak_ref_init,
    vips_image_set_kill,
};

use super::Image;
use super::object::Object;

/// A switch that stops one job. All clones are the same switch.
#[derive(Clone, Default)]
pub struct Cancel {
    shared: Arc<Shared>,
}

/// Forgets the images of a job when it ends.
#[derive(Debug)]
pub struct CancelScope {
    cancel: Cancel,
}

#[derive(Default)]
struct Shared {
    cancelled: AtomicBool,
    images: Mutex<Vec<WeakImage>>,
}

impl Cancel {
    /// A switch that is not thrown.
    pub fn new() -> Self {
        Self::default()
    }

    /// Throws the switch: every registered image that still exists is killed, later ones at once. Works from any thread
    /// and returns without waiting for the job.
    pub fn cancel(&self) {
        // The flag is set before the list is taken: an image registered in between sees the flag.
        self.shared.cancelled.store(true, Ordering::SeqCst);
        let images = std::mem::take(&mut *self.lock());
        for image in images.iter().filter_map(WeakImage::upgrade) {
            kill(&image);
        }
    }

    /// Whether the switch was thrown.
    pub fn is_cancelled(&self) -> bool {
        self.shared.cancelled.load(Ordering::SeqCst)
    }

    /// Registers an image. The best ones are the decoded image and the one that is going to be saved.
    pub fn watch(&self, image: &Image) {
        let weak = WeakImage::new(image);
        let mut images = self.lock();
        if images.len() == images.capacity() {
            images.retain(|image| image.upgrade().is_some());
        }
        images.push(weak);
        drop(images);
        if self.is_cancelled() {
            // SAFETY: the image is alive; the flag is a plain number that libvips expects to be set at any time.
            unsafe { vips_image_set_kill(image.as_ptr(), 1) };
        }
    }

    /// A guard that forgets all registered images when it is dropped.
    #[must_use = "the images are forgotten when the scope is dropped"]
    pub fn scope(&self) -> CancelScope {
        CancelScope {
            cancel: self.clone(),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<WeakImage>> {
        let images = self.shared.images.lock();
        images.unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cancel")
            .field("cancelled", &self.is_cancelled())
            .finish_non_exhaustive()
    }
}

impl Drop for CancelScope {
    fn drop(&mut self) {
        let images = std::mem::take(&mut *self.cancel.lock());
        drop(images);
    }
}

/// A reference that does not keep its image alive. glib remembers its address, so it stays in its box.
struct WeakImage(Box<GWeakRef>);

// SAFETY: glib guards weak references with a lock of its own.
unsafe impl Send for WeakImage {}

impl WeakImage {
    fn new(image: &Image) -> Self {
        let empty = GWeakRef__bindgen_ty_1 {
            p: std::ptr::null_mut::<c_void>(),
        };
        let mut place = Box::new(GWeakRef { priv_: empty });
        // SAFETY: the place is not initialised yet and stays where it is; the image is alive.
        unsafe { g_weak_ref_init(&raw mut *place, image.as_ptr().cast()) };
        Self(place)
    }

    /// The image, if it still exists.
    fn upgrade(&self) -> Option<Object<VipsImage>> {
        let place = (&raw const *self.0).cast_mut();
        // SAFETY: the place is initialised; glib guards the access and hands out a reference or null.
        let image = unsafe { g_weak_ref_get(place) };
        // SAFETY: as above, the reference is ours.
        unsafe { Object::from_owned(image.cast()) }
    }
}

impl Drop for WeakImage {
    fn drop(&mut self) {
        // SAFETY: the place is initialised and is not used again.
        unsafe { g_weak_ref_clear(&raw mut *self.0) };
    }
}

fn kill(image: &Object<VipsImage>) {
    // SAFETY: the image is alive; the flag is a plain number that libvips expects to be set at any time.
    unsafe { vips_image_set_kill(image.as_ptr(), 1) };
}
