//! URL segments to typed options: defaults, presets, access rules, the source URL. Rule: `spec/url.md` sections 5 and 6.
//!
//! Checks run in imgproxy's order, because the first one that fails decides the answer: options from left to right, then
//! the source, its extension, and whether it is allowed.

use std::collections::HashSet;

use thiserror::Error;

use crate::args::{Access, ArgError, Args};
use crate::config::UrlConfig;
use crate::encode::options::FORMAT;
use crate::error::{Error, Kind};
use crate::geometry;
use crate::ops::resize::ResizingType;
use crate::url::source_url::{self, AllowedSources, Preprocessor};

use super::presets::{PresetError, Presets};
use super::table::Definition;
use super::{ClientFeatures, Options, PRESET};

/// What a path asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct ParsedRequest {
    /// Options after client hints, the preset `default`, the URL and the extension.
    pub options: Options,
    /// The source URL after replacements and base URL; allowed.
    pub source_url: String,
}

/// Turns paths into requests. Built once; holds the rules and the presets.
#[derive(Clone, Debug)]
pub struct Parser {
    separator: String,
    presets: Presets,
    only_presets: bool,
    /// Empty allows all.
    allowed_options: HashSet<String>,
    allow_security_options: bool,
    allow_bypass_cache: bool,
    base64_includes_filename: bool,
    preprocessor: Preprocessor,
    allowed_sources: AllowedSources,
}

impl Parser {
    /// Reads the presets and tries every one once. `now_unix`: seconds; a preset that has expired is refused.
    ///
    /// # Errors
    /// The first preset that is malformed or that would fail in every request.
    pub fn new(config: &UrlConfig, now_unix: i64) -> Result<Self, PresetError> {
        let separator = Some(&config.arguments_separator)
            .filter(|separator| !separator.trim().is_empty())
            .map_or(":", |separator| separator);
        let parser = Self {
            separator: separator.to_owned(),
            presets: Presets::read(&config.presets, separator)?,
            only_presets: config.only_presets,
            allowed_options: config.allowed_processing_options.iter().cloned().collect(),
            allow_security_options: config.allow_security_options,
            allow_bypass_cache: config.allow_bypass_cache,
            base64_includes_filename: config.base64_url_includes_filename,
            preprocessor: Preprocessor::new(config),
            allowed_sources: AllowedSources::new(config),
        };
        for name in parser.presets.names() {
            let mut trial = Scope::new(Options::default(), now_unix);
            parser
                .apply_preset(&mut trial, name)
                .map_err(|error| PresetError::Option {
                    name: name.to_owned(),
                    message: error.to_string(),
                })?;
        }
        Ok(parser)
    }

    /// Whether a source URL is among `ALLOWED_SOURCES`.
    pub fn allows_source(&self, url: &str) -> bool {
        self.allowed_sources.check(url).is_ok()
    }

    /// Parses a path whose signature was verified. `features`: client hints, `None` each where they are off or absent.
    /// `now_unix`: seconds, against which `expires` is judged.
    ///
    /// # Errors
    /// [`Kind::InvalidUrl`], [`Kind::SecurityOptionDenied`] or [`Kind::SourceNotAllowed`] with imgproxy's message.
    pub fn parse(
        &self,
        path: &str,
        features: &ClientFeatures,
        now_unix: i64,
    ) -> Result<ParsedRequest, Error> {
        if path.is_empty() || path == "/" {
            return Err(ParseError::EmptyPath(path.to_owned()).into());
        }
        let segments: Vec<&str> = path.strip_prefix('/').unwrap_or(path).split('/').collect();
        let first = segments.first().copied().unwrap_or_default();
        if !self.only_presets && ResizingType::ALL.iter().any(|kind| kind.name() == first) {
            return Err(ParseError::BasicFormat.into());
        }

        let mut scope = Scope::new(hinted(features), now_unix);
        if self.presets.find(DEFAULT_PRESET).is_some() {
            self.apply_presets(&mut scope, &[DEFAULT_PRESET])?;
        }
        let source = if self.only_presets {
            let names: Vec<&str> = first.split(&*self.separator).collect();
            self.apply_presets(&mut scope, &names)?;
            segments.get(1..).unwrap_or_default()
        } else {
            self.apply_url(&mut scope, &segments)?
        };
        self.finish(scope.options, source)
    }

    /// The source, its extension, and whether it is allowed.
    fn finish(&self, mut options: Options, source: &[&str]) -> Result<ParsedRequest, Error> {
        let source = source_url::decode(source, self.base64_includes_filename)?;
        let source_url = self.preprocessor.apply(source.url);
        if let Some(extension) = source.extension.filter(|_| !options.raw) {
            (FORMAT.apply)(&mut options.output, &Args::new(&[&extension]))
                .map_err(ParseError::from)?;
        }
        self.allowed_sources.check(&source_url)?;
        Ok(ParsedRequest {
            options,
            source_url,
        })
    }

    /// Applies the segments that are options and returns those that are the source.
    fn apply_url<'p, 's, 't>(
        &'p self,
        scope: &mut Scope<'p>,
        segments: &'s [&'t str],
    ) -> Result<&'s [&'t str], ParseError> {
        let is_option = |segment: &&&str| segment.contains(&*self.separator);
        let count = segments.iter().take_while(is_option).count();
        let (options, source) = segments.split_at_checked(count).unwrap_or_default();
        for segment in options {
            let name = segment.split(&*self.separator).next().unwrap_or_default();
            // Literal names: allowing `w` does not allow `width`. Presets are exempt.
            if !self.allowed_options.is_empty() && !self.allowed_options.contains(name) {
                return Err(ParseError::Forbidden(name.to_owned()));
            }
            self.apply_segment(scope, segment)?;
        }
        Ok(source)
    }

    /// Applies one `name:arg…`, from a URL or a preset.
    fn apply_segment<'p>(&'p self, scope: &mut Scope<'p>, segment: &str) -> Result<(), ParseError> {
        let parts: Vec<&str> = segment.split(&*self.separator).collect();
        let (name, values) = parts.split_first().unwrap_or((&"", &[]));
        let definition =
            Definition::find(name).ok_or_else(|| ParseError::Unknown((*name).to_owned()))?;
        match definition.access() {
            Access::Security if !self.allow_security_options => {
                return Err(ParseError::SecurityDenied);
            }
            // imgproxy 4.0 does not know the option.
            Access::BypassCache if !self.allow_bypass_cache => {
                return Err(ParseError::Unknown((*name).to_owned()));
            }
            _ => {}
        }
        match definition {
            Definition::Request(def) if def.name == PRESET.name => {
                self.apply_presets(scope, values)
            }
            Definition::Delivery(_) => {
                definition.apply(&mut scope.options, &Args::new(values))?;
                scope.check_expiry()
            }
            _ => Ok(definition.apply(&mut scope.options, &Args::new(values))?),
        }
    }

    /// `preset:name:name…`.
    fn apply_presets<'p>(
        &'p self,
        scope: &mut Scope<'p>,
        names: &[&str],
    ) -> Result<(), ParseError> {
        (PRESET.apply)(&mut scope.options, &Args::new(names))?;
        names
            .iter()
            .try_for_each(|name| self.apply_preset(scope, name))
    }

    /// Applies the segments of one preset. One that is being applied already is skipped, so that nesting ends.
    fn apply_preset<'p>(&'p self, scope: &mut Scope<'p>, name: &str) -> Result<(), ParseError> {
        let (name, preset) = self
            .presets
            .find(name)
            .ok_or_else(|| ParseError::UnknownPreset(name.to_owned()))?;
        if scope.nesting.contains(&name) {
            tracing::warn!(preset = name, "recursive preset usage is detected");
            return Ok(());
        }
        scope.nesting.push(name);
        for segment in &preset.segments {
            self.apply_segment(scope, segment)?;
        }
        scope.nesting.pop();
        Ok(())
    }
}

/// The state of one walk over options.
struct Scope<'p> {
    options: Options,
    now_unix: i64,
    /// Names of the presets that are being applied, outermost first.
    nesting: Vec<&'p str>,
}

impl Scope<'_> {
    fn new(options: Options, now_unix: i64) -> Self {
        Self {
            options,
            now_unix,
            nesting: Vec::new(),
        }
    }

    /// Expiry is refused where the option stands: `exp:1/exp:0` is expired.
    fn check_expiry(&self) -> Result<(), ParseError> {
        match self.options.delivery.expires {
            Some(seconds) if seconds > 0 && seconds < self.now_unix => Err(ParseError::Expired),
            _ => Ok(()),
        }
    }
}

/// Defaults from client hints: the width hint is in physical pixels, `width` is not.
fn hinted(features: &ClientFeatures) -> Options {
    let mut options = Options::default();
    let resize = &mut options.pipeline.resize;
    if let Some(dpr) = features.dpr {
        resize.dpr = dpr;
    }
    if let Some(width) = features.width {
        resize.width = geometry::round(f64::from(width) / resize.dpr);
    }
    options
}

/// Why a path is refused.
#[derive(Debug, Error)]
enum ParseError {
    #[error("invalid path: {0}")]
    EmptyPath(String),
    #[error("It looks like you're using the deprecated basic URL format")]
    BasicFormat,
    #[error("Unknown processing option {0}")]
    Unknown(String),
    #[error("Forbidden processing option {0}")]
    Forbidden(String),
    #[error("Security processing options are not allowed")]
    SecurityDenied,
    #[error("Expired URL")]
    Expired,
    #[error("Unknown preset: {0}")]
    UnknownPreset(String),
    #[error(transparent)]
    Argument(#[from] ArgError),
}

impl From<ParseError> for Error {
    fn from(error: ParseError) -> Self {
        let kind = match error {
            ParseError::SecurityDenied => Kind::SecurityOptionDenied,
            ParseError::EmptyPath(_)
            | ParseError::BasicFormat
            | ParseError::Unknown(_)
            | ParseError::Forbidden(_)
            | ParseError::Expired
            | ParseError::UnknownPreset(_)
            | ParseError::Argument(_) => Kind::InvalidUrl,
        };
        Self::new(kind, error.to_string())
    }
}

const DEFAULT_PRESET: &str = "default";
