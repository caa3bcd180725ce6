//! One entry as a file: a head of fixed length, the source URL, what the owner needs to know besides the body, the body.
//!
//! The checksum covers everything behind it, and the key is part of that: a file that was cut, changed, or put in the
//! place of another one is no entry.

use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use twox_hash::XxHash3_128;

use crate::cache::{CacheKey, Freshness, Lifetime, Tags};

/// What a file holds.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) tags: Tags,
    pub(super) lifetime: Lifetime,
    pub(super) description: Bytes,
    pub(super) body: Bytes,
}

/// The bytes of a file, in the two pieces that they lie in.
pub(super) fn encode(key: &CacheKey, entry: &Entry) -> (Vec<u8>, Bytes) {
    let source = entry.tags.source.as_bytes();
    let freshness = entry.lifetime.freshness();
    let mut rest = Vec::with_capacity(HEAD + source.len() + entry.description.len());
    rest.extend_from_slice(key.as_bytes());
    rest.extend_from_slice(entry.tags.variant_of.as_bytes());
    for number in [
        entry.lifetime.stored_ms(),
        millis(freshness.fresh),
        millis(freshness.while_revalidate),
        millis(freshness.if_error),
        source.len() as u64,
        entry.description.len() as u64,
        entry.body.len() as u64,
    ] {
        rest.extend_from_slice(&number.to_le_bytes());
    }
    rest.extend_from_slice(source);
    rest.extend_from_slice(&entry.description);
    let mut head = Vec::with_capacity(MAGIC.len() + SUM + rest.len());
    head.extend_from_slice(MAGIC);
    head.extend_from_slice(&checksum(&rest, &entry.body));
    head.extend_from_slice(&rest);
    (head, entry.body.clone())
}

/// Reads a whole file; `None` where it is not the entry `key`, whole and unchanged.
pub(super) fn decode(key: &CacheKey, file: Vec<u8>, now: std::time::SystemTime) -> Option<Entry> {
    let file = Bytes::from(file);
    let mut reader = Reader(&file);
    if reader.array::<{ MAGIC.len() }>()? != *MAGIC {
        return None;
    }
    let sum = reader.array::<SUM>()?;
    if checksum(reader.0, &[]) != sum {
        return None;
    }
    let head = Head::read(&mut reader)?;
    let source = std::str::from_utf8(reader.slice(head.source)?).ok()?;
    let description = reader.slice(head.description)?;
    let body = reader.slice(head.body)?;
    if head.key != *key || !reader.0.is_empty() {
        return None;
    }
    let stored = UNIX_EPOCH.checked_add(Duration::from_millis(head.stored))?;
    Some(Entry {
        tags: Tags {
            source: source.into(),
            variant_of: head.variant_of,
        },
        lifetime: Lifetime::restored(head.freshness, stored, now),
        description: file.slice_ref(description),
        body: file.slice_ref(body),
    })
}

/// Reads key and tags from the beginning of a file, without looking at the rest.
pub(super) fn tags(start: &[u8]) -> Option<(CacheKey, Tags)> {
    let mut reader = Reader(start);
    if reader.array::<{ MAGIC.len() }>()? != *MAGIC {
        return None;
    }
    reader.array::<SUM>()?;
    let head = Head::read(&mut reader)?;
    let source = std::str::from_utf8(reader.slice(head.source)?).ok()?;
    let tags = Tags {
        source: source.into(),
        variant_of: head.variant_of,
    };
    Some((head.key, tags))
}

struct Head {
    key: CacheKey,
    variant_of: CacheKey,
    stored: u64,
    freshness: Freshness,
    source: usize,
    description: usize,
    body: usize,
}

impl Head {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let key = CacheKey::from(reader.array::<32>()?);
        let variant_of = CacheKey::from(reader.array::<32>()?);
        let stored = reader.number()?;
        let mut time = || reader.number().map(Duration::from_millis);
        let freshness = Freshness {
            fresh: time()?,
            while_revalidate: time()?,
            if_error: time()?,
        };
        let mut length = || usize::try_from(reader.number()?).ok();
        Some(Self {
            key,
            variant_of,
            stored,
            freshness,
            source: length()?,
            description: length()?,
            body: length()?,
        })
    }
}

/// Takes pieces from the front of a slice; `None` where it is too short.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn slice(&mut self, length: usize) -> Option<&'a [u8]> {
        let (piece, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(piece)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.slice(N)?.try_into().ok()
    }

    fn number(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }
}

fn checksum(first: &[u8], second: &[u8]) -> [u8; SUM] {
    let mut hash = XxHash3_128::new();
    hash.write(first);
    hash.write(second);
    hash.finish_128().to_le_bytes()
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Changes with the layout.
const MAGIC: &[u8; 16] = b"imgforge-cache1\n";
const SUM: usize = 16;
/// Two keys and seven numbers.
const HEAD: usize = 2 * 32 + 7 * 8;
/// Bytes of a file that [`tags`] needs at most, where the source URL is no longer than a request may be.
pub(super) const START: usize = MAGIC.len() + SUM + HEAD + 16 * 1024;

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn key(text: &str) -> CacheKey {
        CacheKey::of(&[text.as_bytes()])
    }

    fn file() -> Vec<u8> {
        let freshness = Freshness {
            fresh: Duration::from_secs(60),
            ..Freshness::default()
        };
        let entry = Entry {
            tags: Tags {
                source: "http://a/b".into(),
                variant_of: key("variant"),
            },
            lifetime: Lifetime::new(freshness),
            description: Bytes::from_static(b"description"),
            body: Bytes::from_static(b"the body"),
        };
        let (mut head, body) = encode(&key("a"), &entry);
        head.extend_from_slice(&body);
        head
    }

    #[test]
    fn what_is_written_is_read() {
        let now = SystemTime::now();
        let entry = decode(&key("a"), file(), now).expect("an entry");
        assert_eq!(&*entry.tags.source, "http://a/b");
        assert_eq!(entry.tags.variant_of, key("variant"));
        assert_eq!(&*entry.description, b"description");
        assert_eq!(&*entry.body, b"the body");
        assert_eq!(entry.lifetime.freshness().fresh, Duration::from_secs(60));
        assert!(entry.lifetime.ttl() > 50);
        let (found, tags) = tags(&file()).expect("a head");
        assert_eq!((found, &*tags.source), (key("a"), "http://a/b"));
        // Put in the place of another entry.
        assert!(decode(&key("b"), file(), now).is_none());
    }

    #[test]
    fn no_changed_byte_and_no_missing_one_is_overlooked() {
        let now = SystemTime::now();
        let whole = file();
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            assert!(decode(&key("a"), changed, now).is_none(), "byte {at}");
            assert!(
                decode(&key("a"), whole[..at].to_vec(), now).is_none(),
                "cut at {at}"
            );
            // Must not panic, whatever it finds.
            let _ = tags(&whole[..at]);
        }
        let mut longer = whole;
        longer.push(0);
        assert!(decode(&key("a"), longer, now).is_none());
    }
}
