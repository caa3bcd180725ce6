//! Resizing type, target size, zoom, DPR and enlarge.

/// How the source is fitted into the requested size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResizingType {
    /// Keep the aspect ratio, inside the size.
    #[default]
    Fit,
    /// Keep the aspect ratio, cover the size, crop the rest.
    Fill,
    /// As fill, but a smaller source gives a smaller result of the requested aspect ratio.
    FillDown,
    /// Exactly the size, aspect ratio ignored.
    Force,
    /// Fill where source and size have the same orientation, else fit.
    Auto,
}

/// The resize family of options.
#[derive(Clone, Debug, PartialEq)]
pub struct Resize {
    /// `resizing_type`.
    pub kind: ResizingType,
    /// `width` in pixels before DPR; 0 derives it from the other side.
    pub width: i64,
    /// `height` in pixels before DPR; 0 derives it from the other side.
    pub height: i64,
    /// `min-width`; 0 is off.
    pub min_width: i64,
    /// `min-height`; 0 is off.
    pub min_height: i64,
    /// Horizontal `zoom`, above 0.
    pub zoom_x: f64,
    /// Vertical `zoom`, above 0.
    pub zoom_y: f64,
    /// `dpr`, above 0.
    pub dpr: f64,
    /// `enlarge`.
    pub enlarge: bool,
}

impl Default for Resize {
    fn default() -> Self {
        Self {
            kind: ResizingType::Fit,
            width: 0,
            height: 0,
            min_width: 0,
            min_height: 0,
            zoom_x: 1.0,
            zoom_y: 1.0,
            dpr: 1.0,
            enlarge: false,
        }
    }
}
