//! Watermark and fallback image: where they come from and how they are used. Loading them is the service's business.

use std::path::PathBuf;

use bytes::Bytes;

use super::draft::Draft;
use super::lists::base64;
use super::lists::format::BASE64;
use super::types::format::{FILE, FLOAT, INT, STRING};
use super::types::{file, float, non_negative, ranged};
use super::var::{Invalid, Var};

/// `spec/configuration.md` section 3.4.
#[derive(Clone, Debug, Default)]
pub struct AssetsConfig {
    /// `WATERMARK_DATA`, `WATERMARK_PATH` or `WATERMARK_URL`, the first that is set.
    pub watermark: Option<AssetSource>,
    /// `WATERMARK_OPACITY`, above 0 and at most 1; multiplied with the opacity that a URL asks for.
    pub watermark_opacity: f64,
    /// `FALLBACK_IMAGE_DATA`, `FALLBACK_IMAGE_PATH` or `FALLBACK_IMAGE_URL`, the first that is set.
    pub fallback: Option<AssetSource>,
    /// `FALLBACK_IMAGE_HTTP_CODE`, 100–599; `None` keeps the status of the error.
    pub fallback_status: Option<u16>,
    /// `FALLBACK_IMAGE_TTL` in seconds; 0 uses `TTL`.
    pub fallback_ttl: u64,
}

/// Where a server-side picture comes from.
#[derive(Clone, PartialEq, Eq)]
pub enum AssetSource {
    /// The encoded picture itself.
    Data(Bytes),
    /// A file that existed at start.
    Path(PathBuf),
    /// A source URL, fetched once at start.
    Url(String),
}

impl std::fmt::Debug for AssetSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Data(bytes) => write!(f, "Data({} bytes)", bytes.len()),
            Self::Path(path) => write!(f, "Path({})", path.display()),
            Self::Url(url) => write!(f, "Url({url})"),
        }
    }
}

pub(super) const VARS: &[Var] = &[
    Var::new(
        "WATERMARK_DATA",
        "",
        BASE64,
        "The watermark itself. Line breaks are skipped.",
        |d, v| base64(v).map(|data| d.watermark.data = Some(data)),
    ),
    Var::new(
        "WATERMARK_PATH",
        "",
        FILE,
        "File of the watermark; counts where there is no `WATERMARK_DATA`.",
        |d, v| file(v).map(|path| d.watermark.path = Some(path)),
    ),
    Var::new(
        "WATERMARK_URL",
        "",
        STRING,
        "URL of the watermark, fetched at start; counts where there is neither data nor path.",
        |d, v| {
            d.watermark.url = Some(v.to_owned());
            Ok(())
        },
    ),
    Var::new(
        "WATERMARK_OPACITY",
        "1",
        FLOAT,
        "Opacity of the watermark, above 0 and at most 1; multiplied with the one that a URL asks for.",
        |d, v| {
            let opacity = float(v)?;
            if opacity <= 0.0 || opacity > 1.0 {
                return Err(Invalid::value("must be between 0 and 1"));
            }
            d.config.assets.watermark_opacity = opacity;
            Ok(())
        },
    ),
    Var::new(
        "FALLBACK_IMAGE_DATA",
        "",
        BASE64,
        "The picture that is processed where the source cannot be had. Line breaks are skipped.",
        |d, v| base64(v).map(|data| d.fallback.data = Some(data)),
    ),
    Var::new(
        "FALLBACK_IMAGE_PATH",
        "",
        FILE,
        "File of the fallback image; counts where there is no `FALLBACK_IMAGE_DATA`.",
        |d, v| file(v).map(|path| d.fallback.path = Some(path)),
    ),
    Var::new(
        "FALLBACK_IMAGE_URL",
        "",
        STRING,
        "URL of the fallback image, fetched at start; counts where there is neither data nor path.",
        |d, v| {
            d.fallback.url = Some(v.to_owned());
            Ok(())
        },
    ),
    Var::new(
        "FALLBACK_IMAGE_HTTP_CODE",
        "200",
        INT,
        "Status of a response with the fallback image, 100 to 599; 0 keeps the status of the error.",
        |d, v| {
            let status: u16 = ranged(v, 0..=599, "invalid")?;
            if (1..100).contains(&status) {
                return Err(Invalid::value("invalid"));
            }
            d.config.assets.fallback_status = (status > 0).then_some(status);
            Ok(())
        },
    ),
    Var::new(
        "FALLBACK_IMAGE_TTL",
        "0",
        INT,
        "Seconds for `max-age` of a response with the fallback image; 0 uses `TTL`.",
        |d, v| non_negative(v).map(|n| d.config.assets.fallback_ttl = n),
    ),
];

/// Picks the place that counts.
pub(super) fn complete(draft: &mut Draft) {
    draft.config.assets.watermark = draft.watermark.take();
    draft.config.assets.fallback = draft.fallback.take();
}
