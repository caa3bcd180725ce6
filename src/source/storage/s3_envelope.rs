//! What the S3 Encryption Client writes beside an object: how it is encrypted, and with which wrapped key.
//!
//! Owns the second and the third format of that, in the object's headers or in its instruction file. The first format,
//! and all algorithms that the clients call legacy, are refused, as imgproxy does. Rule: "content metadata" of the S3
//! Encryption Client's specification.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use serde_json::Value;

use super::s3_text::decoded;
use crate::source::FetchError;
use crate::source::seal::{COMMITMENT, KEY, MESSAGE, NONCE, Seal};

/// An object's wrapped key, and what the key is for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Envelope {
    /// As the key service gave it out.
    pub(super) wrapped_key: Vec<u8>,
    /// What the key service wants to hear together with it.
    pub(super) context: BTreeMap<String, String>,
    suite: Suite,
}

#[derive(Debug, PartialEq, Eq)]
enum Suite {
    Plain {
        nonce: [u8; NONCE],
    },
    Committing {
        message: [u8; MESSAGE],
        commitment: [u8; COMMITMENT],
    },
}

impl Envelope {
    /// That of an object with `headers`; `None` where they hold none, so that the instruction file decides.
    ///
    /// # Errors
    ///
    /// A format or an algorithm that is not read, or values that do not fit together.
    pub(super) fn of_object(headers: &HeaderMap) -> Result<Option<Self>, FetchError> {
        let field = |name: &str| field_of(headers, name);
        match Format::of(&field)? {
            Some(Format::Second) => Self::second(&field).map(Some),
            Some(Format::Third) => Self::third(&field).map(Some),
            None => Ok(None),
        }
    }

    /// That of an object with `headers` and an instruction file. The third format leaves what belongs to the bytes in
    /// the headers, where nobody who may only write instruction files can change it.
    ///
    /// # Errors
    ///
    /// As [`Envelope::of_object`], or the file is not an instruction file.
    pub(super) fn of_instruction(headers: &HeaderMap, file: &[u8]) -> Result<Self, FetchError> {
        let Ok(Value::Object(file)) = serde_json::from_slice(file) else {
            return Err(refused("its instruction file is not a JSON object"));
        };
        let in_file = |name: &str| match file.get(name)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        if in_file(KEY_3).is_none() {
            return match Format::of(&in_file)? {
                Some(Format::Second) => Self::second(&in_file),
                _ => Err(refused("its instruction file names no key")),
            };
        }
        let of_object = [CIPHER_3, COMMITMENT_3, MESSAGE_3];
        if of_object.iter().any(|name| in_file(name).is_some()) {
            return Err(refused(
                "its instruction file holds what belongs to the object",
            ));
        }
        Self::third(&|name: &str| {
            if of_object.contains(&name) {
                field_of(headers, name)
            } else {
                in_file(name)
            }
        })
    }

    fn second(field: &dyn Fn(&str) -> Option<String>) -> Result<Self, FetchError> {
        let cipher = required(field, "x-amz-cek-alg")?;
        if cipher != "AES/GCM/NoPadding" {
            return Err(refused(&format!("{cipher:?} is not decrypted")));
        }
        let tag = field("x-amz-tag-len");
        if tag.as_deref().is_some_and(|bits| bits != "128") {
            return Err(refused("its tag does not have 128 bits"));
        }
        let context = required(field, "x-amz-matdesc")?;
        Self::wrapped(
            &required(field, "x-amz-wrap-alg")?,
            &required(field, KEY_2)?,
            &context,
            &cipher,
            Suite::Plain {
                nonce: bytes(field, NONCE_2)?,
            },
        )
    }

    fn third(field: &dyn Fn(&str) -> Option<String>) -> Result<Self, FetchError> {
        let cipher = required(field, CIPHER_3)?;
        if cipher != "115" {
            return Err(refused(&format!("{cipher:?} is not decrypted")));
        }
        let wrap = required(field, "x-amz-w")?;
        let wrap = match wrap.as_str() {
            "12" => KMS_CONTEXT,
            other => other,
        };
        let context = field("x-amz-t").unwrap_or_else(|| "{}".to_owned());
        let suite = Suite::Committing {
            message: bytes(field, MESSAGE_3)?,
            commitment: bytes(field, COMMITMENT_3)?,
        };
        Self::wrapped(wrap, &required(field, KEY_3)?, &context, &cipher, suite)
    }

    fn wrapped(
        wrap: &str,
        key: &str,
        context: &str,
        cipher: &str,
        suite: Suite,
    ) -> Result<Self, FetchError> {
        if wrap != KMS_CONTEXT {
            return Err(refused(&format!(
                "its key is wrapped with {wrap:?}, not with {KMS_CONTEXT:?}"
            )));
        }
        let context: BTreeMap<String, String> = serde_json::from_str(&decoded(context)?)
            .map_err(|_| refused("its encryption context is not a JSON object of texts"))?;
        // The key service has checked this one when the key was made: nobody has changed the cipher since.
        if context.get(CIPHER_IN_CONTEXT).map(String::as_str) != Some(cipher) {
            return Err(refused(&format!(
                "{CIPHER_IN_CONTEXT:?} of its encryption context is not {cipher:?}"
            )));
        }
        let wrapped_key = STANDARD
            .decode(key)
            .map_err(|_| refused("its key is not Base64"))?;
        Ok(Self {
            wrapped_key,
            context,
            suite,
        })
    }

    /// The seal of the object, whose key is `data_key` without its wrapping.
    ///
    /// # Errors
    ///
    /// It is not the object's key.
    pub(super) fn seal(&self, data_key: &[u8; KEY]) -> Result<Seal, FetchError> {
        match &self.suite {
            Suite::Plain { nonce } => Seal::plain(data_key, *nonce),
            Suite::Committing {
                message,
                commitment,
            } => Seal::committing(data_key, message, commitment),
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Format {
    Second,
    Third,
}

impl Format {
    fn of(field: &dyn Fn(&str) -> Option<String>) -> Result<Option<Self>, FetchError> {
        let has = |name| field(name).is_some();
        let keys = [KEY_1, KEY_2, KEY_3].map(has);
        match keys {
            [true, false, false] if has(NONCE_2) => {
                Err(refused("the first format of the clients is not read"))
            }
            [false, true, false] if has(NONCE_2) => Ok(Some(Self::Second)),
            [false, false, true] if has(COMMITMENT_3) && has(MESSAGE_3) => Ok(Some(Self::Third)),
            _ if keys.iter().filter(|key| **key).count() > 1 => {
                Err(refused("it has keys of several formats"))
            }
            _ => Ok(None),
        }
    }
}

fn field_of(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = headers.get(format!("x-amz-meta-{name}"))?;
    Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
}

fn required(field: &dyn Fn(&str) -> Option<String>, name: &str) -> Result<String, FetchError> {
    field(name).ok_or_else(|| refused(&format!("{name} is missing")))
}

fn bytes<const N: usize>(
    field: &dyn Fn(&str) -> Option<String>,
    name: &str,
) -> Result<[u8; N], FetchError> {
    let text = required(field, name)?;
    let bytes = STANDARD.decode(text).ok();
    bytes
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| refused(&format!("{name} is not Base64 of {N} bytes")))
}

pub(super) fn refused(why: &str) -> FetchError {
    FetchError::Sealed(why.to_owned())
}

const KEY_1: &str = "x-amz-key";
const KEY_2: &str = "x-amz-key-v2";
const NONCE_2: &str = "x-amz-iv";
const KEY_3: &str = "x-amz-3";
const CIPHER_3: &str = "x-amz-c";
const COMMITMENT_3: &str = "x-amz-d";
const MESSAGE_3: &str = "x-amz-i";
const KMS_CONTEXT: &str = "kms+context";
const CIPHER_IN_CONTEXT: &str = "aws:x-amz-cek-alg";
