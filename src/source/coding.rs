//! Undoing content codings, bounded in size. Rule: `spec/sources.md` section 1.5.

use std::io::{self, Write};
use std::mem;

use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use flate2::{Decompress, FlushDecompress, Status};

/// A content coding that is undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    /// `gzip`, several members included.
    Gzip,
    /// `deflate`: zlib data, or without its wrapper as some servers send it.
    Deflate,
}

impl Coding {
    /// By the exact value of `Content-Encoding`.
    pub(super) fn by_name(name: &str) -> Option<Self> {
        match name {
            "gzip" => Some(Self::Gzip),
            "deflate" => Some(Self::Deflate),
            _ => None,
        }
    }
}

/// Takes coded bytes and holds decoded ones.
#[derive(Debug)]
pub(super) struct Decoder {
    /// The first bytes, up to [`GZIP_MAGIC`]'s number of them.
    start: Vec<u8>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Gzip(Box<MultiGzDecoder<Bounded>>),
    Deflate(Inflate),
    /// `deflate` before its first two bytes have come.
    Undecided {
        decoded: Bounded,
        held: Vec<u8>,
    },
}

impl Decoder {
    pub(super) fn new(coding: Coding, decoded: Bounded) -> Self {
        Self {
            start: Vec::new(),
            kind: match coding {
                Coding::Gzip => Kind::Gzip(Box::new(MultiGzDecoder::new(decoded))),
                Coding::Deflate => Kind::Undecided {
                    decoded,
                    held: Vec::new(),
                },
            },
        }
    }

    /// Looks at the next bytes, which have to be written then; `false` if the coding cannot begin so.
    pub(super) fn accepts(&mut self, chunk: &[u8]) -> bool {
        let missing = GZIP_MAGIC.len().saturating_sub(self.start.len());
        self.start.extend(chunk.iter().take(missing));
        !matches!(self.kind, Kind::Gzip(_)) || GZIP_MAGIC.starts_with(&self.start)
    }

    /// Whether so many bytes have come that it can be the coding at all.
    pub(super) fn has_begun(&self) -> bool {
        match self.kind {
            Kind::Gzip(_) => self.start.len() == GZIP_MAGIC.len(),
            _ => !matches!(self.kind, Kind::Undecided { .. }),
        }
    }

    pub(super) fn write(&mut self, chunk: &[u8]) -> io::Result<()> {
        let Kind::Undecided { decoded, held } = &mut self.kind else {
            return self.pass(chunk);
        };
        held.extend_from_slice(chunk);
        let [first, second, ..] = held.as_slice() else {
            return Ok(());
        };
        let wrapped = first & 0x0F == 8 && u16::from_be_bytes([*first, *second]) % 31 == 0;
        let (decoded, held) = (mem::take(decoded), mem::take(held));
        self.kind = Kind::Deflate(Inflate {
            state: Decompress::new(wrapped),
            decoded,
            ended: false,
        });
        self.pass(&held)
    }

    fn pass(&mut self, chunk: &[u8]) -> io::Result<()> {
        match &mut self.kind {
            Kind::Gzip(decoder) => decoder.write_all(chunk),
            Kind::Deflate(inflate) => inflate.write(chunk),
            Kind::Undecided { .. } => Ok(()),
        }
    }

    /// Writes what is left.
    ///
    /// # Errors
    ///
    /// The data has no end, is wrong, or exceeds the bound.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        match &mut self.kind {
            Kind::Gzip(decoder) => decoder.try_finish(),
            Kind::Deflate(inflate) if inflate.ended => Ok(()),
            Kind::Deflate(_) => Err(io::ErrorKind::UnexpectedEof.into()),
            Kind::Undecided { .. } => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    pub(super) fn decoded(&self) -> &Bounded {
        match &self.kind {
            Kind::Gzip(decoder) => decoder.get_ref(),
            Kind::Deflate(inflate) => &inflate.decoded,
            Kind::Undecided { decoded, .. } => decoded,
        }
    }

    pub(super) fn into_decoded(self) -> io::Result<Bounded> {
        match self.kind {
            Kind::Gzip(decoder) => decoder.finish(),
            Kind::Deflate(inflate) => Ok(inflate.decoded),
            Kind::Undecided { decoded, .. } => Ok(decoded),
        }
    }
}

/// `deflate` in the making. The library's own writer does not tell a cut stream from a whole one.
#[derive(Debug)]
struct Inflate {
    state: Decompress,
    decoded: Bounded,
    ended: bool,
}

impl Inflate {
    fn write(&mut self, mut chunk: &[u8]) -> io::Result<()> {
        let mut buffer = vec![0; BUFFER];
        loop {
            if self.ended {
                let rest = chunk.is_empty();
                return if rest {
                    Ok(())
                } else {
                    Err(io::ErrorKind::InvalidData.into())
                };
            }
            let before = (self.state.total_in(), self.state.total_out());
            let status = self
                .state
                .decompress(chunk, &mut buffer, FlushDecompress::None)?;
            let read = usize::try_from(self.state.total_in() - before.0).unwrap_or(chunk.len());
            let written = usize::try_from(self.state.total_out() - before.1).unwrap_or(BUFFER);
            self.ended = status == Status::StreamEnd;
            chunk = chunk.get(read..).unwrap_or_default();
            self.decoded
                .write_all(buffer.get(..written).unwrap_or_default())?;
            if read == 0 && written == 0 && !self.ended {
                return Ok(());
            }
        }
    }
}

/// Bytes that refuse to grow beyond a limit.
#[derive(Debug, Default)]
pub(super) struct Bounded {
    bytes: Vec<u8>,
    limit: u64,
    exceeded: bool,
}

impl Bounded {
    /// Room for `capacity` bytes, of at most `limit`.
    pub(super) fn new(capacity: usize, limit: u64) -> Self {
        Self {
            bytes: Vec::with_capacity(capacity),
            limit,
            exceeded: false,
        }
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes
    }

    /// The limit, if more was to be written than it allows.
    pub(super) fn exceeded(&self) -> Option<u64> {
        self.exceeded.then_some(self.limit)
    }

    /// The bytes, which take no more memory than there are.
    pub(super) fn into_bytes(mut self) -> Bytes {
        self.bytes.shrink_to_fit();
        self.bytes.into()
    }
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

const BUFFER: usize = 32 * 1024;
const GZIP_MAGIC: &[u8] = &[0x1F, 0x8B, 0x08];
