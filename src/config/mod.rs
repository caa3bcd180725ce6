//! Configuration: one file per section, each a plain struct and the table of its variables.
//! Rule: `spec/configuration.md`.

pub mod cache;
pub mod delivery;
pub mod env;
pub mod limits;
pub mod logging;
pub mod monitoring;
pub mod processing;
pub mod server;
pub mod source;
pub mod url;
pub mod workers;

pub use self::{
    cache::CacheConfig, delivery::DeliveryConfig, limits::LimitsConfig, logging::LogConfig,
    monitoring::MonitoringConfig, processing::ProcessingConfig, server::ServerConfig,
    source::SourceConfig, url::UrlConfig, workers::WorkersConfig,
};

/// The whole configuration; components receive their section, never this.
#[derive(Clone, Debug)]
pub struct Config {
    /// Listener, timeouts, routes.
    pub server: ServerConfig,
    /// Signatures, presets, source URL rules.
    pub url: UrlConfig,
    /// Security limits.
    pub limits: LimitsConfig,
    /// Fetching sources.
    pub source: SourceConfig,
    /// Worker threads and queue.
    pub workers: WorkersConfig,
    /// Decoding, transforming, encoding.
    pub processing: ProcessingConfig,
    /// Response headers.
    pub delivery: DeliveryConfig,
    /// Result cache.
    pub cache: CacheConfig,
    /// Metrics listener.
    pub monitoring: MonitoringConfig,
    /// Log format and level.
    pub logging: LogConfig,
}
