//! Decoders: one file per input format.
