//! Reading a source's body into memory: size limit, content coding, completeness, format.
//! Rule: `spec/sources.md` section 1.5.
//!
//! Owns the order in which those rules are applied; it knows nothing of connections and deadlines. Content codings are
//! undone on threads that may block: a few kilobytes of a bomb are megabytes of work.

use std::io::{self, Write};
use std::mem;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use tokio::task::spawn_blocking;

use super::FetchError;
use super::coding::{Bounded, Coding, Decoder};
use crate::format::ImageFormat;
use crate::format::sniff::{WINDOW, sniff};

/// What is known about a body before its first byte.
#[derive(Clone, Debug, Default)]
pub(super) struct Expected {
    /// The content coding that has to be undone.
    pub(super) coding: Option<Coding>,
    /// Declared length on the wire.
    pub(super) length: Option<u64>,
    /// Largest number of bytes, content coding undone; 0 is no limit.
    pub(super) limit: u64,
    /// Extension of the object's name.
    pub(super) extension: Option<String>,
    /// Declared type.
    pub(super) content_type: Option<String>,
}

/// A body as it arrives.
#[derive(Debug)]
pub(super) struct Buffer {
    content: Content,
    detected: bool,
}

#[derive(Debug)]
enum Content {
    /// Bytes that cost nothing to take.
    Plain(Body),
    /// Bytes that have to be decoded.
    Coded(Body),
    /// A thread is decoding; it stays so if nobody waits for the thread any more.
    Away,
}

impl Buffer {
    /// An empty buffer.
    ///
    /// # Errors
    ///
    /// The declared length is above the limit.
    pub(super) fn new(expected: Expected) -> Result<Self, FetchError> {
        let coded = expected.coding.is_some();
        let body = Body::new(expected)?;
        Ok(Self {
            content: if coded {
                Content::Coded(body)
            } else {
                Content::Plain(body)
            },
            detected: false,
        })
    }

    /// Reads a whole body; the buffer keeps what has come if the future is dropped.
    pub(super) async fn fill<S>(&mut self, mut body: S) -> Result<(), FetchError>
    where
        S: Stream<Item = Result<Bytes, io::Error>> + Unpin,
    {
        while let Some(chunk) = body.next().await {
            match chunk {
                Ok(chunk) => self.on(move |body| body.push(&chunk)).await?,
                Err(_) => return self.on(|body| Err(body.cut())).await,
            }
        }
        self.on(Body::end).await
    }

    /// Whether so much has come that the format is known. Asked when nothing more will be read.
    pub(super) fn is_detected(&mut self) -> bool {
        match &mut self.content {
            Content::Plain(body) | Content::Coded(body) => body.is_detected(),
            Content::Away => self.detected,
        }
    }

    /// The body and its format, after [`Buffer::fill`] has succeeded.
    pub(super) fn finish(self) -> Result<(Bytes, ImageFormat), FetchError> {
        match self.content {
            Content::Plain(body) | Content::Coded(body) => body.finish(),
            Content::Away => Err(FetchError::Incomplete { received: 0 }),
        }
    }

    /// Does a step, away from the async threads where that can take long.
    async fn on(
        &mut self,
        step: impl FnOnce(&mut Body) -> Result<(), FetchError> + Send + 'static,
    ) -> Result<(), FetchError> {
        if let Content::Plain(body) = &mut self.content {
            return step(body);
        }
        let Content::Coded(mut body) = mem::replace(&mut self.content, Content::Away) else {
            return Err(FetchError::Incomplete { received: 0 });
        };
        let (body, done) = spawn_blocking(move || {
            let done = step(&mut body);
            (body, done)
        })
        .await
        .map_err(|_| FetchError::Incomplete { received: 0 })?;
        self.detected = self.detected || body.is_known();
        self.content = Content::Coded(body);
        done
    }
}

/// Decoded bytes, and what they are so far.
struct Body {
    stored: Stored,
    extension: Option<String>,
    content_type: Option<String>,
    format: Option<ImageFormat>,
}

enum Stored {
    Plain(Bounded),
    Coded(Decoder),
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Body")
            .field("bytes", &self.bytes().len())
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

impl Body {
    fn new(expected: Expected) -> Result<Self, FetchError> {
        let Expected {
            coding,
            length,
            limit,
            ..
        } = expected;
        if let Some(declared) = length
            && coding.is_none()
            && limit > 0
            && declared > limit
        {
            return Err(FetchError::DeclaredTooLarge { declared, limit });
        }
        let reserved = length.unwrap_or(0).min(LARGEST_RESERVATION);
        let bytes = Bounded::new(
            usize::try_from(reserved).unwrap_or(0),
            match (limit, coding) {
                (0, None) => u64::MAX,
                (0, Some(_)) => DECODED_CEILING,
                (limit, _) => limit,
            },
        );
        Ok(Self {
            stored: match coding {
                Some(coding) => Stored::Coded(Decoder::new(coding, bytes)),
                None => Stored::Plain(bytes),
            },
            extension: expected.extension,
            content_type: expected.content_type,
            format: None,
        })
    }

    fn push(&mut self, chunk: &[u8]) -> Result<(), FetchError> {
        let written = match &mut self.stored {
            Stored::Plain(bytes) => bytes.write_all(chunk),
            Stored::Coded(decoder) => {
                if !decoder.accepts(chunk) {
                    return Err(FetchError::NotCoded);
                }
                decoder.write(chunk)
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
        if let Stored::Coded(decoder) = &mut self.stored {
            if !decoder.has_begun() {
                return Err(FetchError::NotCoded);
            }
            if let Err(error) = decoder.finish() {
                return Err(if error.kind() == io::ErrorKind::UnexpectedEof {
                    self.cut()
                } else {
                    self.failed()
                });
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<(Bytes, ImageFormat), FetchError> {
        let format = self.sniffed().ok_or(FetchError::FormatUnknown)?;
        let bounded = match self.stored {
            Stored::Plain(bounded) => bounded,
            Stored::Coded(decoder) => decoder
                .into_decoded()
                .map_err(|_| FetchError::Incomplete { received: 0 })?,
        };
        Ok((bounded.into_bytes(), format))
    }

    /// The limit is exceeded or the coded data is wrong.
    fn failed(&mut self) -> FetchError {
        self.drain();
        if let Some(limit) = self.bounded().exceeded() {
            return if limit < DETECTION as u64 {
                FetchError::Undetectable("the size limit is below what detection needs")
            } else {
                FetchError::TooLarge { limit }
            };
        }
        if self.bytes().len() < DETECTION {
            FetchError::Undetectable("corrupt content coding")
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

    /// Takes what the decoder has decoded but not written yet; it holds up to 32 KiB back between writes.
    fn drain(&mut self) {
        if let Stored::Coded(decoder) = &mut self.stored {
            // The stream has no end, which is why this is called, so there is always an error.
            let _ = decoder.finish();
        }
    }

    fn is_detected(&mut self) -> bool {
        self.drain();
        self.is_known()
    }

    fn is_known(&self) -> bool {
        self.bytes().len() >= DETECTION && self.sniffed().is_some()
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
        self.bounded().as_slice()
    }

    fn bounded(&self) -> &Bounded {
        match &self.stored {
            Stored::Plain(bounded) => bounded,
            Stored::Coded(decoder) => decoder.decoded(),
        }
    }
}

/// Bytes that format detection asks for at a time.
const DETECTION: usize = 4096;
/// A declared length reserves no more than this before bytes have come.
const LARGEST_RESERVATION: u64 = 8 << 20;
/// Bound of decoded bytes where the operator sets none: a bomb of a few megabytes must not fill the memory.
const DECODED_CEILING: u64 = 512 << 20;

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
        buffer.fill(stream::iter(chunks)).await?;
        buffer.finish().map(|(bytes, _)| bytes.len())
    }

    fn expected(limit: u64, length: Option<u64>, gzip: bool) -> Expected {
        Expected {
            coding: gzip.then_some(Coding::Gzip),
            length,
            limit,
            ..Expected::default()
        }
    }

    fn held(buffer: &Buffer) -> usize {
        match &buffer.content {
            Content::Plain(body) | Content::Coded(body) => body.bytes().len(),
            Content::Away => panic!("a thread has it"),
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
            .fill(stream::iter([Ok(Bytes::from(bomb))]))
            .await
            .unwrap_err();
        assert!(matches!(error, FetchError::TooLarge { .. }));
        assert!(held(&buffer) <= 1 << 20);
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
            ("empty", b"", |e| matches!(e, FetchError::NotCoded)),
            ("one byte", b"\x1f", |e| matches!(e, FetchError::NotCoded)),
            ("plain", &noise, |e| matches!(e, FetchError::NotCoded)),
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
        let error = buffer.fill(one_chunk).await.unwrap_err();
        assert!(matches!(error, FetchError::Incomplete { .. }), "{error:?}");
    }

    #[tokio::test]
    async fn deflate_with_and_without_its_wrapper() {
        use flate2::write::{DeflateEncoder, ZlibEncoder};
        let noise: Vec<u8> = png(8)
            .into_iter()
            .chain(
                (0..40_000_u32)
                    .map(|n| (n.wrapping_mul(n).wrapping_mul(2_654_435_761) >> 24) as u8),
            )
            .collect();
        let any = || Expected {
            coding: Some(Coding::Deflate),
            ..Expected::default()
        };
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
        zlib.write_all(&noise).unwrap();
        let zlib = zlib.finish().unwrap();
        let mut bare = DeflateEncoder::new(Vec::new(), Compression::default());
        bare.write_all(&noise).unwrap();
        let bare = bare.finish().unwrap();
        for (name, body) in [("zlib", &zlib), ("bare", &bare)] {
            assert_eq!(
                read(any(), body, false).await.unwrap(),
                noise.len(),
                "{name}"
            );
            let cut = read(any(), &body[..body.len() / 2], false).await;
            assert!(
                matches!(cut, Err(FetchError::Incomplete { .. })),
                "{name}: {cut:?}"
            );
        }
        let mut wrong = zlib.clone();
        *wrong.last_mut().unwrap() ^= 1;
        let outcome = read(any(), &wrong, false).await;
        assert!(
            matches!(outcome, Err(FetchError::Incomplete { .. })),
            "{outcome:?}"
        );
        for body in [b"".as_slice(), b"x"] {
            assert!(read(any(), body, false).await.is_err());
        }
        let small = Expected {
            limit: 10_000,
            ..any()
        };
        assert!(matches!(
            read(small, &zlib, false).await,
            Err(FetchError::TooLarge { limit: 10_000 })
        ));
    }

    #[tokio::test]
    async fn decoding_leaves_the_async_thread_alone() {
        // On a runtime with one thread, a bomb of 64 MiB would keep every timer waiting.
        let bomb = Bytes::from(gzip(&png(64 << 20)));
        let decoding = tokio::spawn(async move {
            let mut buffer = Buffer::new(expected(0, None, true)).unwrap();
            buffer.fill(stream::iter([Ok(bomb)])).await
        });
        let mut ticks = 0;
        while !decoding.is_finished() {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            ticks += 1;
        }
        assert!(decoding.await.unwrap().is_ok());
        assert!(ticks > 5, "the timer was served {ticks} times");
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
            buffer.fill(endless).await,
            Err(FetchError::FormatUnknown)
        ));
        assert_eq!(held(&buffer), WINDOW);
    }
}
