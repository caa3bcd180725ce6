//! Adding a border.

/// `padding` in pixels before DPR; `None` where no option set the side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Padding {
    /// Top side.
    pub top: Option<i64>,
    /// Right side.
    pub right: Option<i64>,
    /// Bottom side.
    pub bottom: Option<i64>,
    /// Left side.
    pub left: Option<i64>,
}

impl Padding {
    /// Whether any side is not zero.
    pub fn is_enabled(self) -> bool {
        [self.top, self.right, self.bottom, self.left]
            .into_iter()
            .flatten()
            .any(|side| side != 0)
    }
}
