//! imgforge: an image proxy on libvips that answers imgproxy's URLs.
//!
//! A request goes through the modules in one direction: [`http`] takes the raw target, [`service`] runs the use case,
//! [`url`] and [`options`] say what was asked, [`source`] fetches the picture, [`plan`] computes the numbers,
//! [`processing`] executes them on [`vips`]. `docs/architecture.md` has the layer table; `tests/architecture.rs` enforces it.

pub mod args;
pub mod cache;
pub mod cli;
pub mod cloud;
pub mod codec;
pub mod color;
pub mod config;
pub mod decode;
pub mod docgen;
pub mod encode;
pub mod error;
pub mod format;
pub mod geometry;
pub mod http;
pub mod live;
pub mod logging;
pub mod monitoring;
pub mod ops;
pub mod options;
pub mod plan;
pub mod processing;
pub mod redact;
pub mod reporting;
pub mod secrets;
pub mod server;
pub mod service;
pub mod source;
pub mod telemetry;
pub mod url;
pub mod vips;

pub use error::{Error, Kind};
pub use options::Options;
pub use url::signature::sign;
