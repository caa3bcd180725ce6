//! Owned GObject references and GValues. Everything else of this folder holds libvips objects through these two.
//!
//! It must not know any operation or any image.

use std::ffi::CString;
use std::ptr::NonNull;

use libvips::bindings::{
    _GValue__bindgen_ty_1, GType, GTypeInstance, GValue, VipsImage, VipsOperation, VipsSource,
    VipsTarget, g_object_ref, g_object_unref, g_type_check_value_holds, g_value_init,
    g_value_unset,
};

use super::Error;

/// A C type that starts with a GObject.
///
/// # Safety
///
/// Only for structures whose first member is, directly or through parents, a `GObject`.
pub(super) unsafe trait GObjectType {}

// SAFETY: VipsImage → VipsObject → GObject.
unsafe impl GObjectType for VipsImage {}
// SAFETY: VipsOperation → VipsObject → GObject.
unsafe impl GObjectType for VipsOperation {}
// SAFETY: VipsSource → VipsConnection → VipsObject → GObject.
unsafe impl GObjectType for VipsSource {}
// SAFETY: VipsTarget → VipsConnection → VipsObject → GObject.
unsafe impl GObjectType for VipsTarget {}

/// One counted reference to a GObject.
#[derive(Debug)]
pub(super) struct Object<T: GObjectType>(NonNull<T>);

impl<T: GObjectType> Object<T> {
    /// Takes over a reference; `None` for null.
    ///
    /// # Safety
    ///
    /// `pointer` is null or points to a live object of type `T`, and one reference to it belongs to the caller, who
    /// gives it up.
    pub(super) unsafe fn from_owned(pointer: *mut T) -> Option<Self> {
        NonNull::new(pointer).map(Self)
    }

    pub(super) fn as_ptr(&self) -> *mut T {
        self.0.as_ptr()
    }

    /// The class pointer that every GObject starts with.
    pub(super) fn class<C>(&self) -> *mut C {
        let instance = self.as_ptr().cast::<GTypeInstance>();
        // SAFETY: a GObject starts with its GTypeInstance, and `self` keeps it alive.
        unsafe { (*instance).g_class }.cast()
    }
}

impl<T: GObjectType> Clone for Object<T> {
    fn clone(&self) -> Self {
        // SAFETY: `self` holds a reference, so the object is alive; counting is atomic.
        unsafe { g_object_ref(self.as_ptr().cast()) };
        Self(self.0)
    }
}

impl<T: GObjectType> Drop for Object<T> {
    fn drop(&mut self) {
        // SAFETY: gives back the one reference that `self` owns; the pointer is not used again.
        unsafe { g_object_unref(self.as_ptr().cast()) };
    }
}

/// A GValue that releases its content.
pub(super) struct Slot(GValue);

impl Slot {
    /// Storage for a value of a registered type.
    pub(super) fn new(kind: GType) -> Self {
        let mut slot = Self::unset();
        // SAFETY: the storage is zeroed as glib demands, and `kind` comes from a parameter specification or a constant.
        unsafe { g_value_init(slot.as_mut_ptr(), kind) };
        slot
    }

    /// Storage that a C function is going to initialise itself.
    pub(super) fn unset() -> Self {
        let zero = _GValue__bindgen_ty_1 { v_uint64: 0 };
        Self(GValue {
            g_type: 0,
            data: [zero; 2],
        })
    }

    pub(super) fn kind(&self) -> GType {
        self.0.g_type
    }

    /// Whether the content is of `kind` or a type derived from it.
    pub(super) fn holds(&self, kind: GType) -> bool {
        if self.kind() == 0 {
            return false;
        }
        // SAFETY: the value is initialised, and both types are registered.
        unsafe { g_type_check_value_holds(self.as_ptr(), kind) != 0 }
    }

    pub(super) fn as_ptr(&self) -> *const GValue {
        &raw const self.0
    }

    pub(super) fn as_mut_ptr(&mut self) -> *mut GValue {
        &raw mut self.0
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if self.kind() != 0 {
            // SAFETY: the value is initialised and is not used again.
            unsafe { g_value_unset(self.as_mut_ptr()) };
        }
    }
}

/// A terminated copy of `text`; the error names `operation`.
pub(super) fn c_string(operation: &str, text: &str) -> Result<CString, Error> {
    CString::new(text).map_err(|_| Error::new(operation, "a name or text contains a zero byte"))
}

/// Numbers of glib's fundamental types, which the bindings do not carry because glib defines them as macros.
pub(super) mod fundamental {
    use libvips::bindings::{G_TYPE_FUNDAMENTAL_SHIFT, GType};

    pub(in crate::vips) const BOOLEAN: GType = 5 << G_TYPE_FUNDAMENTAL_SHIFT;
    pub(in crate::vips) const INT: GType = 6 << G_TYPE_FUNDAMENTAL_SHIFT;
    pub(in crate::vips) const UINT64: GType = 11 << G_TYPE_FUNDAMENTAL_SHIFT;
    pub(in crate::vips) const ENUM: GType = 12 << G_TYPE_FUNDAMENTAL_SHIFT;
    pub(in crate::vips) const FLAGS: GType = 13 << G_TYPE_FUNDAMENTAL_SHIFT;
    pub(in crate::vips) const DOUBLE: GType = 15 << G_TYPE_FUNDAMENTAL_SHIFT;
    pub(in crate::vips) const STRING: GType = 16 << G_TYPE_FUNDAMENTAL_SHIFT;
    pub(in crate::vips) const BOXED: GType = 18 << G_TYPE_FUNDAMENTAL_SHIFT;
    pub(in crate::vips) const OBJECT: GType = 20 << G_TYPE_FUNDAMENTAL_SHIFT;
}
