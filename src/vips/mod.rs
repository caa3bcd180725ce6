//! The only unsafe code: safe handles over libvips.
