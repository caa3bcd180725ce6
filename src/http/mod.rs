//! The HTTP surface; the only module that knows warp.
