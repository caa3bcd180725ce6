//! Colours as URLs name them.

use std::fmt;

/// An opaque 8-bit sRGB colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rgb {
    /// Red, 0–255.
    pub r: u8,
    /// Green, 0–255.
    pub g: u8,
    /// Blue, 0–255.
    pub b: u8,
}

impl Rgb {
    /// The colour that transparent pixels become where a format has no alpha.
    pub const WHITE: Self = Self {
        r: 255,
        g: 255,
        b: 255,
    };

    /// The three channels as libvips wants them.
    pub fn channels(self) -> [f64; 3] {
        [f64::from(self.r), f64::from(self.g), f64::from(self.b)]
    }

    /// Whether all channels are equal.
    pub fn is_grey(self) -> bool {
        self.r == self.g && self.g == self.b
    }

    /// Exactly three or six hex digits of any case; three are doubled. Rule: `spec/options.md` section 1.1.
    pub fn from_hex(text: &str) -> Option<Self> {
        if !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let value = u32::from_str_radix(text, 16).ok()?;
        let [_, r, g, b] = match text.len() {
            6 => value.to_be_bytes(),
            3 => {
                let (r, g, b) = ((value >> 8) & 15, (value >> 4) & 15, value & 15);
                ((r * 17) << 16 | (g * 17) << 8 | (b * 17)).to_be_bytes()
            }
            _ => return None,
        };
        Some(Self { r, g, b })
    }
}

impl fmt::Display for Rgb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}{:02x}{:02x}", self.r, self.g, self.b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_forms() {
        let rgb = |r, g, b| Some(Rgb { r, g, b });
        for (text, expected) in [
            ("fff", rgb(255, 255, 255)),
            ("1a2", rgb(0x11, 0xaa, 0x22)),
            ("00FF7f", rgb(0, 255, 127)),
            ("", None),
            ("ff", None),
            ("ffff", None),
            ("#fff", None),
            ("+ff", None),
            ("ggg", None),
        ] {
            assert_eq!(Rgb::from_hex(text), expected, "{text}");
        }
    }
}
