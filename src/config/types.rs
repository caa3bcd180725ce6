//! Readers of single values. Rule: `spec/configuration.md` section 1.2.
//!
//! Values are not trimmed: a trailing newline in a number is a mistake. Readers of several values are in `lists`.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use super::var::Invalid;

/// Format texts of the simple types.
pub(super) mod format {
    pub(crate) const STRING: &str = "string";
    pub(crate) const BOOL: &str = "bool";
    pub(crate) const INT: &str = "int";
    pub(crate) const FLOAT: &str = "float";
    pub(crate) const MEGA: &str = "float, multiplied by 1,000,000 internally";
    pub(crate) const SECONDS: &str = "seconds";
    pub(crate) const DATETIME: &str = "RFC3339 date-time string";
    pub(crate) const FILE: &str = "path to an existing file";
}

/// Exactly the words that stand for a truth value; `yes` and `on` are none.
pub(super) fn boolean(text: &str) -> Result<bool, Invalid> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
        _ => Err(Invalid::parse("not a truth value, use true or false")),
    }
}

/// Decimal digits with an optional sign, 64 bits.
pub(super) fn integer(text: &str) -> Result<i64, Invalid> {
    // Rust's grammar for i64 is the same: sign, digits, leading zeros.
    text.parse::<i64>().map_err(|e| {
        use std::num::IntErrorKind::{NegOverflow, PosOverflow};
        match e.kind() {
            PosOverflow | NegOverflow => Invalid::parse("value out of range"),
            _ => Invalid::parse("not a whole number"),
        }
    })
}

/// A whole number within `range`; `reason` says what is wrong with another.
pub(super) fn ranged<T: TryFrom<i64>>(
    text: &str,
    range: RangeInclusive<i64>,
    reason: &str,
) -> Result<T, Invalid> {
    let value = integer(text)?;
    if !range.contains(&value) {
        return Err(Invalid::value(reason));
    }
    T::try_from(value).map_err(|_| Invalid::value("out of range"))
}

/// A whole number that is at least 0.
pub(super) fn non_negative<T: TryFrom<i64>>(text: &str) -> Result<T, Invalid> {
    ranged(text, 0..=i64::MAX, "cannot be negative")
}

/// A whole number that is at least 1.
pub(super) fn positive<T: TryFrom<i64>>(text: &str) -> Result<T, Invalid> {
    ranged(text, 1..=i64::MAX, "cannot be zero or negative")
}

/// Whole seconds, at least 0. More than a 64-bit count of nanoseconds holds is refused.
pub(super) fn seconds(text: &str) -> Result<Duration, Invalid> {
    duration(text, 0, "cannot be negative")
}

/// Whole seconds, at least 1.
pub(super) fn positive_seconds(text: &str) -> Result<Duration, Invalid> {
    duration(text, 1, "cannot be zero or negative")
}

fn duration(text: &str, least: i64, reason: &str) -> Result<Duration, Invalid> {
    let value = integer(text)?;
    if !(-MAX_SECONDS..=MAX_SECONDS).contains(&value) {
        return Err(Invalid::parse("value out of range"));
    }
    match u64::try_from(value) {
        Ok(seconds) if value >= least => Ok(Duration::from_secs(seconds)),
        _ => Err(Invalid::value(reason)),
    }
}

/// A finite number in Go's syntax; `Inf` and `NaN` are refused.
pub(super) fn float(text: &str) -> Result<f64, Invalid> {
    let value = go_float(text)?;
    if value.is_finite() {
        Ok(value)
    } else {
        Err(Invalid::parse("not a finite number"))
    }
}

/// Millions, as a whole number of units, cut off. What is no 64-bit number comes out below zero, as in imgproxy.
pub(super) fn mega(text: &str) -> Result<i64, Invalid> {
    let units = (go_float(text)? * 1e6).trunc();
    // 2^63 itself does not fit, and is the first float above all that do.
    if !(-TWO_TO_63..TWO_TO_63).contains(&units) {
        return Ok(i64::MIN);
    }
    #[expect(clippy::cast_possible_truncation, reason = "within range, see above")]
    let units = units as i64;
    Ok(units)
}

/// One of `names`, in any case of letters; the formats of enums are built from the same list.
pub(super) fn choice<T: Copy>(text: &str, names: &[(&str, T)]) -> Result<T, Invalid> {
    let lower = text.to_lowercase();
    names
        .iter()
        .find(|(name, _)| *name == lower)
        .map(|(_, value)| *value)
        .ok_or_else(|| Invalid::parse(format!("invalid value {lower:?}")))
}

/// A path that exists and is not a folder.
pub(super) fn file(text: &str) -> Result<PathBuf, Invalid> {
    let path = PathBuf::from(text);
    match std::fs::metadata(&path) {
        Ok(m) if m.is_dir() => Err(Invalid::parse(format!(
            "{text} is a directory, expected a file"
        ))),
        Ok(_) => Ok(path),
        Err(e) => Err(Invalid::parse(format!("cannot access file {text}: {e}"))),
    }
}

/// Go's floating-point syntax: decimal or hexadecimal, `_` between digits, `Inf` and `NaN` by name.
fn go_float(text: &str) -> Result<f64, Invalid> {
    let syntax = || Invalid::parse("not a number");
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = unsigned.to_ascii_lowercase();
    let sign = if negative { -1.0 } else { 1.0 };
    match lower.as_str() {
        "inf" | "infinity" => return Ok(sign * f64::INFINITY),
        "nan" if unsigned.len() == text.len() => return Ok(f64::NAN),
        _ => {}
    }
    if !underscores_between_digits(&lower) {
        return Err(syntax());
    }
    let plain = lower.replace('_', "");
    let value = match plain.strip_prefix("0x") {
        Some(hex) => hex_float(hex).ok_or_else(syntax)?,
        // Rust's decimal syntax is Go's once names, signs and underscores are out of the way.
        None if plain.starts_with(|c: char| c.is_ascii_digit() || c == '.') => {
            plain.parse::<f64>().map_err(|_| syntax())?
        }
        None => return Err(syntax()),
    };
    if value.is_infinite() {
        return Err(Invalid::parse("value out of range"));
    }
    Ok(sign * value)
}

fn underscores_between_digits(text: &str) -> bool {
    let is_hex = text.starts_with("0x");
    let is_digit = |b: u8| b.is_ascii_digit() || (is_hex && b.is_ascii_hexdigit());
    let bytes = text.as_bytes();
    bytes.iter().enumerate().all(|(i, b)| {
        let before = i.checked_sub(1).and_then(|i| bytes.get(i)).copied();
        let after = bytes.get(i + 1).copied();
        let after_prefix = is_hex && i == 2;
        *b != b'_'
            || ((before.is_some_and(is_digit) || after_prefix) && after.is_some_and(is_digit))
    })
}

/// `digits.digitsp±exponent`; the exponent is mandatory.
fn hex_float(text: &str) -> Option<f64> {
    let (mantissa, exponent) = text.split_once('p')?;
    let digits_of_exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    if digits_of_exponent.is_empty() || !digits_of_exponent.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    // Far past the range either way, so that saturation changes nothing.
    let exponent = exponent
        .parse::<i32>()
        .unwrap_or(if exponent.starts_with('-') {
            -9999
        } else {
            9999
        });
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut value = 0.0;
    let mut weight = 1.0;
    for c in whole.chars() {
        value = value * 16.0 + f64::from(c.to_digit(16)?);
    }
    for c in fraction.chars() {
        weight /= 16.0;
        value += weight * f64::from(c.to_digit(16)?);
    }
    Some(value * 2f64.powi(exponent))
}

/// Seconds in the largest 64-bit count of nanoseconds.
const MAX_SECONDS: i64 = 9_223_372_036;

const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truth_values() {
        for text in ["1", "t", "T", "TRUE", "true", "True"] {
            assert_eq!(boolean(text), Ok(true), "{text}");
        }
        for text in ["0", "f", "F", "FALSE", "false", "False"] {
            assert_eq!(boolean(text), Ok(false), "{text}");
        }
        for text in [
            "yes", "on", "tRUE", "2", "-1", "1.0", " true", "true\n", "null",
        ] {
            assert!(boolean(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn whole_numbers() {
        for (text, expected) in [
            ("5", 5),
            ("+5", 5),
            ("-5", -5),
            ("007", 7),
            ("9223372036854775807", i64::MAX),
            ("-9223372036854775808", i64::MIN),
        ] {
            assert_eq!(integer(text), Ok(expected), "{text}");
        }
        for text in [
            "5.0",
            "1_000",
            "0x10",
            "1e3",
            "--5",
            "+-5",
            "+",
            "9223372036854775808",
            "5\n",
            " 5",
            "٣",
        ] {
            assert!(matches!(integer(text), Err(Invalid::Parse(_))), "{text:?}");
        }
        assert_eq!(
            integer("9223372036854775808"),
            Err(Invalid::parse("value out of range"))
        );
    }

    #[test]
    fn ranges() {
        assert_eq!(ranged::<u8>("100", 1..=100, "x"), Ok(100));
        assert_eq!(ranged::<u8>("0", 1..=100, "x"), Err(Invalid::value("x")));
        assert_eq!(
            non_negative::<u64>("-1"),
            Err(Invalid::value("cannot be negative"))
        );
        assert_eq!(
            positive::<usize>("0"),
            Err(Invalid::value("cannot be zero or negative"))
        );
    }

    #[test]
    fn second_counts() {
        assert_eq!(seconds("0"), Ok(Duration::ZERO));
        assert_eq!(positive_seconds("+3"), Ok(Duration::from_secs(3)));
        assert_eq!(
            positive_seconds("9223372036"),
            Ok(Duration::from_secs(9_223_372_036))
        );
        assert!(matches!(positive_seconds("0"), Err(Invalid::Value(_))));
        assert!(matches!(seconds("-1"), Err(Invalid::Value(_))));
        for text in [
            "9223372037",
            "18446744074",
            "1.5",
            "10s",
            "1m",
            " 5",
            "-9223372037",
        ] {
            assert!(matches!(seconds(text), Err(Invalid::Parse(_))), "{text}");
        }
    }

    #[test]
    fn floats() {
        for (text, expected) in [
            ("1", 1.0),
            (".5", 0.5),
            ("1.", 1.0),
            ("5e-1", 0.5),
            ("+5e-1", 0.5),
            ("-0", 0.0),
            ("1_0.2_5", 10.25),
            ("0x1p-1", 0.5),
            ("0X.8P1", 1.0),
            ("0x_1_0p0", 16.0),
            ("1e-400", 0.0),
        ] {
            assert_eq!(float(text), Ok(expected), "{text}");
        }
        for text in [
            "", ".", "e5", "1e", "0x8", "0xp1", "0x1p", "1f", "_1", "1_", "1__0", "1_.5", "1e400",
            "Inf", "-inf", "infinity", "NaN", "+nan", " 1", "1 ", "1,5", "--1", "50MP",
        ] {
            assert!(matches!(float(text), Err(Invalid::Parse(_))), "{text:?}");
        }
    }

    #[test]
    fn millions() {
        for (text, expected) in [
            ("50", 50_000_000),
            ("16.8", 16_800_000),
            ("0.00102401", 1024),
            ("1e-7", 0),
            ("-1", -1_000_000),
            ("9e12", 9_000_000_000_000_000_000),
            ("1e13", i64::MIN),
            ("NaN", i64::MIN),
            ("Inf", i64::MIN),
        ] {
            assert_eq!(mega(text), Ok(expected), "{text}");
        }
        assert!(mega("50MP").is_err());
    }

    #[test]
    fn choices() {
        let names = [("a", 1), ("b", 2)];
        assert_eq!(choice("B", &names), Ok(2));
        assert!(choice("b ", &names).is_err());
    }

    #[test]
    fn files() {
        let folder = std::env::temp_dir();
        assert!(file(&folder.to_string_lossy()).is_err());
        assert!(file(&folder.join("imgforge-no-such-file").to_string_lossy()).is_err());
        assert!(file(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).is_ok());
    }
}
