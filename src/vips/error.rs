//! The error of this folder and the only reader of libvips' error buffer.
//!
//! It knows nothing of HTTP. The text is for logs: libvips has one buffer per process, so a message may hold words of
//! another request's failure and must never be shown to a client.

use std::ffi::CStr;

use libvips::bindings::{g_free, vips_error_buffer_copy, vips_error_clear};

/// A libvips call that failed, or an argument that libvips would have ignored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{operation}: {detail}")]
pub struct Error {
    /// Nickname of the operation, for example `jpegload_source`, or the name of the function of this folder.
    pub operation: String,
    /// What libvips wrote, or our own sentence about a wrong argument. For logs only.
    pub detail: String,
}

impl Error {
    pub(super) fn new(operation: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            operation: operation.into(),
            detail: detail.into(),
        }
    }

    /// An error with what libvips wrote so far; the buffer is empty afterwards.
    pub(super) fn take(operation: impl Into<String>) -> Self {
        let text = take_buffer();
        let detail = if text.is_empty() {
            "failed without a message".to_owned()
        } else {
            text
        };
        Self::new(operation, detail)
    }
}

/// Forgets what libvips wrote.
pub(super) fn clear_buffer() {
    // SAFETY: takes libvips' own lock; libvips is initialised wherever this folder calls it.
    unsafe { vips_error_clear() };
}

fn take_buffer() -> String {
    // SAFETY: copies and empties the buffer under libvips' own lock; the copy is ours.
    let copy = unsafe { vips_error_buffer_copy() };
    if copy.is_null() {
        return String::new();
    }
    // SAFETY: `copy` is a terminated string that stays alive until `g_free` below.
    let text = unsafe { CStr::from_ptr(copy) };
    let owned = text.to_string_lossy().trim().to_owned();
    // SAFETY: `copy` came from glib's allocator, is ours and is not used again.
    unsafe { g_free(copy.cast()) };
    owned
}
