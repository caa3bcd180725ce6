//! Signatures, presets, source URL rules.

/// `spec/url.md` and `spec/configuration.md` sections 3.1, 3.3, 3.5.
#[derive(Clone, Debug)]
pub struct UrlConfig {
    /// `KEY` and `SALT`, pairwise; empty turns signature checking off.
    pub keys: Vec<KeyPair>,
    /// `SIGNATURE_SIZE`, 1–32 bytes.
    pub signature_size: usize,
    /// `TRUSTED_SIGNATURES`.
    pub trusted_signatures: Vec<String>,
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
    /// `PRESETS` then the lines of `PRESETS_PATH`: definitions `name=options`.
    pub presets: Vec<String>,
    /// `ONLY_PRESETS`.
    pub only_presets: bool,
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
