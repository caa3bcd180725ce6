//! The bearer tokens that image requests must carry. Rules: `spec/http.md` section 3, `spec/imgforge-original.md`
//! section 7.

use http::HeaderMap;
use http::header::AUTHORIZATION;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use crate::config::ServerConfig;
use crate::error::{Error, Kind};

/// Digests of the header values that are accepted; none asks for no token.
#[derive(Clone)]
pub struct Secrets(Vec<[u8; 32]>);

impl Secrets {
    /// `SECRET` and `IMGFORGE_SECRETS`.
    pub fn new(config: &ServerConfig) -> Self {
        let one = Some(&config.secret).filter(|secret| !secret.is_empty());
        let all = one.into_iter().chain(&config.secrets);
        Self(
            all.map(|secret| Sha256::digest(format!("Bearer {secret}")).into())
                .collect(),
        )
    }

    /// Byte for byte, of the first line only. The digests have one length, and all are compared, so that the time says
    /// nothing about a token.
    ///
    /// # Errors
    /// [`Kind::InvalidSecret`] where the header is missing or other than every accepted one.
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<(), Error> {
        if self.0.is_empty() {
            return Ok(());
        }
        let given = headers.get(AUTHORIZATION).map(|value| value.as_bytes());
        let given: [u8; 32] = Sha256::digest(given.unwrap_or_default()).into();
        let equal = |sum: Choice, accepted: &[u8; 32]| sum | accepted.ct_eq(&given);
        if self.0.iter().fold(Choice::from(0), equal).into() {
            Ok(())
        } else {
            Err(Error::new(Kind::InvalidSecret, "Invalid secret"))
        }
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secrets({})", self.0.len())
    }
}
