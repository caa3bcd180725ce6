//! The server's own pictures: watermark and fallback image. Loaded once, before the first request.
//! Rule: `spec/configuration.md` section 3.4.

use std::path::PathBuf;

use bytes::Bytes;
use http::HeaderMap;
use thiserror::Error;

use crate::config::{AssetSource, AssetsConfig};
use crate::format::sniff::sniff;
use crate::monitoring::{self, AuxiliaryKind};
use crate::source::{FetchError, FetchRequest, Fetched, SourceImage, Sources};

/// The pictures, where the configuration names them.
#[derive(Clone, Debug, Default)]
pub struct Assets {
    /// What `watermark` puts on results.
    pub watermark: Option<SourceImage>,
    /// What is processed where the source cannot be had.
    pub fallback: Option<SourceImage>,
}

/// Why a picture could not be loaded.
#[derive(Debug, Error)]
pub enum AssetError {
    /// The file cannot be read.
    #[error("can't read {kind} {path}")]
    File {
        /// Which picture.
        kind: &'static str,
        /// Where it should be.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The URL cannot be fetched.
    #[error("can't download {kind}")]
    Download {
        /// Which picture.
        kind: &'static str,
        /// Why.
        source: FetchError,
    },
    /// The bytes are no known image.
    #[error("{0}: source image type not supported")]
    Format(&'static str),
}

impl Assets {
    /// Loads both pictures. Only the format is looked at; nothing is decoded.
    ///
    /// # Errors
    /// The first picture that cannot be had.
    pub async fn load(config: &AssetsConfig, sources: &Sources) -> Result<Self, AssetError> {
        Ok(Self {
            watermark: load(AuxiliaryKind::Watermark, config.watermark.as_ref(), sources).await?,
            fallback: load(AuxiliaryKind::Fallback, config.fallback.as_ref(), sources).await?,
        })
    }
}

async fn load(
    counted_as: AuxiliaryKind,
    from: Option<&AssetSource>,
    sources: &Sources,
) -> Result<Option<SourceImage>, AssetError> {
    let kind = match counted_as {
        AuxiliaryKind::Watermark => "watermark",
        AuxiliaryKind::Fallback => "fallback image",
    };
    let bytes = match from {
        None => return Ok(None),
        Some(AssetSource::Data(bytes)) => bytes.clone(),
        Some(AssetSource::Path(path)) => {
            tokio::fs::read(path)
                .await
                .map(Bytes::from)
                .map_err(|source| AssetError::File {
                    kind,
                    path: path.clone(),
                    source,
                })?
        }
        Some(AssetSource::Url(url)) => {
            let request = FetchRequest {
                url: url.clone(),
                headers: HeaderMap::new(),
                max_bytes: 0,
                deadline: None,
                claim: None,
            };
            let fetched = sources.fetch(request).await;
            monitoring::auxiliary_fetched(counted_as, matches!(fetched, Ok(Fetched::Image(_))));
            return match fetched {
                Ok(Fetched::Image(image)) => Ok(Some(image)),
                // Nothing conditional was asked for.
                Ok(Fetched::NotModified(_)) => Err(AssetError::Format(kind)),
                Err(source) => Err(AssetError::Download { kind, source }),
            };
        }
    };
    let format = sniff(&bytes, None, None).ok_or(AssetError::Format(kind))?;
    Ok(Some(SourceImage {
        bytes,
        format,
        headers: HeaderMap::new(),
    }))
}
