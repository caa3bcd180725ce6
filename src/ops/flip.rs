//! Mirroring.

/// `flip`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flip {
    /// Left to right.
    pub horizontal: bool,
    /// Top to bottom.
    pub vertical: bool,
}
