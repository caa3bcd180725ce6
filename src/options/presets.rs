//! Named option lists: the definitions, read and checked once at start-up. Rule: `spec/options.md` section 3.
//!
//! [`super::Parser`] expands them; nothing here knows what an option does.

use std::collections::BTreeMap;

use thiserror::Error;

/// Why presets stop the start-up.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PresetError {
    /// Not exactly one `=`.
    #[error("invalid preset string: {0}")]
    Definition(String),
    /// Nothing before the `=`.
    #[error("empty preset name: {0}")]
    EmptyName(String),
    /// Nothing behind the `=`.
    #[error("empty preset value: {0}")]
    EmptyValue(String),
    /// A part of the value is no option.
    #[error("invalid preset value: {0}")]
    Value(String),
    /// An option of the preset is refused.
    #[error("error in preset `{name}`: {message}")]
    Option {
        /// The preset.
        name: String,
        /// The refusal.
        message: String,
    },
}

/// Preset definitions by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Presets {
    /// Ordered, so that of several mistakes the same one is reported every time.
    by_name: BTreeMap<String, Preset>,
}

/// One preset: its option segments, each of which contains the separator.
#[derive(Clone, Debug)]
pub(super) struct Preset {
    pub(super) segments: Vec<String>,
}

impl Presets {
    /// Reads `name=option/option…`; of two definitions with one name the later wins. Empty ones and comments are skipped.
    pub(super) fn read(definitions: &[String], separator: &str) -> Result<Self, PresetError> {
        let mut by_name = BTreeMap::new();
        for definition in definitions.iter().map(|text| text.trim()) {
            if definition.is_empty() || definition.starts_with('#') {
                continue;
            }
            let (name, preset) = Preset::read(definition, separator)?;
            by_name.insert(name, preset);
        }
        Ok(Self { by_name })
    }

    /// The preset with its own copy of the name, which lives as long as the preset.
    pub(super) fn find(&self, name: &str) -> Option<(&str, &Preset)> {
        let (name, preset) = self.by_name.get_key_value(name)?;
        Some((name, preset))
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(|name| &**name)
    }
}

impl Preset {
    fn read(definition: &str, separator: &str) -> Result<(String, Self), PresetError> {
        let text = || definition.to_owned();
        let Some((name, value)) = definition
            .split_once('=')
            .filter(|(_, value)| !value.contains('='))
        else {
            return Err(PresetError::Definition(text()));
        };
        let (name, value) = (name.trim(), value.trim());
        if name.is_empty() {
            return Err(PresetError::EmptyName(text()));
        }
        if value.is_empty() {
            return Err(PresetError::EmptyValue(text()));
        }
        let segments: Vec<String> = value.split('/').map(str::to_owned).collect();
        if !segments.iter().all(|segment| segment.contains(separator)) {
            return Err(PresetError::Value(text()));
        }
        Ok((name.to_owned(), Self { segments }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(definitions: &[&str], separator: &str) -> Result<Presets, PresetError> {
        let definitions: Vec<String> = definitions.iter().map(|d| (*d).to_owned()).collect();
        Presets::read(&definitions, separator)
    }

    #[test]
    fn definitions() {
        let presets = read(
            &["a=w:1", " b = w:2/h:3 ", "", "# x", "#a=rubbish", "a=w:4"],
            ":",
        )
        .unwrap();
        assert_eq!(presets.find("a").unwrap().1.segments, ["w:4"]);
        assert_eq!(presets.find("b").unwrap().1.segments, ["w:2", "h:3"]);
        assert_eq!(presets.names().count(), 2);
        assert_eq!(
            read(&["a=w_8"], "_").unwrap().find("a").unwrap().1.segments,
            ["w_8"]
        );
    }

    #[test]
    fn mistakes() {
        for (definition, message) in [
            ("a", "invalid preset string: a"),
            ("a=fn:x=y", "invalid preset string: a=fn:x=y"),
            ("=w:8", "empty preset name: =w:8"),
            ("a= ", "empty preset value: a="),
            ("a=/w:8", "invalid preset value: a=/w:8"),
            ("a=w:8/", "invalid preset value: a=w:8/"),
            ("a=w:8//h:8", "invalid preset value: a=w:8//h:8"),
            ("a=raw", "invalid preset value: a=raw"),
        ] {
            assert_eq!(read(&[definition], ":").unwrap_err().to_string(), message);
        }
        assert!(read(&["a=w:8"], "_").is_err());
    }
}
