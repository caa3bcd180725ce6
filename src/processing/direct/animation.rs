//! Animations: decoded by libvips, whose decoders compose frames; scaled and turned here, one frame at a time.
//!
//! For every frame libvips builds a pipeline of a dozen objects and starts threads to run it. Here the frames are read from
//! top to bottom in the calling thread and become one stack of pixels.

use bytes::Bytes;

use super::{area, axis, crops_only, size, turn};
use crate::codec::{Area, Raster, resample};
use crate::error::{Error, Kind};
use crate::geometry::{GravityKind, Rect, Size};
use crate::ops;
use crate::plan::{Crop, ImageInfo, Plan};
use crate::processing::load;
use crate::processing::pipeline::{Context, State};
use crate::vips::{BandFormat, Image, Interpretation, Region};

/// Frames with some of the steps behind them.
#[derive(Debug)]
pub(in crate::processing) struct Frames {
    /// The stack, in memory, with the metadata of the source.
    pub(in crate::processing) stack: Image,
    /// Rows of one frame.
    pub(in crate::processing) height: i32,
    /// The plan of every frame.
    pub(in crate::processing) plan: Plan,
    /// Whether no step is left but what concerns the stack as a whole.
    pub(in crate::processing) finished: bool,
}
