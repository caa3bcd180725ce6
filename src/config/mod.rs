//! Configuration: one file per section, each a plain struct and the table of its variables.
//! Rule: `spec/configuration.md`.

pub mod access;
pub mod admin;
pub mod assets;
pub mod cache;
pub mod cookies;
pub mod datetime;
pub mod debugging;
pub mod delivery;
mod dotenv;
mod draft;
mod engine;
pub mod env;
pub mod errors;
mod given;
pub mod limits;
mod lists;
mod load;
pub mod logging;
mod machine;
mod migration;
pub mod monitoring;
mod names;
mod networks;
pub mod processing;
pub mod rate_limits;
pub mod reporting;
pub mod secrets;
pub mod server;
pub mod source;
pub mod storage;
pub mod telemetry;
mod types;
pub mod url;
pub mod var;
pub mod workers;

pub use self::assets::{AssetSource, AssetsConfig};
pub use self::env::{ArgsEnv, Env, MapEnv, ProcessEnv};
pub use self::errors::{ConfigError, ConfigErrors, Warning};
pub use self::given::Given;
pub use self::load::{SectionSettings, Setting, effective};
pub use self::var::Var;
pub use self::{
    admin::AdminConfig, cache::CacheConfig, debugging::DebuggingConfig, delivery::DeliveryConfig,
    limits::LimitsConfig, logging::LogConfig, monitoring::MonitoringConfig,
    processing::ProcessingConfig, rate_limits::RateLimitsConfig, reporting::ReportingConfig,
    server::ServerConfig, source::SourceConfig, telemetry::TelemetryConfig, url::UrlConfig,
    workers::WorkersConfig,
};

/// The whole configuration; components receive their section, never this.
///
/// `Default` of this and of the sections is the blank form that the tables fill in, not the documented defaults: those
/// are what [`Config::from_pairs`] gives for no pairs.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Listener, timeouts, routes.
    pub server: ServerConfig,
    /// Signatures, presets, source URL rules.
    pub url: UrlConfig,
    /// Security limits.
    pub limits: LimitsConfig,
    /// How often clients may ask.
    pub rate_limits: RateLimitsConfig,
    /// Fetching sources.
    pub source: SourceConfig,
    /// Worker threads and queue.
    pub workers: WorkersConfig,
    /// Decoding, transforming, encoding.
    pub processing: ProcessingConfig,
    /// Watermark and fallback image.
    pub assets: AssetsConfig,
    /// Response headers.
    pub delivery: DeliveryConfig,
    /// Caches.
    pub cache: CacheConfig,
    /// Admin listener.
    pub admin: AdminConfig,
    /// Metrics listener.
    pub monitoring: MonitoringConfig,
    /// Where traces and metrics are sent.
    pub telemetry: TelemetryConfig,
    /// Log format and level, syslog.
    pub logging: LogConfig,
    /// Which variables are set.
    pub given: Given,
    /// Memory that goes back to the system, debugging of libvips.
    pub debugging: DebuggingConfig,
    /// Error reporting.
    pub reporting: ReportingConfig,
}

impl Config {
    /// The least severe level of log lines that an integration gets; `None` where none wants any.
    pub fn exported_log_level(&self) -> Option<tracing::Level> {
        let config = &self.telemetry.open_telemetry;
        let level = config.log_level.unwrap_or(self.logging.level);
        config
            .exporter(telemetry::open_telemetry::Signal::Logs)
            .map(|_| level)
    }
}

/// The variables of one section, for documentation.
#[derive(Clone, Copy, Debug)]
pub struct Section {
    /// Heading.
    pub title: &'static str,
    /// Its variables, in the order of the documentation.
    pub vars: &'static [Var],
}

/// Every variable, by section.
pub const SECTIONS: &[Section] = &[
    section("Environment from elsewhere", secrets::VARS),
    section("Server", server::VARS),
    section("Access", access::VARS),
    section("Workers", workers::VARS),
    section("Rate limits", rate_limits::VARS),
    section("URLs, signatures, presets", url::VARS),
    section("Limits", limits::VARS),
    section("Sources", source::VARS),
    section("Object storages", storage::VARS),
    section("Processing", processing::VARS),
    section("Engine", engine::VARS),
    section("Watermark and fallback image", assets::VARS),
    section("Response headers", delivery::VARS),
    section("Cache", cache::VARS),
    section("Administration", admin::VARS),
    section("Metrics", monitoring::VARS),
    section("OpenTelemetry", telemetry::open_telemetry::VARS),
    section(
        "OpenTelemetry exporters",
        telemetry::open_telemetry::EXPORTER_VARS,
    ),
    section("Datadog", telemetry::datadog::VARS),
    section("New Relic", telemetry::new_relic::VARS),
    section("CloudWatch", telemetry::cloud_watch::VARS),
    section("Logging", logging::VARS),
    section("Names of older programs", migration::VARS),
    section("Error reporting", reporting::VARS),
    section("Memory and debugging", debugging::VARS),
];

/// Every variable.
pub fn vars() -> impl Iterator<Item = &'static Var> + Clone {
    SECTIONS.iter().flat_map(|section| section.vars)
}

/// Names that older versions read and nothing reads any more, without prefix, and why.
pub fn removed_names() -> &'static [(&'static str, &'static str)] {
    names::REMOVED
}

const fn section(title: &'static str, vars: &'static [Var]) -> Section {
    Section { title, vars }
}
