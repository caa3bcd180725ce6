//! The colour behind transparent pixels.
