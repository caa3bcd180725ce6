//! Bodies that are encrypted as a whole. Nothing of one is used before all of it has proved to be what was encrypted.
//!
//! Owns the ciphers of the S3 Encryption Client's two formats, and how much of a body may be held for them. Where keys
//! come from is the storage's affair. Rule: `spec/sources.md` section 5; "key derivation" and "decryption" of the S3
//! Encryption Client's specification.

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::HeaderValue;
use http::header::CONTENT_LENGTH;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA512, KeyType, Salt};
use subtle::ConstantTimeEq;
use tokio::task::spawn_blocking;

use super::opened::{BodyStream, Opened};
use super::{Claim, Deadline, FetchError, FetchRequest};

/// AES-256-GCM over a whole body, with its tag behind the text.
pub(super) struct Seal {
    key: LessSafeKey,
    nonce: [u8; NONCE],
    additional: &'static [u8],
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seal").finish_non_exhaustive()
    }
}

impl Seal {
    /// `AES/GCM/NoPadding`: the data key is the key.
    pub(super) fn plain(data_key: &[u8; KEY], nonce: [u8; NONCE]) -> Result<Self, FetchError> {
        Self::new(data_key, nonce, &[])
    }

    /// Suite 115: the key is derived from the data key, which `commitment` proves to be the one that was encrypted with.
    ///
    /// # Errors
    ///
    /// It is another one.
    pub(super) fn committing(
        data_key: &[u8; KEY],
        message: &[u8; MESSAGE],
        commitment: &[u8; COMMITMENT],
    ) -> Result<Self, FetchError> {
        let derive = |purpose, out: &mut [u8]| {
            let info = [COMMITTING_SUITE, purpose];
            let extracted = Salt::new(HKDF_SHA512, message).extract(data_key);
            let expanded = extracted.expand(&info, Length(out.len()));
            expanded.and_then(|key| key.fill(out)).map_err(|_| BROKEN)
        };
        let mut expected = [0; COMMITMENT];
        derive(b"COMMITKEY", &mut expected)?;
        if !bool::from(expected.ct_eq(commitment)) {
            return Err(FetchError::Sealed(
                "its key is not the one that it commits to".to_owned(),
            ));
        }
        let mut key = [0; KEY];
        derive(b"DERIVEKEY", &mut key)?;
        Self::new(&key, [1; NONCE], COMMITTING_SUITE)
    }

    fn new(
        key: &[u8; KEY],
        nonce: [u8; NONCE],
        additional: &'static [u8],
    ) -> Result<Self, FetchError> {
        let key = UnboundKey::new(&AES_256_GCM, key).map_err(|_| BROKEN)?;
        Ok(Self {
            key: LessSafeKey::new(key),
            nonce,
            additional,
        })
    }

    /// The text of `body`, whose declared length is `length`. Away from the async threads: large bodies take a while.
    async fn open(
        self,
        mut body: BodyStream,
        length: Option<u64>,
        limit: u64,
        claim: Option<&Claim>,
    ) -> Result<Bytes, FetchError> {
        let limit = if limit == 0 { CEILING } else { limit };
        let held = limit.saturating_add(TAG);
        if let Some(declared) = length
            && declared > held
        {
            let declared = declared - TAG;
            return Err(FetchError::DeclaredTooLarge { declared, limit });
        }
        let mut sealed = Vec::new();
        while let Some(chunk) = body.next().await {
            let received = sealed.len() as u64;
            let chunk = chunk.map_err(|_| FetchError::Incomplete { received })?;
            if received + chunk.len() as u64 > held {
                return Err(FetchError::TooLarge { limit });
            }
            sealed.extend_from_slice(&chunk);
            if let Some(claim) = claim {
                // The text is copied once while its format is found out.
                claim.grow(2 * sealed.len() as u64).await;
            }
        }
        spawn_blocking(move || self.open_in_place(sealed))
            .await
            .map_err(|_| BROKEN)?
    }

    fn open_in_place(self, mut sealed: Vec<u8>) -> Result<Bytes, FetchError> {
        let nonce = Nonce::assume_unique_for_key(self.nonce);
        let opened = self
            .key
            .open_in_place(nonce, Aad::from(self.additional), &mut sealed);
        let length = opened.map_err(|_| ALTERED)?.len();
        sealed.truncate(length);
        Ok(sealed.into())
    }
}

impl Opened {
    /// The same with its text for a body, where it is sealed.
    ///
    /// # Errors
    ///
    /// It does not come whole and in time, is too large, or is not what was encrypted.
    pub(super) async fn unsealed(
        mut self,
        request: &FetchRequest,
        deadline: Deadline,
    ) -> Result<Self, FetchError> {
        let Some(seal) = self.seal.take() else {
            return Ok(self);
        };
        let claim = request.claim.clone();
        let work = seal.open(
            self.body,
            self.length,
            request.max_bytes,
            request.claim.as_deref(),
        );
        let text = deadline.body(claim.as_deref(), work).await;
        let text = text.ok_or_else(|| deadline.passed(true, false))??;
        let length = text.len();
        self.length = Some(length as u64);
        self.headers
            .insert(CONTENT_LENGTH, HeaderValue::from(length));
        // In pieces, so that the bytes stay claimed until the last of them is sent.
        self.body = stream::unfold((text, claim), |(mut text, claim)| async move {
            let piece = text.split_to(text.len().min(PIECE));
            (!piece.is_empty()).then_some((Ok(piece), (text, claim)))
        })
        .boxed();
        Ok(self)
    }
}

/// A number of bytes to derive.
struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

pub(super) const KEY: usize = 32;
pub(super) const NONCE: usize = 12;
pub(super) const MESSAGE: usize = 28;
pub(super) const COMMITMENT: usize = 28;
/// Bytes behind the text.
pub(super) const TAG: u64 = 16;
/// The number of the committing suite.
const COMMITTING_SUITE: &[u8] = &0x0073_u16.to_be_bytes();
/// Bound of bodies where the operator sets none: they are held whole, also those of raw replies.
const CEILING: u64 = 512 << 20;
const ALTERED: FetchError =
    FetchError::Undetectable("the object is not what was encrypted with its key");
/// Bytes of a text that are handed on at once.
const PIECE: usize = 64 << 10;
/// What the library cannot say of arguments of these lengths.
const BROKEN: FetchError = FetchError::Undetectable("decryption failed");

#[cfg(test)]
mod tests {
    use super::*;

    fn hex<const N: usize>(text: &str) -> [u8; N] {
        std::array::from_fn(|i| {
            u8::from_str_radix(text.get(2 * i..2 * i + 2).unwrap(), 16).unwrap()
        })
    }

    /// The known answers of the S3 Encryption Client's own tests.
    #[test]
    fn keys_are_derived_as_by_the_clients() {
        let data_key = hex("80d90dc4cc7e77d8a6332efa44eba56230a7fe7b89af37d1e501ab2e07c0a163");
        let message = hex("b8ea76bed24c7b85382a148cb9dcd1cfdfb765f55ded4dfa6e0c4c79");
        let commitment = hex("f89818bc0a346d3a3426b68e9509b6b2ae5fe1f904aa329fb73625db");
        let mut other = commitment;
        other[27] ^= 1;
        let error = Seal::committing(&data_key, &message, &other).unwrap_err();
        assert!(error.to_string().contains("commits to"), "{error}");
        // The derived key itself: what it seals, a seal of the known key opens.
        let derived = hex("6dd14f546cc006e639126e83f5d4d1b118576bb5df97f38c6fb3a1db87bbc338");
        let known = Seal::new(&derived, [1; NONCE], COMMITTING_SUITE).unwrap();
        let mut text = b"picture".to_vec();
        known
            .key
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key([1; NONCE]),
                Aad::from(COMMITTING_SUITE),
                &mut text,
            )
            .unwrap();
        let seal = Seal::committing(&data_key, &message, &commitment).unwrap();
        assert_eq!(seal.open_in_place(text).unwrap(), "picture");
    }

    #[tokio::test]
    async fn bounds() {
        let sealed = |length: usize| stream::iter([Ok(Bytes::from(vec![0; length]))]).boxed();
        let seal = || Seal::plain(&[7; KEY], [0; NONCE]).unwrap();
        let declared = seal().open(sealed(0), Some(117), 100, None).await;
        assert!(
            matches!(
                declared,
                Err(FetchError::DeclaredTooLarge {
                    declared: 101,
                    limit: 100
                })
            ),
            "{declared:?}"
        );
        let lying = seal().open(sealed(117), None, 100, None).await;
        assert!(
            matches!(lying, Err(FetchError::TooLarge { limit: 100 })),
            "{lying:?}"
        );
        for length in [0, 15, 16, 116] {
            let other = seal().open(sealed(length), None, 100, None).await;
            assert!(
                matches!(other, Err(FetchError::Undetectable(_))),
                "{other:?}"
            );
        }
        let cut = stream::iter([
            Ok(Bytes::from_static(b"ab")),
            Err(std::io::ErrorKind::ConnectionReset.into()),
        ]);
        let cut = seal().open(cut.boxed(), Some(100), 0, None).await;
        assert!(
            matches!(cut, Err(FetchError::Incomplete { received: 2 })),
            "{cut:?}"
        );
    }
}
