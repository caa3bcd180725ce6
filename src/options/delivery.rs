//! Options about the response around the picture.

/// File name, attachment, expiry, cache buster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// `filename`: the stem for `Content-Disposition`.
    pub filename: Option<String>,
    /// `return_attachment`.
    pub attachment: Option<bool>,
    /// `expires`: Unix seconds; 0 and negative values never expire.
    pub expires: Option<i64>,
    /// `cachebuster`.
    pub cachebuster: Option<String>,
    /// Names of the presets that were applied, in order, for the log.
    pub used_presets: Vec<String>,
}
