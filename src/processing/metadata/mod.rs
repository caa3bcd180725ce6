//! Removing metadata, except what the result needs and, on request, what says whose picture it is.
//! Rule: `spec/pipeline.md` section 9.

pub(super) mod iptc;
pub(super) mod xmp;

use crate::vips::{self, Image};

/// Pixels per millimetre of a stripped image: 72 dpi.
const RESOLUTION: f64 = 72.0 / 25.4;

/// Needed by savers, or harmless.
const KEPT: &[&str] = &[
    "icc-profile-data",
    "bits-per-sample",
    "palette",
    "palette-bit-depth",
    "background",
    "vips-loader",
    "vips-sequential",
];
/// Needed by animations.
const KEPT_ANIMATION: &[&str] = &["page-height", "delay", "loop", "n-pages"];
/// On save, libvips drops every EXIF tag whose own field is gone, so of the block only these two tags survive.
const KEPT_COPYRIGHT: &[&str] = &["exif-data", "exif-ifd0-Copyright", "exif-ifd0-Artist"];

/// The image without metadata.
pub(super) fn strip(
    image: &Image,
    keep_copyright: bool,
    animated: bool,
) -> Result<Image, vips::Error> {
    let (iptc, xmp) = if keep_copyright {
        (
            image
                .blob("iptc-data")
                .and_then(|data| iptc::copyright_only(&data)),
            image
                .blob("xmp-data")
                .and_then(|data| xmp::copyright_only(&data)),
        )
    } else {
        (None, None)
    };
    let fields = image.fields();
    image.edit(|metadata| {
        for field in &fields {
            let field = field.as_str();
            let kept = KEPT.contains(&field)
                || (animated && KEPT_ANIMATION.contains(&field))
                || (keep_copyright && KEPT_COPYRIGHT.contains(&field));
            if !kept {
                metadata.remove(field);
            }
        }
        for (field, data) in [("iptc-data", &iptc), ("xmp-data", &xmp)] {
            if let Some(data) = data {
                metadata.set_blob(field, data);
            }
        }
        metadata.set_resolution(RESOLUTION, RESOLUTION);
    })
}
