//! Results and sources as a cache keeps them: the body as it is, everything else as a line of JSON.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::Sizes;
use super::answer::Finished;
use crate::cache::Cached;
use crate::format::ImageFormat;
use crate::geometry::Size;
use crate::source::SourceImage;

impl Cached for Arc<Finished> {
    fn weight(&self) -> u64 {
        self.body.len() as u64 + weight(&self.headers)
    }

    fn body(&self) -> &Bytes {
        &self.body
    }

    fn describe(&self) -> Vec<u8> {
        let size = |size: Option<Size>| size.map(|size| json!([size.width, size.height]));
        let value = json!({
            "format": self.format.name(),
            "headers": lines(&self.headers),
            "origin": size(self.sizes.origin),
            "result": size(self.sizes.result),
            "origin_bytes": self.sizes.origin_bytes,
        });
        value.to_string().into_bytes()
    }

    fn restore(description: &[u8], body: Bytes) -> Option<Self> {
        let value: Value = serde_json::from_slice(description).ok()?;
        let size = |name: &str| {
            let side = |at: usize| value.get(name)?.get(at)?.as_i64();
            Some(Size {
                width: side(0)?,
                height: side(1)?,
            })
        };
        Some(Self::new(Finished {
            body,
            format: ImageFormat::from_name(value.get("format")?.as_str()?)?,
            headers: headers(value.get("headers")?)?.into(),
            sizes: Sizes {
                origin: size("origin"),
                result: size("result"),
                origin_bytes: value.get("origin_bytes")?.as_u64()?,
            },
            fallback_for: None,
        }))
    }
}

impl Cached for SourceImage {
    fn weight(&self) -> u64 {
        self.bytes.len() as u64 + weight(&self.headers)
    }

    fn body(&self) -> &Bytes {
        &self.bytes
    }

    fn describe(&self) -> Vec<u8> {
        let value = json!({"format": self.format.name(), "headers": lines(&self.headers)});
        value.to_string().into_bytes()
    }

    fn restore(description: &[u8], body: Bytes) -> Option<Self> {
        let value: Value = serde_json::from_slice(description).ok()?;
        Some(Self {
            bytes: body,
            format: ImageFormat::from_name(value.get("format")?.as_str()?)?,
            headers: headers(value.get("headers")?)?,
        })
    }
}

fn weight(headers: &HeaderMap) -> u64 {
    let line = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len();
    headers.iter().map(line).sum::<usize>() as u64
}

/// Values may hold any byte but line breaks, so they are in Base64.
fn lines(headers: &HeaderMap) -> Vec<[String; 2]> {
    headers
        .iter()
        .map(|(name, value)| [name.as_str().to_owned(), STANDARD.encode(value)])
        .collect()
}

fn headers(lines: &Value) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    for line in lines.as_array()? {
        let text = |at: usize| line.get(at)?.as_str();
        let name = HeaderName::try_from(text(0)?).ok()?;
        let value = STANDARD.decode(text(1)?).ok()?;
        headers.append(name, HeaderValue::from_bytes(&value).ok()?);
    }
    Some(headers)
}

#[cfg(test)]
mod tests {
    use http::header::{CACHE_CONTROL, ETAG};

    use super::*;

    #[test]
    fn a_result_comes_back_as_it_was() {
        let mut headers = HeaderMap::new();
        headers.append(CACHE_CONTROL, HeaderValue::from_static("public"));
        headers.append(CACHE_CONTROL, HeaderValue::from_static("max-age=5"));
        headers.append(ETAG, HeaderValue::from_bytes(b"\"\xff\x80\"").unwrap());
        for origin in [
            None,
            Some(Size {
                width: 3,
                height: 4,
            }),
        ] {
            let finished = Arc::new(Finished {
                body: Bytes::from_static(b"body"),
                format: ImageFormat::Webp,
                headers: headers.clone().into(),
                sizes: Sizes {
                    origin,
                    result: Some(Size {
                        width: 1,
                        height: 2,
                    }),
                    origin_bytes: u64::MAX,
                },
                fallback_for: None,
            });
            let again = Arc::<Finished>::restore(&finished.describe(), finished.body.clone());
            let again = again.expect("a description of our own");
            assert_eq!(again.body, finished.body);
            assert_eq!(again.format, finished.format);
            assert_eq!(again.headers, finished.headers);
            assert_eq!(again.sizes, finished.sizes);
        }
        let source = SourceImage {
            bytes: Bytes::from_static(b"source"),
            format: ImageFormat::Gif,
            headers,
        };
        let again = SourceImage::restore(&source.describe(), source.bytes.clone());
        let again = again.expect("a description of our own");
        assert_eq!(
            (again.bytes, again.format, again.headers),
            (source.bytes, source.format, source.headers)
        );
        for wrong in ["", "{}", "[]", "{\"format\":\"nothing\"}"] {
            assert!(Arc::<Finished>::restore(wrong.as_bytes(), Bytes::new()).is_none());
        }
    }
}
