//! Metadata as S3 gives it back where it is not ASCII: mail-safe (RFC 2047), and wrong in a way of its own.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;

use super::s3_envelope::refused;
use crate::source::FetchError;

/// What was written. S3 takes each byte of UTF-8 for a character of Latin-1 before it encodes the text; that is undone
/// too. Text that is not encoded stays as it is.
///
/// # Errors
///
/// The text begins like an encoded one and is none.
pub(super) fn decoded(text: &str) -> Result<String, FetchError> {
    if !text.contains("=?") {
        return Ok(text.to_owned());
    }
    let mut rest = text;
    let mut out = String::new();
    let mut after_word = false;
    while let Some((before, word)) = rest.split_once("=?") {
        // Blanks between two encoded words are not part of the text.
        if !(after_word && before.trim().is_empty()) {
            out.push_str(before);
        }
        let mut parts = word.splitn(4, '?');
        let (Some(charset), Some(coding), Some(content), Some(behind)) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(broken());
        };
        rest = behind.strip_prefix('=').ok_or_else(broken)?;
        if !charset.eq_ignore_ascii_case("utf-8") {
            return Err(broken());
        }
        let bytes = match coding {
            "B" | "b" => STANDARD.decode(content).map_err(|_| broken())?,
            "Q" | "q" => {
                let content = content.replace('%', "=25").replace('_', " ");
                percent_decode_str(&content.replace('=', "%")).collect()
            }
            _ => return Err(broken()),
        };
        out.push_str(&String::from_utf8(bytes).map_err(|_| broken())?);
        after_word = true;
    }
    out.push_str(rest);
    let latin: Result<Vec<u8>, _> = out.chars().map(|c| u8::try_from(u32::from(c))).collect();
    let latin = latin.map_err(|_| broken())?;
    String::from_utf8(latin).map_err(|_| broken())
}

fn broken() -> FetchError {
    refused("its metadata is not encoded as S3 does")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_of_s3() {
        for (text, expected) in [
            ("{}", Some("{}")),
            (r#"{"a":"ü"}"#, Some(r#"{"a":"ü"}"#)),
            ("=?UTF-8?Q?{\"a\":\"=C3=83=C2=BC\"}?=", Some(r#"{"a":"ü"}"#)),
            (
                "=?utf-8?B?w4PCvCA=?= =?UTF-8?Q?50%_=3D?=!",
                Some("ü 50% =!"),
            ),
            ("=?UTF-8?Q?=C3=BC?=", None),
            ("=?UTF-8?Q?=FF?=", None),
            ("=?UTF-8?X?a?=", None),
            ("=?KOI8-R?Q?a?=", None),
            ("=?UTF-8?Q?a", None),
            ("=?UTF-8?B?*?=", None),
            ("=?UTF-8?Q?=E2=82=AC?=", None),
        ] {
            assert_eq!(decoded(text).ok().as_deref(), expected, "{text}");
        }
    }
}
