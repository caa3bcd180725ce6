//! What makes two requests the same. Rule: `spec/security.md` section 1.8.

use std::fmt;

use sha2::{Digest, Sha256};

/// Everything that changes the bytes or the headers of a result.
///
/// There is no default on purpose: a caller that forgets a field does not compile. The signature, the `expires` option
/// and whatever else only decides whether a request is answered must stay out.
#[derive(Clone, Copy, Debug)]
pub struct KeyParts<'a> {
    /// Canonical text of the processing options, without `expires`.
    pub options: &'a str,
    /// The source URL after replacements and base URL.
    pub source_url: &'a str,
    /// What the `Accept` header and the client hints contribute, after configuration has filtered them.
    pub features: &'a str,
    /// Cookies and other request headers that are forwarded to the source.
    pub forwarded: &'a [u8],
    /// Conditions under which the answer may be "not modified".
    pub conditions: &'a str,
    /// Digest of the configuration and the versions that make the bytes, security limits among them.
    pub environment: &'a str,
}

/// Digest of [`KeyParts`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CacheKey([u8; 32]);

impl CacheKey {
    /// The key of a request.
    pub fn new(parts: &KeyParts<'_>) -> Self {
        let KeyParts {
            options,
            source_url,
            features,
            forwarded,
            conditions,
            environment,
        } = parts;
        Self::of(&[
            options.as_bytes(),
            source_url.as_bytes(),
            features.as_bytes(),
            forwarded,
            conditions.as_bytes(),
            environment.as_bytes(),
        ])
    }

    /// The key of any list of parts. Every part is hashed with its length, so that no text can slip from one into
    /// another.
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut digest = Sha256::new();
        for part in parts {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        Self(digest.finalize().into())
    }
}

impl CacheKey {
    /// The digest.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads the 64 lower-case hexadecimal digits that [`fmt::Display`] writes; nothing else.
    pub fn from_hex(text: &str) -> Option<Self> {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
            return None;
        };
        let bytes: Option<Vec<u8>> = pairs
            .iter()
            .map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?))
            .collect();
        bytes?.try_into().ok().map(Self)
    }
}

impl From<[u8; 32]> for CacheKey {
    fn from(digest: [u8; 32]) -> Self {
        Self(digest)
    }
}

impl fmt::Display for CacheKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for CacheKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CacheKey({self})")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_part_counts_and_none_slips() {
        let texts: [[&str; 6]; 9] = [
            ["", "", "", "", "", ""],
            ["a", "", "", "", "", ""],
            ["", "a", "", "", "", ""],
            ["", "", "a", "", "", ""],
            ["", "", "", "a", "", ""],
            ["", "", "", "", "a", ""],
            ["", "", "", "", "", "a"],
            ["ab", "c", "", "", "", ""],
            ["a", "bc", "", "", "", ""],
        ];
        let keys: HashSet<CacheKey> = texts
            .iter()
            .map(
                |&[
                    options,
                    source_url,
                    features,
                    forwarded,
                    conditions,
                    environment,
                ]| {
                    CacheKey::new(&KeyParts {
                        options,
                        source_url,
                        features,
                        forwarded: forwarded.as_bytes(),
                        conditions,
                        environment,
                    })
                },
            )
            .collect();
        assert_eq!(keys.len(), texts.len());
    }

    #[test]
    fn hexadecimal_form() {
        let key = CacheKey::of(&[b"a"]);
        let text = key.to_string();
        assert_eq!(CacheKey::from_hex(&text), Some(key));
        for wrong in [
            text.trim_start_matches(text.chars().next().unwrap()),
            &text.to_uppercase(),
            &format!("{text}00"),
            "",
            "tmp",
        ] {
            assert_eq!(CacheKey::from_hex(wrong), None, "{wrong}");
        }
    }
}
