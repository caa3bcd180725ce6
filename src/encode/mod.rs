//! Encoders: one file per output format, the table of savers, and the options that say how to encode.

pub mod options;

pub use options::OutputOptions;
