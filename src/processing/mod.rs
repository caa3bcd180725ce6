//! Executes plans on libvips.
