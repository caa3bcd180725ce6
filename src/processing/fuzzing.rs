//! Parsers that have no other way in, for the programs in `fuzz/`. Built for them only.

use bytes::Bytes;

use super::{metadata, svg};

/// The document without what could harm; `None` where it cannot be read.
pub fn sanitise(source: &[u8]) -> Option<Bytes> {
    svg::sanitise(source).ok()
}

/// What is kept of an IPTC block.
pub fn copyright_of_iptc(data: &[u8]) -> Option<Vec<u8>> {
    metadata::iptc::copyright_only(data)
}

/// What is kept of an XMP packet.
pub fn copyright_of_xmp(data: &[u8]) -> Option<Vec<u8>> {
    metadata::xmp::copyright_only(data)
}
