//! Starts libvips, asks whether it works, says what it still holds.

use std::time::Duration;

use super::{StartError, component};
use crate::config::processing::VectorMode;
use crate::config::{DebuggingConfig, ProcessingConfig};
use crate::vips::{self, Vector, VipsSettings};
use crate::{decode, monitoring};

/// Starts libvips with exactly the loaders of `decode`; gives its version.
pub(super) fn start(
    config: &ProcessingConfig,
    debugging: &DebuggingConfig,
) -> Result<String, StartError> {
    let report = vips::init(&VipsSettings {
        vector: match config.vips_vector {
            VectorMode::Auto => Vector::Auto,
            VectorMode::On => Vector::On,
            VectorMode::Off => Vector::Off,
        },
        allowed_loaders: decode::OPERATIONS,
        leak_check: debugging.leak_check,
        cache_trace: debugging.cache_trace,
    })
    .map_err(component)?;
    monitoring::set_vips_probe(|| {
        let memory = vips::memory();
        (memory.current, memory.highwater, memory.allocs)
    });
    let (major, minor, micro) = report.vips_version;
    let version = format!("{major}.{minor}.{micro}");
    tracing::info!(
        version,
        vector_code = report.vector_on,
        reason = report.reason,
        "libvips is ready"
    );
    Ok(version)
}

/// A tiny operation that fails where libvips does not work any more.
pub(super) fn works() -> bool {
    let pixel = bytes::Bytes::from_static(&[0, 0, 0]);
    vips::Image::from_pixels(pixel, 1, 1, 3, vips::Interpretation::Srgb)
        .and_then(|image| image.to_pixels())
        .is_ok()
}

/// What libvips still holds once every request has ended; a worker may need a moment more than its request.
pub(super) async fn log_leaks() {
    for _ in 0..20 {
        if vips::live_objects() == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (objects, memory) = (vips::live_objects(), vips::memory());
    tracing::info!(
        objects,
        allocations = memory.allocs,
        bytes = memory.current,
        "libvips objects that were not freed"
    );
}
