//! Detection of image formats by content.
