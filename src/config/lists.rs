//! Readers of several values in one variable. Rule: `spec/configuration.md` section 1.2.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use crate::format::ImageFormat;

use super::types::{self, ranged};
use super::var::Invalid;

/// Format texts of the types in this file.
pub(super) mod format {
    pub(crate) const LIST: &str = "comma-separated strings";
    pub(crate) const SEPARATED: &str = "separated list of strings";
    pub(crate) const LINES: &str = "path to file with one entry per line";
    pub(crate) const FORMATS: &str = "comma-separated image formats";
    pub(crate) const FORMAT_QUALITY: &str = "format=quality pairs (e.g. jpg=80,webp=90)";
    pub(crate) const PATTERNS: &str = "comma-separated wildcard patterns";
    pub(crate) const HEX: &str = "comma-separated hex-encoded strings";
    pub(crate) const REPLACEMENTS: &str =
        "semicolon-separated key=value pairs where key is a wildcard pattern";
    pub(crate) const MAP: &str = "key=value pairs separated by semicolons";
    pub(crate) const BUCKETS: &str = "comma-separated ascending seconds";
    pub(crate) const SIZE: &str = "bytes, or a number with K, M, G or T";
    pub(crate) const BASE64: &str = "string in standard Base64";
}

/// Parts between commas, trimmed; empty ones are kept.
pub(super) fn strings(text: &str) -> Vec<String> {
    text.split(',').map(|s| s.trim().to_owned()).collect()
}

/// Wildcard patterns. An empty one would match everything, so a stray comma must not count; nothing else is refused.
pub(super) fn patterns(text: &str) -> Result<Vec<String>, Invalid> {
    let patterns: Vec<String> = strings(text)
        .into_iter()
        .filter(|s| !s.is_empty())
        .collect();
    if patterns.is_empty() {
        return Err(Invalid::value("has no pattern"));
    }
    Ok(patterns)
}

/// The lines of a file, trimmed, without blank lines and those that begin with `#`.
pub(super) fn lines(path: &str) -> Result<Vec<String>, Invalid> {
    let text = std::fs::read_to_string(path)
        .map_err(|e| Invalid::parse(format!("can't read file {path}: {e}")))?;
    Ok(text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect())
}

/// Names of formats, exactly as the format table spells them.
pub(super) fn formats(text: &str) -> Result<Vec<ImageFormat>, Invalid> {
    text.split(',')
        .map(|part| image_format(part.trim()))
        .collect()
}

/// `format=quality` pairs; the later of two wins.
pub(super) fn format_qualities(text: &str) -> Result<BTreeMap<ImageFormat, u8>, Invalid> {
    text.split(',')
        .map(|pair| format_quality(pair.trim()))
        .collect()
}

fn format_quality(pair: &str) -> Result<(ImageFormat, u8), Invalid> {
    let Some((name, quality)) = pair.split_once('=') else {
        let detail = if pair.is_empty() {
            "an empty pair".to_owned()
        } else {
            format!("missing quality for format: {pair}")
        };
        return Err(Invalid::parse(detail));
    };
    let (name, quality) = (name.trim(), quality.trim());
    if name.is_empty() {
        return Err(Invalid::parse(format!("missing image format in: {pair}")));
    }
    let quality = ranged(quality, 1..=100, "")
        .map_err(|_| Invalid::parse(format!("invalid quality: {pair}")))?;
    Ok((image_format(name)?, quality))
}

fn image_format(name: &str) -> Result<ImageFormat, Invalid> {
    ImageFormat::from_name(name)
        .ok_or_else(|| Invalid::parse(format!("unknown image format: {name}")))
}

/// Hex strings. The detail names the position only: these are secrets.
pub(super) fn hex(text: &str) -> Result<Vec<Vec<u8>>, Invalid> {
    text.split(',')
        .enumerate()
        .map(|(i, part)| match hex_bytes(part.trim()) {
            // An empty key would let anybody sign.
            Some(bytes) if bytes.is_empty() => {
                Err(Invalid::value(format!("element {} is empty", i + 1)))
            }
            Some(bytes) => Ok(bytes),
            None => Err(Invalid::parse(format!(
                "element {} expected to be hex-encoded string",
                i + 1
            ))),
        })
        .collect()
}

fn hex_bytes(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u32> = text
        .chars()
        .map(|c| c.to_digit(16))
        .collect::<Option<_>>()?;
    digits
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => u8::try_from(high * 16 + low).ok(),
            _ => None,
        })
        .collect()
}

/// `pattern=replacement` pairs between semicolons; nothing is trimmed, either side may be empty, a pair may not.
pub(super) fn replacements(text: &str) -> Result<Vec<(String, String)>, Invalid> {
    text.split(';')
        .map(|pair| {
            pair.split_once('=')
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .ok_or_else(|| Invalid::parse(format!("invalid key/value: {pair}")))
        })
        .collect()
}

/// `key=value` pairs between semicolons; pairs are trimmed and empty ones skipped, either side may be empty.
pub(super) fn pairs(text: &str) -> Result<Vec<(String, String)>, Invalid> {
    text.split(';')
        .map(str::trim)
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            pair.split_once('=')
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .ok_or_else(|| Invalid::parse(format!("invalid key/value: {pair}")))
        })
        .collect()
}

/// Histogram bounds: finite, above 0, each larger than the one before.
pub(super) fn buckets(text: &str) -> Result<Vec<f64>, Invalid> {
    let bounds: Vec<f64> = text
        .split(',')
        .map(|part| types::float(part.trim()))
        .collect::<Result<_, _>>()?;
    let ascending = bounds.is_sorted_by(|a, b| a < b);
    if ascending && bounds.first().is_some_and(|first| *first > 0.0) {
        Ok(bounds)
    } else {
        Err(Invalid::value("must be above 0 and ascending"))
    }
}

/// A number of bytes. `K`, `M`, `G`, `T` and `KiB` … count in 1024, `KB` … in 1000, in any case of letters.
pub(super) fn size(text: &str) -> Result<u64, Invalid> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits).unwrap_or((text, ""));
    let unit = unit.trim_start().to_ascii_lowercase();
    let number: u64 = number
        .parse()
        .map_err(|_| Invalid::parse("not a number of bytes"))?;
    let (letter, base): (&str, u64) = if let Some(letter) = unit.strip_suffix("ib") {
        (letter, 1024)
    } else if unit.len() > 1 {
        (unit.strip_suffix('b').unwrap_or(&unit), 1000)
    } else {
        (unit.as_str(), 1024)
    };
    let power = match (letter, unit.as_str()) {
        ("", "") | ("b", "b") => 0,
        ("k", _) => 1,
        ("m", _) => 2,
        ("g", _) => 3,
        ("t", _) => 4,
        _ => return Err(Invalid::parse(format!("unknown unit {unit:?}"))),
    };
    base.checked_pow(power)
        .and_then(|factor| number.checked_mul(factor))
        .ok_or_else(|| Invalid::parse("value out of range"))
}

/// Standard padded Base64; line breaks are skipped, blanks are not.
pub(super) fn base64(text: &str) -> Result<Bytes, Invalid> {
    let compact: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
    STANDARD
        .decode(compact)
        .map(Bytes::from)
        .map_err(|e| Invalid::value(format!("not standard Base64: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ImageFormat::{Gif, Jpeg, Webp};

    #[test]
    fn string_lists() {
        assert_eq!(strings("tru, sted ,a:b"), ["tru", "sted", "a:b"]);
        assert_eq!(strings(","), ["", ""]);
        assert_eq!(patterns(" a ,b,"), Ok(vec!["a".into(), "b".into()]));
        assert!(patterns(" , ").is_err());
    }

    #[test]
    fn format_lists() {
        assert_eq!(formats(" gif , webp ,jpg"), Ok(vec![Gif, Webp, Jpeg]));
        for text in ["PNG", "tif", "heif", "pdf", "png,", ",png", "*", "all"] {
            assert!(formats(text).is_err(), "{text}");
        }
    }

    #[test]
    fn qualities() {
        let q = |text| format_qualities(text).map(|m| m.into_iter().collect::<Vec<_>>());
        assert_eq!(q("jpg=10"), Ok(vec![(Jpeg, 10)]));
        assert_eq!(q("jpeg=90, jpeg = +10 "), Ok(vec![(Jpeg, 10)]));
        for text in [
            "jpeg=101", "jpeg=0", "jpeg", "=10", "jpeg=", "foo=10", "JPEG=10", "jpeg=1.5",
            "jpeg=1,", "",
        ] {
            assert!(matches!(q(text), Err(Invalid::Parse(_))), "{text}");
        }
    }

    #[test]
    fn hex_lists() {
        assert_eq!(hex(" 00fF ,\tab\n"), Ok(vec![vec![0, 255], vec![171]]));
        for text in ["abc", "zz", "00,xyz", "c2VjcmV0Cg==", "00,", ",", "é"] {
            let error = hex(text).unwrap_err().to_string();
            assert!(error.contains("element"), "{text}: {error}");
            assert!(!error.contains("c2V") && !error.contains("xyz"), "{error}");
        }
    }

    #[test]
    fn replacement_pairs() {
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(
            replacements(" a://=b://;x=y=z;=w;v="),
            Ok(vec![
                pair(" a://", "b://"),
                pair("x", "y=z"),
                pair("", "w"),
                pair("v", "")
            ])
        );
        for text in ["a=b;", ";a=b", "a", "a=b;c"] {
            assert!(replacements(text).is_err(), "{text}");
        }
    }

    #[test]
    fn bucket_bounds() {
        assert_eq!(buckets(".5, 1,2.5"), Ok(vec![0.5, 1.0, 2.5]));
        for text in ["1,1", "2,1", "0,1", "-1", "1,", "inf", "x"] {
            assert!(buckets(text).is_err(), "{text}");
        }
    }

    #[test]
    fn byte_sizes() {
        for (text, expected) in [
            ("0", 0),
            ("2147483648", 2_147_483_648),
            ("256M", 268_435_456),
            ("1k", 1024),
            ("1 KiB", 1024),
            ("1kb", 1000),
            ("2GB", 2_000_000_000),
            ("1T", 1_099_511_627_776),
            ("5B", 5),
        ] {
            assert_eq!(size(text), Ok(expected), "{text}");
        }
        for text in [
            "",
            "M",
            "-1",
            "1.5G",
            "1X",
            "1ib",
            "1kk",
            "1bb",
            "99999999999T",
        ] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn base64_data() {
        assert_eq!(base64("aGVs\nbG8=\r\n").as_deref(), Ok(b"hello".as_slice()));
        for text in [
            "!!!",
            " aGVsbG8=",
            "aGVsbG8",
            "data:image/png;base64,aGVsbG8=",
            "_-8=",
        ] {
            assert!(base64(text).is_err(), "{text}");
        }
    }
}
