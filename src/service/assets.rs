//! The server's own pictures: watermark and fallback image. Loaded once, before the first request.
//! Rule: `spec/configuration.md` section 3.4.

use std::path::PathBuf;

use bytes::Bytes;
use http::HeaderMap;

use super::downloads::Downloads;
use crate::config::{AssetSource, AssetsConfig};
use crate::error::Error;
use crate::format::sniff::sniff;
use crate::monitoring::{self, AuxiliaryKind};
use crate::source::SourceImage;

/// The pictures, where the configuration names them.
#[derive(Clone, Debug, Default)]
pub struct Assets {
    /// What `watermark` puts on results.
    pub watermark: Option<SourceImage>,
    /// What is processed where the source cannot be had.
    pub fallback: Option<SourceImage>,
}

/// Why a picture could not be loaded.
#[derive(Debug, thiserror::Error)]
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
        source: Error,
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
    pub async fn load(config: &AssetsConfig, downloads: &Downloads) -> Result<Self, AssetError> {
        Ok(Self {
            watermark: load(
                AuxiliaryKind::Watermark,
                config.watermark.as_ref(),
                downloads,
            )
            .await?,
            fallback: load(AuxiliaryKind::Fallback, config.fallback.as_ref(), downloads).await?,
        })
    }
}

async fn load(
    counted_as: AuxiliaryKind,
    from: Option<&AssetSource>,
    downloads: &Downloads,
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
            let picture = downloads.own_picture(url).await;
            monitoring::auxiliary_fetched(counted_as, picture.is_ok());
            return match picture {
                Ok(image) => Ok(Some(image)),
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
