//! One URL option as data, and the lenient argument readers of the URL grammar. Rule: `spec/options.md` section 1.
//!
//! Readers judge one argument at a time and word the refusal; which arguments belong together is each option's own
//! business. Nothing here knows an option by name, a status code or the configuration.

mod canonical;
pub mod number;

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use thiserror::Error;

use crate::color::Rgb;
use crate::format::ImageFormat;
use crate::geometry;

pub use canonical::{Canonical, Float};

/// Who may use an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody.
    Open,
    /// Only where `IMGPROXY_ALLOW_SECURITY_OPTIONS` is on.
    Security,
    /// Only where `IMGPROXY_ALLOW_BYPASS_CACHE` is on.
    BypassCache,
}

/// Heading of an option in the generated documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Sizes and positions.
    Geometry,
    /// Colours and filters.
    Effects,
    /// Format, quality and metadata.
    Output,
    /// Delivery of the response.
    Handling,
    /// Limits.
    Security,
}

/// One URL option: its names, its documentation, and the function that stores its arguments in a `T`.
#[derive(Debug)]
pub struct OptionDef<T: 'static> {
    /// Long name.
    pub name: &'static str,
    /// Short names, in order of preference.
    pub aliases: &'static [&'static str],
    /// Argument pattern, such as `resize:%type:%width`.
    pub usage: &'static str,
    /// An option segment that parses with the default configuration (for `Access::Security` and `Access::BypassCache`: where allowed).
    pub example: &'static str,
    /// Heading in the documentation.
    pub group: Group,
    /// One line, no full stop.
    pub summary: &'static str,
    /// Markdown: meaning, units, ranges, defaults.
    pub docs: &'static str,
    /// Who may use it.
    pub access: Access,
    /// Validates and stores; no I/O, no clock.
    pub apply: fn(&mut T, &Args<'_>) -> Result<(), ArgError>,
}

/// The arguments of one option segment, as written.
#[derive(Clone, Copy, Debug)]
pub struct Args<'a> {
    values: &'a [&'a str],
}

impl<'a> Args<'a> {
    /// The arguments after an option's name; an argument may be the empty text.
    pub fn new(values: &'a [&'a str]) -> Self {
        Self { values }
    }

    /// The arguments as written.
    pub fn values(&self) -> &'a [&'a str] {
        self.values
    }

    /// How many arguments there are, empty ones included.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is no argument at all.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The argument at `index`; a missing one reads as the empty text. `key` is its storage key.
    pub fn at(&self, index: usize, key: &'static str) -> Arg<'a> {
        let value = self.values.get(index).copied().unwrap_or_default();
        Arg { key, value }
    }

    /// The argument at `index` where it is present and not empty.
    pub fn given(&self, index: usize, key: &'static str) -> Option<Arg<'a>> {
        Some(self.at(index, key)).filter(|arg| !arg.value.is_empty())
    }

    /// The arguments from `index` on.
    #[must_use]
    pub fn tail(&self, index: usize) -> Self {
        Self {
            values: self.values.get(index..).unwrap_or_default(),
        }
    }

    /// The only argument.
    ///
    /// # Errors
    /// Where there are none or several.
    pub fn single(&self, key: &'static str) -> Result<Arg<'a>, ArgError> {
        match self.values {
            [value] => Ok(Arg { key, value }),
            _ => Err(self.error(key)),
        }
    }

    /// Checks the number of arguments.
    ///
    /// # Errors
    /// Where there are more than `count`.
    pub fn at_most(&self, count: usize, key: &'static str) -> Result<(), ArgError> {
        if self.len() > count {
            return Err(self.error(key));
        }
        Ok(())
    }

    /// The refusal of these arguments as a whole.
    pub fn error(&self, key: &str) -> ArgError {
        ArgError::Arguments {
            key: key.to_owned(),
            args: self.values.join(" "),
        }
    }
}

/// One argument with the storage key that refusals name.
#[derive(Clone, Copy, Debug)]
pub struct Arg<'a> {
    key: &'static str,
    value: &'a str,
}

impl<'a> Arg<'a> {
    /// The text as written.
    pub fn text(self) -> &'a str {
        self.value
    }

    /// A switch. Anything that is no boolean reads as false and is logged: clients depend on that leniency.
    pub fn bool(self) -> bool {
        boolean(self.value).unwrap_or_else(|| {
            tracing::warn!(
                option = self.key,
                value = self.value,
                "not a boolean, treated as false"
            );
            false
        })
    }

    /// Any 64-bit integer.
    ///
    /// # Errors
    /// Anything else.
    pub fn int(self) -> Result<i64, ArgError> {
        number::int(self.value).ok_or_else(|| self.error("integer number"))
    }

    /// An integer of at least 0.
    ///
    /// # Errors
    /// Anything else.
    pub fn int_from_zero(self) -> Result<i64, ArgError> {
        self.checked_int(|n| n >= 0)
            .ok_or_else(|| self.error("positive number or 0"))
    }

    /// An integer of at least 1.
    ///
    /// # Errors
    /// Anything else.
    pub fn int_above_zero(self) -> Result<i64, ArgError> {
        self.checked_int(|n| n > 0)
            .ok_or_else(|| self.error("positive number"))
    }

    /// A percentage, 0–100.
    ///
    /// # Errors
    /// Anything else.
    pub fn percent(self) -> Result<u8, ArgError> {
        percent(self.value).ok_or_else(|| self.error("number in range 0-100"))
    }

    /// One channel of a colour: 0–255 in decimal digits without a sign.
    ///
    /// # Errors
    /// Anything else.
    pub fn channel(self) -> Result<u8, ArgError> {
        Some(self.value)
            .filter(|text| text.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| self.error("number in range 0-255"))
    }

    /// Any finite number.
    ///
    /// # Errors
    /// Anything else; the refusal names the argument list, as imgproxy does.
    pub fn float(self) -> Result<f64, ArgError> {
        self.checked_float(|_| true)
            .ok_or_else(|| Args::new(&[self.value]).error(self.key))
    }

    /// A finite number of at least 0.
    ///
    /// # Errors
    /// Anything else.
    pub fn float_from_zero(self) -> Result<f64, ArgError> {
        self.checked_float(|x| x >= 0.0)
            .ok_or_else(|| self.error("positive number or 0"))
    }

    /// A finite number above 0.
    ///
    /// # Errors
    /// Anything else.
    pub fn float_above_zero(self) -> Result<f64, ArgError> {
        self.checked_float(|x| x > 0.0)
            .ok_or_else(|| self.error("positive number"))
    }

    /// A number in 0–1.
    ///
    /// # Errors
    /// Anything else.
    pub fn fraction(self) -> Result<f64, ArgError> {
        self.checked_float(|x| (0.0..=1.0).contains(&x))
            .ok_or_else(|| self.error("number in range 0-1"))
    }

    /// A coordinate that `accept` allows.
    ///
    /// # Errors
    /// Anything else; the refusal says no expectation, as in imgproxy.
    pub fn coordinate(self, accept: impl Fn(f64) -> bool) -> Result<f64, ArgError> {
        self.checked_float(accept).ok_or_else(|| self.error(""))
    }

    /// Megapixels of at least 0, as whole pixels.
    ///
    /// # Errors
    /// Anything else.
    pub fn megapixels(self) -> Result<u64, ArgError> {
        let pixels = geometry::trunc(self.float_from_zero()? * 1e6);
        Ok(u64::try_from(pixels).unwrap_or_default())
    }

    /// A colour of three or six hex digits.
    ///
    /// # Errors
    /// Anything else.
    pub fn color(self) -> Result<Rgb, ArgError> {
        Rgb::from_hex(self.value).ok_or_else(|| self.error("hex-encoded color"))
    }

    /// Text in URL-safe Base64, padded or not. Bytes that are not UTF-8 become replacement characters.
    ///
    /// # Errors
    /// Anything that does not decode.
    pub fn base64(self) -> Result<String, ArgError> {
        LENIENT_BASE64
            .decode(self.value.trim_end_matches('='))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .map_err(|_| self.error("URL-safe base64-encoded string"))
    }

    /// The value whose `name` is exactly this text.
    ///
    /// # Errors
    /// Anything else; the refusal lists the names in the order of `values`.
    pub fn choice<T: Copy>(self, values: &[T], name: fn(T) -> &'static str) -> Result<T, ArgError> {
        values
            .iter()
            .copied()
            .find(|v| name(*v) == self.value)
            .ok_or_else(|| {
                let names: Vec<_> = values.iter().map(|v| name(*v)).collect();
                self.error(&names.join(", "))
            })
    }

    /// An image format by its exact name.
    ///
    /// # Errors
    /// Anything else.
    pub fn format(self) -> Result<ImageFormat, ArgError> {
        ImageFormat::from_name(self.value).ok_or_else(|| self.error("supported image format"))
    }

    /// The refusal of this value; an empty `expected` says nothing about what would have been right.
    pub fn error(self, expected: &str) -> ArgError {
        ArgError::value(self.key, self.value, expected)
    }

    fn checked_int(self, accept: impl Fn(i64) -> bool) -> Option<i64> {
        number::int(self.value).filter(|n| accept(*n))
    }

    /// Values that are not finite pass imgproxy's comparisons and fail later; here they are refused.
    fn checked_float(self, accept: impl Fn(f64) -> bool) -> Option<f64> {
        number::float(self.value).filter(|x| x.is_finite() && accept(*x))
    }
}

/// Why arguments were refused. `key` is the storage key of `spec/options.md`, not the name used in the URL.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ArgError {
    /// Wrong number of arguments, or arguments that are wrong together.
    #[error("Invalid {key} arguments: [{args}]")]
    Arguments {
        /// Storage key.
        key: String,
        /// The arguments, joined by single spaces.
        args: String,
    },
    /// One bad value.
    #[error("Invalid {key}: {value}{}", expectation(.expected))]
    Value {
        /// Storage key.
        key: String,
        /// The value as written.
        value: String,
        /// What would have been right; empty for no expectation.
        expected: String,
    },
    /// A sentence of its own.
    #[error("{0}")]
    Other(String),
}

impl ArgError {
    /// The refusal of one value.
    pub fn value(key: impl Into<String>, value: &str, expected: &str) -> Self {
        Self::Value {
            key: key.into(),
            value: value.to_owned(),
            expected: expected.to_owned(),
        }
    }
}

/// URL-safe Base64 as Go's unpadded decoder reads it: no padding, non-zero trailing bits ignored.
pub const LENIENT_BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);

/// The spellings of Go's `ParseBool`.
pub fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// A whole percentage, 0–100, in the syntax of [`number::int`].
pub fn percent(text: &str) -> Option<u8> {
    let value = u8::try_from(number::int(text)?).ok()?;
    (value <= 100).then_some(value)
}

fn expectation(expected: &str) -> String {
    if expected.is_empty() {
        String::new()
    } else {
        format!(" (expected {expected})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arg(value: &str) -> Arg<'_> {
        Arg { key: "k", value }
    }

    #[test]
    fn switches_never_fail() {
        for text in ["1", "t", "T", "TRUE", "true", "True"] {
            assert!(arg(text).bool(), "{text}");
        }
        for text in [
            "0", "f", "F", "FALSE", "false", "False", "", "yes", "tRUE", "2", " 1",
        ] {
            assert!(!arg(text).bool(), "{text}");
        }
    }

    #[test]
    fn refusals_name_key_value_and_expectation() {
        for (error, message) in [
            (
                arg("x").int().unwrap_err(),
                "Invalid k: x (expected integer number)",
            ),
            (
                arg("-1").int_from_zero().unwrap_err(),
                "Invalid k: -1 (expected positive number or 0)",
            ),
            (
                arg("0").int_above_zero().unwrap_err(),
                "Invalid k: 0 (expected positive number)",
            ),
            (
                arg("101").percent().unwrap_err(),
                "Invalid k: 101 (expected number in range 0-100)",
            ),
            (
                arg("-1").percent().unwrap_err(),
                "Invalid k: -1 (expected number in range 0-100)",
            ),
            (
                arg("+1").channel().unwrap_err(),
                "Invalid k: +1 (expected number in range 0-255)",
            ),
            (
                arg("").channel().unwrap_err(),
                "Invalid k:  (expected number in range 0-255)",
            ),
            (arg("x").float().unwrap_err(), "Invalid k arguments: [x]"),
            (
                arg("NaN").float().unwrap_err(),
                "Invalid k arguments: [NaN]",
            ),
            (
                arg("Inf").float_from_zero().unwrap_err(),
                "Invalid k: Inf (expected positive number or 0)",
            ),
            (
                arg("0").float_above_zero().unwrap_err(),
                "Invalid k: 0 (expected positive number)",
            ),
            (
                arg("1.1").fraction().unwrap_err(),
                "Invalid k: 1.1 (expected number in range 0-1)",
            ),
            (arg("a").coordinate(|_| true).unwrap_err(), "Invalid k: a"),
            (
                arg("-1").megapixels().unwrap_err(),
                "Invalid k: -1 (expected positive number or 0)",
            ),
            (
                arg("#fff").color().unwrap_err(),
                "Invalid k: #fff (expected hex-encoded color)",
            ),
            (
                arg("!!").base64().unwrap_err(),
                "Invalid k: !! (expected URL-safe base64-encoded string)",
            ),
            (
                arg("tif").format().unwrap_err(),
                "Invalid k: tif (expected supported image format)",
            ),
            (
                Args::new(&["ce", "", "", ""]).error("k"),
                "Invalid k arguments: [ce   ]",
            ),
            (
                Args::new(&["1", "2"]).single("k").unwrap_err(),
                "Invalid k arguments: [1 2]",
            ),
        ] {
            assert_eq!(error.to_string(), message);
        }
    }

    #[test]
    fn values() {
        assert_eq!(arg("0.1234567").megapixels(), Ok(123_456));
        assert_eq!(arg("1e300").megapixels(), Ok(1_000_000_000_000));
        assert_eq!(arg("YQ==").base64(), Ok("a".to_owned()));
        assert_eq!(arg("YR").base64(), Ok("a".to_owned()));
        assert_eq!(arg("007").channel(), Ok(7));
        assert_eq!(arg("+50").percent(), Ok(50));
    }
}
