//! Reading a source's body into memory: size limit, gzip, completeness, format. Rule: `spec/sources.md` section 1.5.
//!
//! Owns the order in which those rules are applied; it knows nothing of connections and deadlines.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use futures_util::{Stream, StreamExt};

use super::{Claim, FetchError};
use crate::format::ImageFormat;
use crate::format::sniff::{WINDOW, sniff};

/// Bytes of a body as they arrive, and what they are so far.
pub(super) struct Buffer {
    content: Content,
    limit: u64,
    extension: Option<String>,
    content_type: Option<String>,
    format: Option<ImageFormat>,
    /// Bytes that came over the wire, before gzip is undone.
    raw: u64,
}

impl std::fmt::Debug for Buffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Buffer")
            .field("bytes", &self.bytes().len())
            .field("limit", &self.limit)
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

/// What is known about a body before its first byte.
#[derive(Clone, Debug, Default)]
pub(super) struct Expected {
    /// Whether the body is gzip that has to be undone.
    pub(super) gzip: bool,
    /// Declared length on the wire.
    pub(super) length: Option<u64>,
    /// Largest number of bytes, gzip undone; 0 is no limit.
    pub(super) limit: u64,
    /// Extension of the final URL path.
    pub(super) extension: Option<String>,
    /// Declared type.
    pub(super) content_type: Option<String>,
}

impl Buffer {
    /// An empty buffer.
    ///
    /// # Errors
    ///
    /// The declared length is above the limit.
    pub(super) fn new(expected: Expected) -> Result<Self, FetchError> {
        let Expected {
            gzip,
            length,
            limit,
            ..
        } = expected;
        if let Some(declared) = length
            && !gzip
            && limit > 0
            && declared > limit
        {
            return Err(FetchError::DeclaredTooLarge { declared, limit });
        }
        let reserved = length.unwrap_or(0).min(LARGEST_RESERVATION);
        let bytes = Bounded {
            bytes: Vec::with_capacity(usize::try_from(reserved).unwrap_or(0)),
            limit: match limit {
                0 if gzip => GZIP_CEILING,
                0 => u64::MAX,
                limit => limit,
            },
            exceeded: false,
        };
        Ok(Self {
            content: if gzip {
                Content::Gzip {
                    start: Vec::new(),
                    decoder: Box::new(MultiGzDecoder::new(bytes)),
                }
            } else {
                Content::Plain(bytes)
            },
            limit,
            extension: expected.extension,
            content_type: expected.content_type,
            format: None,
            raw: 0,
        })
    }

    /// Reads a whole body, no faster than there is room for it; the buffer keeps what has come if the future is dropped.
    pub(super) async fn fill<S>(
        &mut self,
        mut body: S,
        claim: Option<&Claim>,
    ) -> Result<(), FetchError>
    where
        S: Stream<Item = Result<Bytes, io::Error>> + Unpin,
    {
        while let Some(chunk) = body.next().await {
            match chunk {
                Ok(chunk) => self.push(&chunk)?,
                Err(_) => return Err(self.cut()),
            }
            if let Some(claim) = claim {
                claim.grow(self.bytes().len() as u64).await;
            }
        }
        self.end()
    }

    /// Whether so much has come that the format is known. Asked when nothing more will be read.
    pub(super) fn is_detected(&mut self) -> bool {
        self.drain();
        self.bytes().len() >= DETECTION && self.sniffed().is_some()
    }

    /// The body and its format, after [`Buffer::fill`] has succeeded.
    pub(super) fn finish(self) -> Result<(Bytes, ImageFormat), FetchError> {
        let format = self.sniffed().ok_or(FetchError::FormatUnknown)?;
        let bytes = match self.content {
            Content::Plain(bounded) => bounded.bytes,
            Content::Gzip { decoder, .. } => {
                decoder
                    .finish()
                    .map_err(|_| FetchError::Incomplete { received: 0 })?
                    .bytes
            }
        };
        Ok((bytes.into(), format))
    }

    fn push(&mut self, chunk: &[u8]) -> Result<(), FetchError> {
        self.raw += chunk.len() as u64;
        let written = match &mut self.content {
            Content::Plain(bytes) => bytes.write_all(chunk),
            Content::Gzip { start, decoder } => {
                if start.len() < GZIP_MAGIC.len() {
                    let missing = GZIP_MAGIC.len() - start.len();
                    start.extend(chunk.iter().take(missing));
                    if !GZIP_MAGIC.starts_with(start) {
                        return Err(FetchError::NotGzip);
                    }
                }
                decoder.write_all(chunk)
            }
        };
        if written.is_err() {
            return Err(self.failed());
        }
        if self.format.is_none() && self.bytes().len() >= WINDOW {
            self.format = self.sniffed();
            if self.format.is_none() {
                return Err(FetchError::FormatUnknown);
            }
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), FetchError> {
        if let Content::Gzip { start, decoder } = &mut self.content {
            if start.len() < GZIP_MAGIC.len() {
                return Err(FetchError::NotGzip);
            }
            if let Err(error) = decoder.try_finish() {
                return Err(if error.kind() == io::ErrorKind::UnexpectedEof {
                    self.cut()
                } else {
                    self.failed()
                });
            }
        }
        Ok(())
    }

    /// The limit is exceeded or the gzip data is wrong.
    fn failed(&mut self) -> FetchError {
        self.drain();
        let early = self.bytes().len() < DETECTION;
        if self.bounded().exceeded {
            let limit = self.bounded().limit;
            return if limit < DETECTION as u64 {
                FetchError::Undetectable("the size limit is below what detection needs")
            } else {
                FetchError::TooLarge { limit }
            };
        }
        if early {
            FetchError::Undetectable("corrupt gzip data")
        } else {
            self.cut()
        }
    }

    /// The body ended before its end.
    fn cut(&mut self) -> FetchError {
        if self.is_detected() {
            FetchError::Incomplete {
                received: self.bytes().len() as u64,
            }
        } else {
            FetchError::FormatUnknown
        }
    }

    /// Takes what the gzip decoder has decoded but not written yet; it holds up to 32 KiB back between writes.
    fn drain(&mut self) {
        if let Content::Gzip { decoder, .. } = &mut self.content {
            // The stream has no end, which is why this is called, so there is always an error.
            let _ = decoder.try_finish();
        }
    }

    fn sniffed(&self) -> Option<ImageFormat> {
        self.format.or_else(|| {
            sniff(
                self.bytes(),
                self.extension.as_deref(),
                self.content_type.as_deref(),
            )
        })
    }

    fn bytes(&self) -> &[u8] {
        &self.bounded().bytes
    }

    fn bounded(&self) -> &Bounded {
        match &self.content {
            Content::Plain(bytes) => bytes,
            Content::Gzip { decoder, .. } => decoder.get_ref(),
        }
    }
}

enum Content {
    Plain(Bounded),
    Gzip {
        start: Vec<u8>,
        decoder: Box<MultiGzDecoder<Bounded>>,
    },
}

/// A vector that refuses to grow beyond a limit.
#[derive(Debug)]
struct Bounded {
    bytes: Vec<u8>,
    limit: u64,
    exceeded: bool,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if (self.bytes.len() + bytes.len()) as u64 > self.limit {
            self.exceeded = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Bytes that format detection asks for at a time.
const DETECTION: usize = 4096;
const GZIP_MAGIC: &[u8] = &[0x1F, 0x8B, 0x08];
/// A declared length reserves no more than this before bytes have come.
const LARGEST_RESERVATION: u64 = 8 << 20;
/// Bound of decoded gzip where the operator sets none: a bomb of a few megabytes must not fill the memory.
const GZIP_CEILING: u64 = 512 << 20;

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use futures_util::stream;

    use super::*;

    fn png(length: usize) -> Vec<u8> {
        let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
        bytes.resize(length, 7);
        bytes
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    async fn read(expected: Expected, body: &[u8], broken: bool) -> Result<usize, FetchError> {
        let mut chunks: Vec<Result<Bytes, io::Error>> = body
            .chunks(1000)
            .map(|chunk| Ok(Bytes::copy_from_slice(chunk)))
            .collect();
        if broken {
            chunks.push(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let mut buffer = Buffer::new(expected)?;
        buffer.fill(stream::iter(chunks), None).await?;
        buffer.finish().map(|(bytes, _)| bytes.len())
    }

    fn expected(limit: u64, length: Option<u64>, gzip: bool) -> Expected {
        Expected {
            gzip,
            length,
            limit,
            ..Expected::default()
        }
    }

    #[tokio::test]
    async fn limits() {
        let exact = expected(10_000, None, false);
        assert_eq!(
            read(exact.clone(), &png(10_000), false).await.unwrap(),
            10_000
        );
        assert!(matches!(
            read(exact.clone(), &png(10_001), false).await,
            Err(FetchError::TooLarge { limit: 10_000 })
        ));
        assert!(matches!(
            read(expected(10_000, Some(10_001), false), b"", false).await,
            Err(FetchError::DeclaredTooLarge { .. })
        ));
        assert!(matches!(
            read(expected(100, None, false), &png(200), false).await,
            Err(FetchError::Undetectable(_))
        ));
        // The limit counts decoded bytes, so a declared length on the wire says nothing.
        let packed = gzip(&png(10_000));
        let length = Some(packed.len() as u64);
        assert_eq!(
            read(expected(10_000, length, true), &packed, false)
                .await
                .unwrap(),
            10_000
        );
        assert!(matches!(
            read(expected(9_999, length, true), &packed, false).await,
            Err(FetchError::TooLarge { .. })
        ));
    }

    #[tokio::test]
    async fn gzip_bombs_stop_at_the_limit() {
        let bomb = gzip(&png(64 << 20));
        assert!(bomb.len() < 1 << 20);
        let mut buffer = Buffer::new(expected(1 << 20, None, true)).unwrap();
        let error = buffer
            .fill(stream::iter([Ok(Bytes::from(bomb))]), None)
            .await
            .unwrap_err();
        assert!(matches!(error, FetchError::TooLarge { .. }));
        assert!(buffer.bytes().len() <= 1 << 20);
    }

    #[tokio::test]
    async fn gzip_members_and_defects() {
        let any = || expected(0, None, true);
        let noise: Vec<u8> = png(8)
            .into_iter()
            .chain((0..40_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8))
            .collect();
        let (first, second) = noise.split_at(20_000);
        let two = [gzip(first), gzip(second)].concat();
        assert_eq!(read(any(), &two, false).await.unwrap(), noise.len());
        let whole = gzip(&noise);
        let mut wrong_sum = whole.clone();
        let checksum = whole.len() - 8;
        wrong_sum[checksum] ^= 1;
        let mut small_sum = gzip(&png(100));
        let checksum = small_sum.len() - 8;
        small_sum[checksum] ^= 1;
        let trailing = [whole.clone(), b"rest".to_vec()].concat();
        type Check = fn(&FetchError) -> bool;
        let cases: [(&str, &[u8], Check); 8] = [
            ("empty", b"", |e| matches!(e, FetchError::NotGzip)),
            ("one byte", b"\x1f", |e| matches!(e, FetchError::NotGzip)),
            ("plain", &noise, |e| matches!(e, FetchError::NotGzip)),
            ("cut", &whole[..whole.len() - 100], |e| {
                matches!(e, FetchError::Incomplete { .. })
            }),
            ("cut early", &whole[..500], |e| {
                matches!(e, FetchError::FormatUnknown)
            }),
            ("checksum", &wrong_sum, |e| {
                matches!(e, FetchError::Incomplete { .. })
            }),
            ("early checksum", &small_sum, |e| {
                matches!(e, FetchError::Undetectable(_))
            }),
            ("trailing bytes", &trailing, |e| {
                matches!(e, FetchError::Incomplete { .. })
            }),
        ];
        for (name, body, is_expected) in cases {
            let error = read(any(), body, false).await.unwrap_err();
            assert!(is_expected(&error), "{name}: {error:?}");
        }
        // What the decoder still holds back when the connection breaks counts as well.
        let one_chunk = stream::iter([
            Ok(Bytes::copy_from_slice(&whole[..3000])),
            Err(io::ErrorKind::ConnectionReset.into()),
        ]);
        let mut buffer = Buffer::new(any()).unwrap();
        let error = buffer.fill(one_chunk, None).await.unwrap_err();
        assert!(matches!(error, FetchError::Incomplete { .. }), "{error:?}");
    }

    #[tokio::test]
    async fn breaks_and_unknown_formats() {
        let any = || expected(0, None, false);
        assert!(matches!(
            read(any(), &png(5000), true).await,
            Err(FetchError::Incomplete { received: 5000 })
        ));
        assert!(matches!(
            read(any(), &png(4000), true).await,
            Err(FetchError::FormatUnknown)
        ));
        assert!(matches!(
            read(any(), b"", false).await,
            Err(FetchError::FormatUnknown)
        ));
        assert_eq!(read(any(), &png(8), false).await.unwrap(), 8);
        // Nothing is read beyond the window of detection.
        let mut buffer = Buffer::new(any()).unwrap();
        let endless = stream::repeat_with(|| Ok(Bytes::from_static(&[1; 1024])));
        assert!(matches!(
            buffer.fill(endless, None).await,
            Err(FetchError::FormatUnknown)
        ));
        assert_eq!(buffer.bytes().len(), WINDOW);
    }
}
