//! From an environment to a [`Config`]: looks every variable up, collects every mistake, then completes the sections.

use super::draft::Draft;
use super::env::{Env, Layered, MapEnv};
use super::errors::{ConfigError, ConfigErrors, Warning};
use super::names;
use super::var::{DefaultValue, Invalid, Scope, Var};
use super::{
    Config, LogConfig, ServerConfig, admin, assets, cache, delivery, logging, migration,
    monitoring, server, source, storage, telemetry, url, vars, workers,
};

impl Config {
    /// Reads the environment and the local file that it names.
    ///
    /// # Errors
    ///
    /// Every mistake there is, not only the first.
    pub fn load(env: &dyn Env) -> Result<(Self, Vec<Warning>), ConfigErrors> {
        let (env, warning) = Layered::with_local_file(env).map_err(|e| ConfigErrors(vec![e]))?;
        let mut draft = Draft::default();
        draft.warnings.extend(warning);
        workers::detect_lambda(&mut draft, &env);
        for var in vars() {
            if !workers::is_ignored(&draft, var) {
                read(var, &env, &mut draft);
            }
        }
        telemetry::keep_environment(&mut draft, &env);
        draft.warnings.extend(names::unread(&env));
        complete(&mut draft);
        storage::complete(&mut draft, &env);
        deprecations(&mut draft);
        if draft.errors.is_empty() {
            Ok((draft.config, draft.warnings))
        } else {
            Err(ConfigErrors(draft.errors))
        }
    }

    /// The configuration that these variables give, all others unset; for tests and embedding.
    ///
    /// # Errors
    ///
    /// As [`Config::load`].
    pub fn from_pairs(pairs: &[(&str, &str)]) -> Result<Self, ConfigErrors> {
        Self::load(&MapEnv::new(pairs)).map(|(config, _)| config)
    }
}

impl ServerConfig {
    /// What `imgforge health` needs. The variables of the server are parsed, their ranges are not checked, and no
    /// local file is read. Rule: `spec/configuration.md` section 8.
    ///
    /// # Errors
    ///
    /// Every variable that does not parse.
    pub fn load_for_health(env: &dyn Env) -> Result<Self, ConfigErrors> {
        let mut draft = Draft::default();
        let response = delivery::VARS
            .iter()
            .chain(assets::VARS)
            .filter(|v| HEALTH_READS.contains(&v.name));
        for var in server::VARS.iter().chain(response) {
            read(var, env, &mut draft);
        }
        draft.errors.retain(|e| {
            matches!(
                e,
                ConfigError::Variable {
                    reason: Invalid::Parse(_),
                    ..
                }
            )
        });
        server::complete(&mut draft);
        if draft.errors.is_empty() {
            Ok(draft.config.server)
        } else {
            Err(ConfigErrors(draft.errors))
        }
    }
}

impl LogConfig {
    /// How to log the mistakes of an environment that may be wrong in these variables too.
    pub fn load_leniently(env: &dyn Env) -> Self {
        let layered = Layered::with_local_file(env).map(|(layered, _)| layered);
        let env = layered.as_ref().map_or(env, |layered| layered as &dyn Env);
        let mut draft = Draft::default();
        for var in logging::VARS {
            read(var, env, &mut draft);
        }
        logging::complete(&mut draft);
        draft.config.logging
    }
}

/// One line of `imgforge config`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The name that was read, or the documented one.
    pub name: String,
    /// The value in effect, hidden where it is a secret.
    pub value: String,
    /// Whether the environment gave it.
    pub is_set: bool,
}

/// The values in effect, by section, with what [`Config::load`] warns about.
///
/// # Errors
///
/// As [`Config::load`].
pub fn effective(env: &dyn Env) -> Result<(Vec<SectionSettings>, Vec<Warning>), ConfigErrors> {
    let (config, warnings) = Config::load(env)?;
    let (env, _) = Layered::with_local_file(env).map_err(|e| ConfigErrors(vec![e]))?;
    let sections = super::SECTIONS.iter().map(|section| SectionSettings {
        title: section.title,
        settings: section
            .vars
            .iter()
            .map(|v| setting(v, &env, &config))
            .collect(),
    });
    Ok((sections.collect(), warnings))
}

/// The settings of one section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SectionSettings {
    /// Heading.
    pub title: &'static str,
    /// In the order of the documentation.
    pub settings: Vec<Setting>,
}

fn setting(var: &Var, env: &dyn Env, config: &Config) -> Setting {
    let found = candidates(var, env).into_iter().next();
    let is_set = found.is_some();
    let (name, text) = found.map_or_else(
        || {
            let (DefaultValue::Text(text) | DefaultValue::Computed(text)) = var.default;
            (var.documented_name(), text.to_owned())
        },
        |candidate| (candidate.name, candidate.value),
    );
    let value = match var.show {
        _ if var.secret && !text.is_empty() => HIDDEN.to_owned(),
        Some(show) => show(config),
        None => text,
    };
    Setting {
        name,
        value,
        is_set,
    }
}

struct Candidate {
    name: String,
    value: String,
    alias: Option<bool>,
}

/// Every name of `var` that is set, the one that counts first.
fn candidates(var: &Var, env: &dyn Env) -> Vec<Candidate> {
    let names = std::iter::once((var.name, None))
        .chain(var.aliases.iter().map(|a| (a.name, Some(a.deprecated))));
    names
        .flat_map(|(bare, alias)| {
            let prefixes = var.scope.prefixes().iter();
            prefixes.map(move |prefix| (format!("{prefix}{bare}"), alias))
        })
        .filter_map(|(name, alias)| {
            let value = env.get(&name).filter(|value| var.counts(value))?;
            Some(Candidate { name, value, alias })
        })
        .collect()
}

/// Stores the default, then the value, so that a variable may add to its default.
pub(super) fn read(var: &Var, env: &dyn Env, draft: &mut Draft) {
    if let DefaultValue::Text(text) = var.default
        && !text.is_empty()
        && let Err(invalid) = (var.apply)(draft, text)
    {
        draft
            .errors
            .push(mistake(var, &var.documented_name(), text, &invalid));
    }
    let mut found = candidates(var, env).into_iter();
    let Some(used) = found.next() else {
        return;
    };
    draft.set.insert(var.name);
    draft.config.given.note(var, &used.value);
    if let Err(invalid) = (var.apply)(draft, &used.value) {
        draft
            .errors
            .push(mistake(var, &used.name, &used.value, &invalid));
    }
    draft.warnings.extend(renamed(var, &used));
    for other in found {
        if other.alias == Some(true) {
            draft.warnings.extend(renamed(var, &other));
        }
        if other.value != used.value {
            draft.warnings.push(Warning::Shadowed {
                ignored: other.name,
                used: used.name.clone(),
            });
        }
    }
}

fn renamed(var: &Var, candidate: &Candidate) -> Option<Warning> {
    let old = candidate.name.clone();
    let new = var.documented_name();
    candidate.alias.map(|deprecated| {
        if deprecated {
            Warning::Deprecated { old, new }
        } else {
            Warning::Synonym { old, new }
        }
    })
}

fn mistake(var: &Var, name: &str, value: &str, invalid: &Invalid) -> ConfigError {
    let shown = if var.secret {
        HIDDEN.to_owned()
    } else {
        // Long enough for every honest value; a whole picture in Base64 is not shown.
        let short: String = value.chars().take(100).collect();
        let dots = if short.len() < value.len() { "…" } else { "" };
        format!("{short:?}{dots}")
    };
    let link = match var.scope {
        Scope::Own => format!("docs/configuration.md#{}", name.to_lowercase()),
        Scope::Shared | Scope::Bare => format!(
            "https://docs.imgproxy.net/configuration/options#{}",
            var.documented_name()
        ),
    };
    ConfigError::Variable {
        name: name.to_owned(),
        format: var.format,
        reason: invalid.clone(),
        shown,
        link,
    }
}

/// Everything that depends on more than one variable.
fn complete(draft: &mut Draft) {
    server::complete(draft);
    url::complete(draft);
    migration::complete(draft);
    source::complete(draft);
    workers::complete(draft);
    assets::complete(draft);
    cache::complete(draft);
    admin::complete(draft);
    logging::complete(draft);
    monitoring::complete(draft);
    telemetry::complete(draft);
}

fn deprecations(draft: &mut Draft) {
    if !draft.fail_on_deprecation {
        return;
    }
    let fatal = draft.warnings.iter().filter_map(|w| match w {
        Warning::Deprecated { old, new } => Some(ConfigError::Deprecated {
            old: old.clone(),
            new: new.clone(),
        }),
        _ => None,
    });
    draft.errors.extend(fatal);
}

/// What is shown instead of a secret.
const HIDDEN: &str = "(hidden)";

/// Variables of the response writer, which `imgforge health` parses beside those of the server.
const HEALTH_READS: [&str; 4] = [
    "TTL",
    "FALLBACK_IMAGE_TTL",
    "CACHE_CONTROL_PASSTHROUGH",
    "SET_CANONICAL_HEADER",
];

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{AssetSource, cache::CacheType, monitoring::MetricsBind, server::Network};
    use super::*;
    use crate::format::ImageFormat;

    fn load(pairs: &[(&str, &str)]) -> (Config, Vec<String>) {
        let (config, warnings) = Config::load(&MapEnv::new(pairs)).unwrap();
        (config, warnings.iter().map(ToString::to_string).collect())
    }

    fn errors(pairs: &[(&str, &str)]) -> Vec<String> {
        let errors = Config::load(&MapEnv::new(pairs)).unwrap_err();
        errors.0.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn defaults() {
        let (c, warnings) = load(&[]);
        assert_eq!(warnings.len(), 2, "no keys, no salts: {warnings:?}");
        assert_eq!(
            (c.server.network, c.server.bind.as_str()),
            (Network::Tcp, ":8080")
        );
        assert_eq!(c.server.timeout, Duration::from_secs(10));
        assert_eq!(c.server.graceful_stop_timeout, Duration::from_secs(20));
        assert_eq!(c.server.max_clients, 2048);
        assert_eq!(c.server.server_name, "imgforge");
        assert!(c.workers.workers >= 2 && c.workers.workers % 2 == 0);
        assert_eq!(c.workers.queue_size, 0);
        assert_eq!(c.url.signature_size, 32);
        assert_eq!(c.url.arguments_separator, ":");
        assert!(c.url.presets.is_empty() && c.url.keys.is_empty());
        assert!(c.url.allowed_sources.is_empty() && c.url.allowed_processing_options.is_empty());
        assert_eq!(c.limits.max_src_resolution, 50_000_000);
        assert_eq!(c.limits.max_animation_frames, 1);
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(c.source.user_agent, format!("imgforge/{version}"));
        assert_eq!(c.source.query_separator, "?");
        assert!(c.source.allow_private && !c.source.allow_loopback && !c.source.allow_link_local);
        assert_eq!(c.source.max_redirects, 10);
        let qualities: Vec<_> = c.processing.format_quality.into_iter().collect();
        assert_eq!(
            qualities,
            [
                (ImageFormat::Jxl, 77),
                (ImageFormat::Webp, 79),
                (ImageFormat::Avif, 63)
            ]
        );
        assert_eq!(c.processing.quality, 80);
        assert_eq!(c.processing.png_quantization_colors, 256);
        assert_eq!(
            (c.processing.webp_effort, c.processing.webp_preset),
            (4, "default")
        );
        assert_eq!((c.processing.avif_speed, c.processing.jxl_effort), (8, 4));
        assert_eq!(
            c.processing.preferred_formats,
            [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::Gif]
        );
        assert!(c.processing.strip_metadata && c.processing.keep_copyright);
        assert!(
            c.processing.strip_color_profile
                && c.processing.auto_rotate
                && c.processing.sanitize_svg
        );
        assert!(!c.processing.negotiation.is_on() && !c.processing.linear);
        assert!(c.delivery.use_etag && c.delivery.use_last_modified);
        assert_eq!(c.delivery.ttl, 31_536_000);
        assert_eq!(c.assets.watermark, None);
        assert_eq!(
            (c.assets.watermark_opacity, c.assets.fallback_status),
            (1.0, Some(200))
        );
        assert_eq!(
            (c.cache.results.kind, c.cache.results.memory_capacity),
            (CacheType::Off, 256 << 20)
        );
        assert_eq!(c.monitoring.bind, MetricsBind::Default);
        assert_eq!(c.monitoring.buckets_http.len(), 19);
        assert_eq!(c.logging.level, tracing::Level::INFO);
    }

    #[test]
    fn defaults_are_parsed_by_their_variables() {
        for var in vars() {
            if let DefaultValue::Text(text) = var.default
                && !text.is_empty()
            {
                let result = (var.apply)(&mut Draft::default(), text);
                assert_eq!(result, Ok(()), "{}", var.name);
            }
        }
    }

    #[test]
    fn names_are_unique_and_documented() {
        let mut seen = std::collections::BTreeSet::new();
        for var in vars() {
            assert!(seen.insert(var.name), "{}", var.name);
            for alias in var.aliases {
                assert!(seen.insert(alias.name), "{}", alias.name);
            }
            assert!(var.help.ends_with('.'), "{}", var.name);
            assert!(!var.format.is_empty(), "{}", var.name);
        }
    }

    #[test]
    fn blank_is_unset() {
        for blank in ["", " ", "\t\n", "\u{a0}"] {
            let pairs: Vec<(String, &str)> = vars()
                .filter(|v| !matches!(v.name, "SOURCE_URL_QUERY_SEPARATOR" | "PRESETS_SEPARATOR"))
                .filter(|v| v.name != "AWS_LAMBDA_FUNCTION_NAME")
                .map(|v| (v.documented_name(), blank))
                .collect();
            let pairs: Vec<(&str, &str)> = pairs.iter().map(|(k, v)| (k.as_str(), *v)).collect();
            let (sections, _) = effective(&MapEnv::new(&pairs)).unwrap();
            let mut settings = sections.iter().flat_map(|s| &s.settings);
            assert!(settings.all(|s| !s.is_set), "{sections:?}");
            assert_eq!(format!("{:?}", load(&pairs)), format!("{:?}", load(&[])));
        }
        let separator = |v| {
            load(&[("IMGPROXY_SOURCE_URL_QUERY_SEPARATOR", v)])
                .0
                .source
                .query_separator
        };
        assert_eq!((separator("").as_str(), separator(" ").as_str()), ("", " "));
    }

    #[test]
    fn every_mistake_is_reported() {
        let all = errors(&[
            ("IMGPROXY_TTL", "-1"),
            ("IMGPROXY_QUALITY", "x"),
            ("IMGFORGE_CACHE_TYPE", "tape"),
            ("IMGPROXY_KEY", "c0ffee,zz"),
            ("IMGPROXY_SECRET", "s"),
        ]);
        assert_eq!(
            all,
            [
                "invalid IMGPROXY_KEY value (format: comma-separated hex-encoded strings): parse error: element 2 \
                 expected to be hex-encoded string (got (hidden)), see \
                 https://docs.imgproxy.net/configuration/options#IMGPROXY_KEY",
                "invalid IMGPROXY_QUALITY value (format: int): parse error: not a whole number (got \"x\"), see \
                 https://docs.imgproxy.net/configuration/options#IMGPROXY_QUALITY",
                "invalid IMGPROXY_TTL value (format: int): cannot be negative (got \"-1\"), see \
                 https://docs.imgproxy.net/configuration/options#IMGPROXY_TTL",
                "invalid IMGFORGE_CACHE_TYPE value (format: off|memory|disk|hybrid): parse error: invalid value \"tape\" \
                 (got \"tape\"), see docs/configuration.md#imgforge_cache_type",
            ]
        );
    }

    #[test]
    fn single_mistakes() {
        for (name, value) in [
            ("IMGPROXY_KEY", "00"),
            ("IMGPROXY_KEY", "00,"),
            ("IMGPROXY_SIGNATURE_SIZE", "0"),
            ("IMGPROXY_SIGNATURE_SIZE", "33"),
            ("IMGPROXY_ALLOWED_SOURCES", ","),
            ("IMGPROXY_MAX_SRC_RESOLUTION", "0.0000001"),
            ("IMGPROXY_MAX_ANIMATION_FRAMES", "0"),
            ("IMGPROXY_TIMEOUT", "0"),
            ("IMGPROXY_KEEP_ALIVE_TIMEOUT", "-1"),
            ("IMGPROXY_NETWORK", "udp"),
            ("IMGPROXY_WORKERS", "0"),
            ("PORT", "abc"),
            ("IMGPROXY_PROMETHEUS_BIND", ":8080"),
            ("IMGPROXY_PROMETHEUS_BIND", "8080"),
            ("IMGPROXY_LOCAL_FILESYSTEM_ROOT", "/imgforge/none"),
            (
                "IMGPROXY_LOCAL_FILESYSTEM_ROOT",
                concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"),
            ),
            ("IMGPROXY_PRESETS_PATH", "/imgforge/none"),
            ("IMGPROXY_PRESETS_PATH", env!("CARGO_MANIFEST_DIR")),
            ("IMGPROXY_WATERMARK_PATH", "/imgforge/none"),
            ("IMGPROXY_WATERMARK_OPACITY", "0"),
            ("IMGPROXY_WATERMARK_OPACITY", "1.01"),
            ("IMGPROXY_FALLBACK_IMAGE_HTTP_CODE", "99"),
            ("IMGPROXY_FALLBACK_IMAGE_HTTP_CODE", "600"),
            ("IMGPROXY_PREFERRED_FORMATS", "svg"),
            ("IMGPROXY_ENABLE_CLIENT_HINTS", "maybe"),
            ("IMGPROXY_WEBP_PRESET", "none"),
            ("IMGFORGE_PROMETHEUS_BUCKETS_FETCH", "2,1"),
        ] {
            assert_eq!(errors(&[(name, value)]).len(), 1, "{name}={value}");
        }
    }

    #[test]
    fn secrets_are_hidden() {
        let text = errors(&[("IMGPROXY_KEY", "s3cr3t"), ("IMGPROXY_SALT", "s3cr3t")]).join("\n");
        assert!(
            text.contains("IMGPROXY_KEY") && !text.contains("s3cr3t"),
            "{text}"
        );
        let env = MapEnv::new(&[("IMGPROXY_SECRET", "s3cr3t"), ("IMGPROXY_TTL", "5")]);
        let (sections, _) = effective(&env).unwrap();
        assert!(!format!("{sections:?}").contains("s3cr3t"));
        let all: Vec<&Setting> = sections.iter().flat_map(|s| &s.settings).collect();
        let value = |name: &str| {
            all.iter()
                .find(|s| s.name == name)
                .map(|s| (s.value.as_str(), s.is_set))
        };
        assert_eq!(value("IMGPROXY_SECRET"), Some(("(hidden)", true)));
        assert_eq!(value("IMGPROXY_TTL"), Some(("5", true)));
        assert_eq!(value("IMGPROXY_QUALITY"), Some(("80", false)));
        assert_eq!(value("IMGPROXY_GRACEFUL_STOP_TIMEOUT"), Some(("20", false)));
        let config = Config::load(&env).unwrap().0;
        assert!(!format!("{config:?}").contains("s3cr3t"));
        let config =
            Config::from_pairs(&[("IMGPROXY_KEY", "00ff"), ("IMGPROXY_SALT", "11")]).unwrap();
        assert!(!format!("{:?}", config.url.keys).contains("255"));
    }

    #[test]
    fn prefixes() {
        let ttl = |pairs: &[(&str, &str)]| load(pairs).0.delivery.ttl;
        assert_eq!(ttl(&[("IMGFORGE_TTL", "5")]), 5);
        assert_eq!(ttl(&[("IMGPROXY_TTL", "6"), ("IMGFORGE_TTL", "5")]), 6);
        assert_eq!(ttl(&[("IMGPROXY_TTL", " "), ("IMGFORGE_TTL", "5")]), 5);
        let kind = |pairs: &[(&str, &str)]| load(pairs).0.cache.results.kind;
        assert_eq!(
            kind(&[("IMGPROXY_CACHE_TYPE", "memory")]),
            CacheType::Memory
        );
        assert_eq!(
            kind(&[
                ("IMGPROXY_CACHE_TYPE", "memory"),
                ("IMGFORGE_CACHE_TYPE", "off")
            ]),
            CacheType::Off
        );
        let (_, warnings) = load(&[("IMGPROXY_TTL", "6"), ("IMGFORGE_TTL", "5")]);
        assert!(
            warnings.contains(&"IMGFORGE_TTL has no effect because IMGPROXY_TTL is set".to_owned())
        );
    }

    #[test]
    fn other_names() {
        let (c, warnings) = load(&[
            ("IMGPROXY_ETAG_ENABLED", "false"),
            ("IMGPROXY_CONCURRENCY", "3"),
        ]);
        assert!(!c.delivery.use_etag);
        assert_eq!(c.workers.workers, 3);
        let text = warnings.join("\n");
        assert!(
            text.contains("IMGPROXY_ETAG_ENABLED is another name of IMGPROXY_USE_ETAG"),
            "{text}"
        );
        assert!(
            text.contains("IMGPROXY_CONCURRENCY is deprecated, use IMGPROXY_WORKERS instead"),
            "{text}"
        );
        let (c, _) = load(&[
            ("IMGPROXY_ETAG_ENABLED", "false"),
            ("IMGPROXY_USE_ETAG", "true"),
        ]);
        assert!(c.delivery.use_etag, "the documented name wins");
        let fatal = ("IMGPROXY_FAIL_ON_DEPRECATION", "true");
        assert_eq!(
            errors(&[("IMGPROXY_ENABLE_WEBP_DETECTION", "true"), fatal]),
            ["IMGPROXY_ENABLE_WEBP_DETECTION is deprecated, use IMGPROXY_AUTO_WEBP instead"]
        );
        load(&[("IMGPROXY_LAST_MODIFIED_ENABLED", "false"), fatal]);
    }

    #[test]
    fn values_that_depend_on_each_other() {
        let bind = |pairs: &[(&str, &str)]| load(pairs).0.server.bind;
        assert_eq!(bind(&[("PORT", "+0080")]), ":80");
        assert_eq!(bind(&[("PORT", "-1")]), ":8080");
        assert_eq!(bind(&[("PORT", "80"), ("IMGPROXY_BIND", ":8080")]), ":8080");
        let stop = |pairs: &[(&str, &str)]| load(pairs).0.server.graceful_stop_timeout.as_secs();
        assert_eq!(stop(&[("IMGPROXY_TIMEOUT", "7")]), 14);
        assert_eq!(stop(&[("IMGPROXY_GRACEFUL_STOP_TIMEOUT", "0")]), 0);
        let presets = |pairs: &[(&str, &str)]| load(pairs).0.url.presets;
        assert_eq!(
            presets(&[("IMGPROXY_PRESETS", " a=w:8 ,, #x,b=h:4,")]),
            ["a=w:8", "b=h:4"]
        );
        assert_eq!(
            presets(&[
                ("IMGPROXY_PRESETS", "a=w:8 b=h:4"),
                ("IMGPROXY_PRESETS_SEPARATOR", " ")
            ]),
            ["a=w:8", "b=h:4"]
        );
        let (c, _) = load(&[
            ("AWS_LAMBDA_FUNCTION_NAME", " "),
            ("IMGPROXY_WORKERS", "abc"),
            ("IMGPROXY_REQUESTS_QUEUE_SIZE", "-1"),
        ]);
        assert_eq!((c.workers.workers, c.workers.queue_size), (1, 0));
        let (c, _) = load(&[("IMGPROXY_FORMAT_QUALITY", "webp=5,jpg=6")]);
        assert_eq!(c.processing.format_quality[&ImageFormat::Webp], 5);
        assert_eq!(c.processing.format_quality[&ImageFormat::Avif], 63);
        let (c, _) = load(&[
            ("IMGPROXY_WATERMARK_URL", "http://a.example/"),
            ("IMGPROXY_WATERMARK_DATA", "aGVsbG8="),
        ]);
        assert_eq!(c.assets.watermark, Some(AssetSource::Data("hello".into())));
        let (c, _) = load(&[("IMGPROXY_KEY", "00, 01"), ("IMGPROXY_SALT", "02,03")]);
        assert_eq!(
            (&c.url.keys[1].key, &c.url.keys[1].salt),
            (&vec![1], &vec![3])
        );
    }

    #[test]
    fn keys_from_files() {
        let file = |name: &str, text: &str| {
            let path = std::env::temp_dir().join(format!("imgforge-{name}-{}", std::process::id()));
            std::fs::write(&path, text).unwrap();
            path.to_string_lossy().into_owned()
        };
        let (keys, salts) = (
            file("keys", "# old\n00ff\n\n 01 \r\n"),
            file("salts", "02\n03\n"),
        );
        let pairs = [
            ("IMGFORGE_KEY_PATH", keys.as_str()),
            ("IMGFORGE_SALT_PATH", salts.as_str()),
            ("IMGPROXY_KEY", "77"),
        ];
        let (c, warnings) = load(&pairs);
        let found: Vec<_> = c.url.keys.iter().map(|p| (&*p.key, &*p.salt)).collect();
        assert_eq!(found, [(&[0, 255][..], &[2][..]), (&[1], &[3])]);
        assert_eq!(
            warnings,
            ["IMGPROXY_KEY has no effect because IMGFORGE_KEY_PATH is set"]
        );
        std::fs::write(&keys, "s3cr3t").unwrap();
        let text = errors(&pairs[..2]).join("\n");
        assert!(
            text.contains("IMGFORGE_KEY_PATH") && !text.contains("s3cr3t"),
            "{text}"
        );
        std::fs::write(&keys, "# none").unwrap();
        assert!(errors(&pairs[..2])[0].contains("the file is empty"));
        std::fs::remove_file(keys).unwrap();
        std::fs::remove_file(salts).unwrap();
    }

    #[test]
    fn names_of_the_first_imgforge() {
        let formats = |value| {
            let pairs = [("IMGFORGE_DEFAULT_FORMAT", value)];
            load(&pairs).0.processing.preferred_formats
        };
        assert_eq!(formats("webp"), [ImageFormat::Webp]);
        assert_eq!(formats("heif"), [ImageFormat::Heic]);
        assert_eq!(formats("source").len(), 3);
        assert_eq!(errors(&[("IMGFORGE_DEFAULT_FORMAT", "svg")]).len(), 1);
        let unsigned = ("IMGFORGE_ALLOW_UNSIGNED", "true");
        let keys = [("IMGPROXY_KEY", "00"), ("IMGPROXY_SALT", "00"), unsigned];
        assert_eq!(load(&keys).0.url.trusted_signatures, ["unsafe"]);
        assert!(load(&[unsigned]).0.url.trusted_signatures.is_empty());
        for (name, value) in [
            ("IMGPROXY_PPROF_BIND", "rubbish"),
            ("IMGPROXY_MALLOC", "jemalloc"),
        ] {
            let (_, warnings) = load(&[(name, value)]);
            assert!(warnings.iter().any(|w| w.contains(name)), "{warnings:?}");
        }
        assert_eq!(load(&[("IMGPROXY_MALLOC", "malloc")]).1.len(), 2);
        assert_eq!(errors(&[("IMGPROXY_MALLOC", "mimalloc")]).len(), 1);
    }

    #[test]
    fn warnings_about_values() {
        let (c, warnings) = load(&[("IMGFORGE_CACHE_MEMORY_CAPACITY", "1000")]);
        assert_eq!(c.cache.results.memory_capacity, 256 << 20);
        assert!(
            warnings.iter().any(|w| w.contains("number of entries")),
            "{warnings:?}"
        );
        let (c, warnings) = load(&[("IMGPROXY_PREFERRED_FORMATS", "svg,png")]);
        assert_eq!(c.processing.preferred_formats, [ImageFormat::Png]);
        assert!(warnings.iter().any(|w| w.contains("svg")), "{warnings:?}");
        let (_, warnings) = load(&[("IMGPROXY_LOCAL_FILESYSTEM_ROOT", "/")]);
        assert!(
            warnings.iter().any(|w| w.contains("every file")),
            "{warnings:?}"
        );
    }

    #[test]
    fn the_health_command_reads_little() {
        let health = |pairs: &[(&str, &str)]| ServerConfig::load_for_health(&MapEnv::new(pairs));
        assert_eq!(health(&[("PORT", "81")]).unwrap().bind, ":81");
        assert!(health(&[("IMGPROXY_QUALITY", "x"), ("IMGPROXY_KEY", "zz")]).is_ok());
        assert!(health(&[("IMGPROXY_TIMEOUT", "0"), ("IMGPROXY_TTL", "-1")]).is_ok());
        for (name, value) in [
            ("IMGPROXY_TIMEOUT", "x"),
            ("IMGPROXY_TTL", "x"),
            ("PORT", "x"),
        ] {
            assert!(health(&[(name, value)]).is_err(), "{name}");
        }
    }

    #[test]
    fn logging_survives_mistakes() {
        let env = MapEnv::new(&[
            ("IMGPROXY_LOG_FORMAT", "json"),
            ("IMGPROXY_LOG_LEVEL", "loud"),
        ]);
        let logging = LogConfig::load_leniently(&env);
        assert_eq!(logging.format, logging::LogFormat::Json);
        assert_eq!(logging.level, tracing::Level::INFO);
    }
}
