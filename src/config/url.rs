//! Signatures, presets, source URL rules.

use super::draft::Draft;
use super::errors::{ConfigError, Warning};
use super::lists::format::{HEX, LINES, LIST, PATTERNS, REPLACEMENTS, SEPARATED};
use super::lists::{hex, lines, patterns, replacements, strings};
use super::types::format::{BOOL, INT, STRING};
use super::types::{boolean, ranged};
use super::var::{Blank, Invalid, Scope, Var};

/// `spec/url.md` and `spec/configuration.md` sections 3.1, 3.3, 3.5.
#[derive(Clone, Default)]
pub struct UrlConfig {
    /// `KEY` and `SALT`, pairwise; empty turns signature checking off.
    pub keys: Vec<KeyPair>,
    /// `SIGNATURE_SIZE`, 1–32 bytes.
    pub signature_size: usize,
    /// `TRUSTED_SIGNATURES`.
    pub trusted_signatures: Vec<String>,
    /// `IMGFORGE_LEGACY_SIGNATURES`: a signature over the percent-decoded path counts as well.
    pub legacy_signatures: bool,
    /// `ARGUMENTS_SEPARATOR`.
    pub arguments_separator: String,
    /// `BASE_URL`; empty is none.
    pub base_url: String,
    /// `URL_REPLACEMENTS`: pattern and replacement template, in order.
    pub url_replacements: Vec<(String, String)>,
    /// `BASE64_URL_INCLUDES_FILENAME`.
    pub base64_url_includes_filename: bool,
    /// `ALLOWED_SOURCES`: patterns; empty allows all.
    pub allowed_sources: Vec<String>,
    /// `ALLOWED_PROCESSING_OPTIONS`: literal names; empty allows all.
    pub allowed_processing_options: Vec<String>,
    /// `ALLOW_SECURITY_OPTIONS`.
    pub allow_security_options: bool,
    /// `ALLOW_BYPASS_CACHE`.
    pub allow_bypass_cache: bool,
    /// `PRESETS` then the lines of `PRESETS_PATH`: definitions `name=options`.
    pub presets: Vec<String>,
    /// `ONLY_PRESETS`.
    pub only_presets: bool,
}

impl UrlConfig {
    /// Whether a request without a signature passes although there are keys.
    pub fn allows_unsigned(&self) -> bool {
        self.trusted_signatures.iter().any(|text| text == UNSIGNED)
    }
}

impl std::fmt::Debug for UrlConfig {
    // Not derived: it would show the trusted signatures.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UrlConfig")
            .field("keys", &self.keys)
            .field("presets", &self.presets)
            .field("only_presets", &self.only_presets)
            .finish_non_exhaustive()
    }
}

/// A signing key with its salt; `Debug` hides both.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyPair {
    /// HMAC key, any length above 0.
    pub key: Vec<u8>,
    /// Prefix of the signed text.
    pub salt: Vec<u8>,
}

impl std::fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyPair(…)")
    }
}

pub(super) const VARS: &[Var] = &[
    Var::new(
        "KEY",
        "",
        HEX,
        "Keys of URL signatures. Without keys signatures are not checked. An empty element is refused.",
        |d, v| hex(v).map(|keys| d.keys = keys),
    )
    .secret()
    .reloaded(),
    Var::new(
        "SALT",
        "",
        HEX,
        "Salts of URL signatures, as many as keys and in the same order.",
        |d, v| hex(v).map(|salts| d.salts = salts),
    )
    .secret()
    .reloaded(),
    Var::new(
        "KEY_PATH",
        "",
        LINES,
        "File with one key a line, in place of `KEY`. Blank lines and lines that begin with `#` do not count. Also the flag \
         `-keypath`.",
        |d, v| hex_lines(v).map(|keys| d.key_lines = Some(keys)),
    )
    .scope(Scope::Own)
    .reloaded(),
    Var::new(
        "SALT_PATH",
        "",
        LINES,
        "File with one salt a line, in place of `SALT`. Also the flag `-saltpath`.",
        |d, v| hex_lines(v).map(|salts| d.salt_lines = Some(salts)),
    )
    .scope(Scope::Own)
    .reloaded(),
    Var::new(
        "ALLOW_UNSIGNED",
        "false",
        BOOL,
        "Accept `unsafe` in place of a signature although there are keys. For a migration only: anybody can then make the \
         server work.",
        |d, v| boolean(v).map(|b| d.allow_unsigned = b),
    )
    .scope(Scope::Own)
    .reloaded(),
    Var::new(
        "LEGACY_SIGNATURES",
        "false",
        BOOL,
        "Accept signatures over the percent-decoded path too, as the first imgforge made them. What was signed is then what \
         counts: the decoded path. Each use is logged as a warning.",
        |d, v| boolean(v).map(|b| d.config.url.legacy_signatures = b),
    )
    .scope(Scope::Own)
    .reloaded(),
    Var::new(
        "SIGNATURE_SIZE",
        "32",
        INT,
        "How many bytes of the signature count, 1 to 32.",
        |d, v| ranged(v, 1..=32, "invalid size").map(|n| d.config.url.signature_size = n),
    )
    .reloaded(),
    Var::new(
        "TRUSTED_SIGNATURES",
        "",
        LIST,
        "Texts that are accepted in place of a signature.",
        |d, v| {
            let mut signatures = strings(v);
            signatures.retain(|s| !s.is_empty());
            d.config.url.trusted_signatures = signatures;
            Ok(())
        },
    )
    .secret()
    .reloaded(),
    Var::new(
        "ARGUMENTS_SEPARATOR",
        ":",
        STRING,
        "What divides the name and the arguments of an option, in URLs and in presets.",
        |d, v| {
            d.config.url.arguments_separator = v.to_owned();
            Ok(())
        },
    )
    .reloaded(),
    Var::new(
        "BASE_URL",
        "",
        STRING,
        "Put in front of every source URL.",
        |d, v| {
            d.config.url.base_url = v.to_owned();
            Ok(())
        },
    )
    .reloaded(),
    Var::new(
        "URL_REPLACEMENTS",
        "",
        REPLACEMENTS,
        "Beginnings of source URLs and what to put in their place, applied in order. `*` stands for anything but a \
         slash; `${1}` in a replacement is what the first `*` stood for.",
        |d, v| replacements(v).map(|pairs| d.config.url.url_replacements = pairs),
    )
    .reloaded(),
    Var::new(
        "BASE64_URL_INCLUDES_FILENAME",
        "false",
        BOOL,
        "The part after the last slash of a Base64 source is a file name for readers and is dropped.",
        |d, v| boolean(v).map(|b| d.config.url.base64_url_includes_filename = b),
    )
    .reloaded(),
    Var::new(
        "ALLOWED_SOURCES",
        "",
        PATTERNS,
        "What source URLs may begin with. `*` stands for anything but a slash. Not set, all are allowed. Empty elements \
         are dropped, and a list of nothing else is refused.",
        |d, v| patterns(v).map(|p| d.config.url.allowed_sources = p),
    )
    .reloaded(),
    Var::new(
        "ALLOWED_PROCESSING_OPTIONS",
        "",
        LIST,
        "Option names that URLs may use, short and long names counting separately. Not set, all are allowed.",
        |d, v| {
            d.config.url.allowed_processing_options = strings(v);
            Ok(())
        },
    )
    .reloaded(),
    Var::new(
        "ALLOW_SECURITY_OPTIONS",
        "false",
        BOOL,
        "Let URLs override limits, with options such as `max_src_resolution`.",
        |d, v| boolean(v).map(|b| d.config.url.allow_security_options = b),
    )
    .reloaded(),
    Var::new(
        "ALLOW_BYPASS_CACHE",
        "false",
        BOOL,
        "Let URLs do without the server's own caches, with the option `bypass_cache`.",
        |d, v| boolean(v).map(|b| d.config.url.allow_bypass_cache = b),
    ),
    Var::new(
        "PRESETS",
        "",
        SEPARATED,
        "Definitions `name=option/option…`, divided by `PRESETS_SEPARATOR`.",
        |d, v| {
            v.clone_into(&mut d.presets);
            Ok(())
        },
    )
    .reloaded(),
    Var::new(
        "PRESETS_SEPARATOR",
        ",",
        STRING,
        "What divides the definitions in `PRESETS`; any length, blanks count.",
        |d, v| {
            v.clone_into(&mut d.presets_separator);
            Ok(())
        },
    )
    .blank(Blank::EmptyUnset)
    .reloaded(),
    Var::new(
        "PRESETS_PATH",
        "",
        LINES,
        "File with one definition a line, added after `PRESETS`. Blank lines and lines that begin with `#` do not count.",
        |d, v| lines(v).map(|l| d.preset_lines = l),
    )
    .reloaded(),
    Var::new(
        "ONLY_PRESETS",
        "false",
        BOOL,
        "URLs name presets and nothing else.",
        |d, v| boolean(v).map(|b| d.config.url.only_presets = b),
    )
    .reloaded(),
];

/// Pairs keys with salts, and splits the presets.
pub(super) fn complete(draft: &mut Draft) {
    for (lines, values, name, path) in [
        (&mut draft.key_lines, &mut draft.keys, "KEY", "KEY_PATH"),
        (&mut draft.salt_lines, &mut draft.salts, "SALT", "SALT_PATH"),
    ] {
        if let Some(lines) = lines.take() {
            *values = lines;
            if draft.set.contains(name) {
                draft.warnings.push(Warning::Shadowed {
                    ignored: format!("IMGPROXY_{name}"),
                    used: format!("IMGFORGE_{path}"),
                });
            }
        }
    }
    let (keys, salts) = (&mut draft.keys, &mut draft.salts);
    let is_set = |name, path| draft.set.contains(name) || draft.set.contains(path);
    if keys.is_empty() && !is_set("KEY", "KEY_PATH") {
        draft.warnings.push(Warning::Note(
            "no keys defined, signature checking is disabled".to_owned(),
        ));
    }
    if salts.is_empty() && !is_set("SALT", "SALT_PATH") {
        draft.warnings.push(Warning::Note(
            "no salts defined, signature checking is disabled".to_owned(),
        ));
    }
    if keys.len() == salts.len() {
        let pairs = keys.drain(..).zip(salts.drain(..));
        draft.config.url.keys = pairs.map(|(key, salt)| KeyPair { key, salt }).collect();
    } else {
        draft.errors.push(ConfigError::Together(format!(
            "number of keys and number of salts should be equal. Keys: {}, salts: {}",
            keys.len(),
            salts.len()
        )));
    }
    if draft.allow_unsigned && !draft.config.url.keys.is_empty() {
        draft.warnings.push(Warning::Note(
            "IMGFORGE_ALLOW_UNSIGNED is on: requests need no signature".to_owned(),
        ));
        draft
            .config
            .url
            .trusted_signatures
            .push(UNSIGNED.to_owned());
    }
    // Empty elements and comments define nothing.
    let mut presets: Vec<String> = draft
        .presets
        .split(draft.presets_separator.as_str())
        .map(|preset| preset.trim().to_owned())
        .filter(|preset| !preset.is_empty() && !preset.starts_with('#'))
        .collect();
    presets.append(&mut draft.preset_lines);
    draft.config.url.presets = presets;
}

/// One hex string a line, at least one.
fn hex_lines(path: &str) -> Result<Vec<Vec<u8>>, Invalid> {
    let lines = lines(path)?;
    if lines.is_empty() {
        return Err(Invalid::value("the file is empty"));
    }
    hex(&lines.join(","))
}

/// What stands in place of a signature where none is needed.
const UNSIGNED: &str = "unsafe";
