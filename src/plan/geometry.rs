//! Scale, crop, extend and padding.
