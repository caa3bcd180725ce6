//! Numbers in the spelling of Go's `strconv`, which URLs and variables of imgproxy follow.

/// A decimal 64-bit integer with an optional sign; leading zeros are fine, underscores and blanks are not.
pub fn int(text: &str) -> Option<i64> {
    text.parse().ok()
}

/// A number in Go's syntax: decimal or exponent form, hexadecimal with a binary exponent, underscores between digits,
/// and `inf`, `infinity`, `nan` in any case. A finite spelling that overflows is refused.
pub fn float(text: &str) -> Option<f64> {
    if let Some(special) = special(text) {
        return Some(special);
    }
    if text.contains('_') {
        return underscores_separate_digits(text)
            .then(|| finite(&text.replace('_', "")))
            .flatten();
    }
    finite(text)
}

fn special(text: &str) -> Option<f64> {
    if text.eq_ignore_ascii_case("nan") {
        return Some(f64::NAN);
    }
    let (negative, rest) = signed(text);
    let infinite = rest.eq_ignore_ascii_case("inf") || rest.eq_ignore_ascii_case("infinity");
    infinite.then_some(if negative {
        f64::NEG_INFINITY
    } else {
        f64::INFINITY
    })
}

fn finite(text: &str) -> Option<f64> {
    let (negative, rest) = signed(text);
    let value = match rest.strip_prefix("0x").or_else(|| rest.strip_prefix("0X")) {
        Some(digits) => hexadecimal(digits)?,
        // Rust reads the same decimal forms, and the words that were handled above.
        None if rest
            .bytes()
            .all(|b| matches!(b, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'))
            && !rest.starts_with(['+', '-']) =>
        {
            rest.parse().ok()?
        }
        None => return None,
    };
    value
        .is_finite()
        .then_some(if negative { -value } else { value })
}

/// `digits` is what follows `0x`. The binary exponent is required.
fn hexadecimal(digits: &str) -> Option<f64> {
    let (mantissa, exponent) = digits.split_once(['p', 'P'])?;
    let (negative, power) = signed(exponent);
    if power.is_empty() || !power.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    // Powers beyond any double saturate; the mantissa cannot outweigh them within a URL.
    let power = power.parse().unwrap_or(i32::MAX).min(MAX_POWER);
    let mut power = if negative { -power } else { power };

    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut bits: u64 = 0;
    for (digit, step) in whole
        .chars()
        .map(|c| (c, 0))
        .chain(fraction.chars().map(|c| (c, -4)))
    {
        let digit = u64::from(digit.to_digit(16)?);
        if bits >> 60 == 0 {
            bits = bits << 4 | digit;
            power += step;
        } else {
            // No room: the digit only breaks rounding ties.
            bits |= u64::from(digit != 0);
            power += step + 4;
        }
    }
    Some(scaled(bits, power))
}

/// `bits · 2^power`; the scaling itself is exact until the result leaves the range of normal numbers.
#[expect(clippy::cast_precision_loss, reason = "rounds to nearest, as Go does")]
fn scaled(bits: u64, mut power: i32) -> f64 {
    let mut value = bits as f64;
    while power != 0 && value != 0.0 && value.is_finite() {
        let step = power.clamp(-1000, 1000);
        value *= 2f64.powi(step);
        power -= step;
    }
    value
}

/// Go's rule: an underscore stands between two digits, or between the base prefix and a digit.
fn underscores_separate_digits(text: &str) -> bool {
    let (_, rest) = signed(text);
    let (mut after_digit, hex, digits) =
        match rest.strip_prefix("0x").or_else(|| rest.strip_prefix("0X")) {
            Some(digits) => (true, true, digits),
            None => (false, false, rest),
        };
    let mut after_underscore = false;
    for b in digits.bytes() {
        let digit = b.is_ascii_digit() || hex && b.is_ascii_hexdigit();
        if b == b'_' && !after_digit || after_underscore && !digit {
            return false;
        }
        after_digit = digit;
        after_underscore = b == b'_';
    }
    !after_underscore
}

fn signed(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

const MAX_POWER: i32 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers() {
        for (text, expected) in [
            ("0", Some(0)),
            ("+5", Some(5)),
            ("-5", Some(-5)),
            ("05", Some(5)),
            ("9223372036854775807", Some(i64::MAX)),
            ("9223372036854775808", None),
            ("", None),
            ("+", None),
            ("1_0", None),
            ("1.0", None),
            (" 1", None),
            ("0x1", None),
        ] {
            assert_eq!(int(text), expected, "{text:?}");
        }
    }

    #[test]
    fn floats() {
        for (text, expected) in [
            ("0", Some(0.0)),
            ("-0", Some(0.0)),
            (".5", Some(0.5)),
            ("5.", Some(5.0)),
            ("+5e-1", Some(0.5)),
            ("1E3", Some(1000.0)),
            ("1_0", Some(10.0)),
            ("1_0.2_5e1_0", Some(10.25e10)),
            ("0x1p4", Some(16.0)),
            ("0X_1P-1", Some(0.5)),
            ("-0x.8p1", Some(-1.0)),
            ("0x1.8p1", Some(3.0)),
            ("0x10000000000000000p0", Some(18_446_744_073_709_551_616.0)),
            (
                "0x1.00000000000008000000000000000001p0",
                Some(1.000_000_000_000_000_2),
            ),
            ("0x1.0000000000000800000000000000p0", Some(1.0)),
            ("0x1p-1074", Some(5e-324)),
            ("0x1p1023", Some(2f64.powi(1023))),
            ("1e-400", Some(0.0)),
            ("inf", Some(f64::INFINITY)),
            ("+Infinity", Some(f64::INFINITY)),
            ("-INF", Some(f64::NEG_INFINITY)),
            ("1e400", None),
            ("0x1p1024", None),
            ("0x1p99999999999", None),
            ("", None),
            (".", None),
            ("e5", None),
            ("1e", None),
            ("+-1", None),
            ("--1", None),
            ("0x1", None),
            ("0x.p1", None),
            ("0xp1", None),
            ("0x1p", None),
            ("0x1pa", None),
            ("0xgp1", None),
            ("_1", None),
            ("1_", None),
            ("1__0", None),
            ("1_.5", None),
            ("1._5", None),
            ("1e_5", None),
            ("+nan", None),
            ("infinit", None),
            ("1 ", None),
            ("1f", None),
        ] {
            assert_eq!(float(text), expected, "{text:?}");
        }
        assert!(float("NaN").unwrap().is_nan());
    }
}
