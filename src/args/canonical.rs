//! Writing options back as text: long names, `:` and `/`, numbers in their shortest form.

use std::fmt::{self, Display, Write};

/// Collects option segments.
#[derive(Clone, Debug, Default)]
pub struct Canonical {
    text: String,
}

impl Canonical {
    /// Adds `name:arg:arg…`.
    pub fn option(&mut self, name: &str, args: &[&dyn Display]) {
        if !self.text.is_empty() {
            self.text.push('/');
        }
        self.text.push_str(name);
        for arg in args {
            // Writing to a `String` cannot fail.
            let _ = write!(self.text, ":{arg}");
        }
    }

    /// Adds `name:1` or `name:0` where a switch was set.
    pub fn switch(&mut self, name: &str, value: Option<bool>) {
        if let Some(value) = value {
            self.option(name, &[&u8::from(value)]);
        }
    }

    /// The text.
    pub fn finish(self) -> String {
        self.text
    }
}

/// A number as the shortest text that reads back as the same number; negative zero is written as zero.
#[derive(Clone, Copy, Debug)]
pub struct Float(pub f64);

impl Display for Float {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let magnitude = self.0.abs();
        if magnitude == 0.0 {
            f.write_str("0")
        } else if (1e-6..1e16).contains(&magnitude) {
            write!(f, "{}", self.0)
        } else {
            write!(f, "{:e}", self.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_short_and_read_back() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1"),
            (-2.5, "-2.5"),
            (0.1, "0.1"),
            (1e16, "1e16"),
            (1.5e300, "1.5e300"),
            (1e-7, "1e-7"),
        ] {
            assert_eq!(Float(value).to_string(), text);
            assert_eq!(super::super::number::float(text), Some(value));
        }
    }

    #[test]
    fn segments_are_joined() {
        let mut out = Canonical::default();
        out.option("a", &[&1, &"x"]);
        out.switch("b", Some(true));
        out.switch("c", None);
        assert_eq!(out.finish(), "a:1:x/b:1");
    }
}
