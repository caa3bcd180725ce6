//! HMAC signatures of request paths. Rule: `spec/url.md` section 4.

use std::borrow::Cow;

use base64::Engine;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::args::LENIENT_BASE64;
use crate::config::UrlConfig;

use super::UrlError;
use super::path::SplitPath;

/// The signature segment for `path`, which is everything behind the signature, with or without its leading slash.
///
/// `size` is the number of bytes that are kept, 1–32; other values are brought into that range. The key may have any
/// length.
pub fn sign(key: &[u8], salt: &[u8], path: &str, size: usize) -> String {
    let mac = finish(salted(key, salt), path);
    LENIENT_BASE64.encode(truncated(&mac, size))
}

/// Checks signatures. Keeps one HMAC state per key pair with key and salt already taken in.
#[derive(Clone)]
pub struct Verifier {
    pairs: Vec<Hmac<Sha256>>,
    size: usize,
    trusted: Vec<String>,
}

impl Verifier {
    /// A verifier for the configured pairs; without any it accepts every signature.
    pub fn new(config: &UrlConfig) -> Self {
        let pairs = config.keys.iter();
        Self {
            pairs: pairs.map(|pair| salted(&pair.key, &pair.salt)).collect(),
            size: config.signature_size,
            trusted: config.trusted_signatures.clone(),
        }
    }

    /// Whether signatures are checked at all.
    pub fn is_on(&self) -> bool {
        !self.pairs.is_empty()
    }

    /// Checks the signature and returns the path to parse.
    ///
    /// A client may have signed a path that the scheme repair would change, so the path as received is tried first and
    /// the repaired one second, and the one that verified is the one that counts. Where no signature decides, it is the
    /// repaired one.
    ///
    /// # Errors
    /// [`UrlError::SignatureIsOption`] where checking is off and the signature is missing,
    /// [`UrlError::SignatureEncoding`] and [`UrlError::Signature`] where it is wrong, [`UrlError::Path`] where nothing
    /// follows it.
    pub fn verify<'a>(&self, split: SplitPath<'a>) -> Result<Cow<'a, str>, UrlError> {
        let SplitPath {
            signature,
            path,
            repaired,
        } = split;
        let unchecked = if self.is_on() {
            self.is_trusted(signature)
        } else if signature.contains(':') {
            return Err(UrlError::SignatureIsOption);
        } else {
            true
        };
        if unchecked {
            return Ok(repaired.map_or(path, Cow::Owned));
        }
        let signature = LENIENT_BASE64
            .decode(signature)
            .map_err(|_| UrlError::SignatureEncoding)?;
        if path.is_empty() {
            return Err(UrlError::Path(path.into_owned()));
        }
        if self.is_signed(&signature, &path) {
            return Ok(path);
        }
        match repaired {
            Some(repaired) if self.is_signed(&signature, &repaired) => Ok(Cow::Owned(repaired)),
            _ => Err(UrlError::Signature),
        }
    }

    fn is_trusted(&self, signature: &str) -> bool {
        self.trusted
            .iter()
            .any(|trusted| trusted.as_bytes().ct_eq(signature.as_bytes()).into())
    }

    fn is_signed(&self, signature: &[u8], path: &str) -> bool {
        self.pairs.iter().any(|pair| {
            let mac = finish(pair.clone(), path);
            truncated(&mac, self.size).ct_eq(signature).into()
        })
    }
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier")
            .field("pairs", &self.pairs.len())
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
fn salted(key: &[u8], salt: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(salt);
    mac
}

fn finish(mut mac: Hmac<Sha256>, path: &str) -> [u8; 32] {
    if !path.starts_with('/') {
        mac.update(b"/");
    }
    mac.update(path.as_bytes());
    mac.finalize().into_bytes().into()
}

fn truncated(mac: &[u8; 32], size: usize) -> &[u8] {
    mac.get(..size.clamp(1, 32)).unwrap_or(mac)
}
