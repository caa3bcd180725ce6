//! The exporters of the OpenTelemetry project, built from our configuration: the process environment decides nothing.

use opentelemetry_otlp::{
    Compression, LogExporter, MetricExporter, SpanExporter, WithExportConfig, WithHttpConfig,
    WithTonicConfig,
};
use opentelemetry_sdk::metrics::Temporality;
use tonic::metadata::MetadataMap;
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

use super::super::TelemetryError;
use super::client::{self, Client};
use super::tls::Material;
use crate::config::telemetry::open_telemetry::{ExporterConfig, Protocol, Signal};

/// For traces.
pub(super) fn spans(
    config: &ExporterConfig,
    tls: &Material,
) -> Result<SpanExporter, TelemetryError> {
    let parts = Parts::new(config, Signal::Traces, tls)?;
    let built = match config.protocol {
        Some(Protocol::Http) => parts.http(SpanExporter::builder().with_http())?.build(),
        _ => parts.grpc(SpanExporter::builder().with_tonic())?.build(),
    };
    built.map_err(failed)
}

/// For metrics.
pub(super) fn metrics(
    config: &ExporterConfig,
    tls: &Material,
) -> Result<MetricExporter, TelemetryError> {
    let parts = Parts::new(config, Signal::Metrics, tls)?;
    let builder = MetricExporter::builder().with_temporality(Temporality::Cumulative);
    let built = match config.protocol {
        Some(Protocol::Http) => parts.http(builder.with_http())?.build(),
        _ => parts.grpc(builder.with_tonic())?.build(),
    };
    built.map_err(failed)
}

/// For log lines.
pub(super) fn logs(config: &ExporterConfig, tls: &Material) -> Result<LogExporter, TelemetryError> {
    let parts = Parts::new(config, Signal::Logs, tls)?;
    let built = match config.protocol {
        Some(Protocol::Http) => parts.http(LogExporter::builder().with_http())?.build(),
        _ => parts.grpc(LogExporter::builder().with_tonic())?.build(),
    };
    built.map_err(failed)
}

struct Parts<'a> {
    config: &'a ExporterConfig,
    tls: &'a Material,
    /// PEM of `OTEL_EXPORTER_OTLP_CERTIFICATE`.
    authority: Option<String>,
    url: String,
}

impl<'a> Parts<'a> {
    fn new(
        config: &'a ExporterConfig,
        signal: Signal,
        tls: &'a Material,
    ) -> Result<Self, TelemetryError> {
        let read = |path: &String| {
            std::fs::read_to_string(path).map_err(|error| failed(format!("{path}: {error}")))
        };
        Ok(Self {
            config,
            tls,
            authority: config.certificate.as_ref().map(read).transpose()?,
            url: config.url(signal),
        })
    }

    fn http<B: WithExportConfig + WithHttpConfig>(&self, builder: B) -> Result<B, TelemetryError> {
        let tls = self.tls.client_config(self.authority.as_deref());
        let client = Client::new(
            tls.map_err(failed)?,
            self.config.timeout(),
            &self.config.headers.0,
        );
        let builder = builder
            .with_endpoint(&self.url)
            .with_timeout(self.config.timeout())
            .with_http_client(client.map_err(failed)?);
        Ok(if self.config.gzip == Some(true) {
            builder.with_compression(Compression::Gzip)
        } else {
            builder
        })
    }

    fn grpc<B: WithExportConfig + WithTonicConfig>(&self, builder: B) -> Result<B, TelemetryError> {
        let headers = client::map(&self.config.headers.0).map_err(failed)?;
        let builder = builder
            .with_endpoint(self.grpc_url())
            .with_timeout(self.config.timeout())
            .with_metadata(MetadataMap::from_headers(headers));
        let builder = if self.config.gzip == Some(true) {
            builder.with_compression(Compression::Gzip)
        } else {
            builder
        };
        Ok(if self.grpc_url().starts_with("http://") {
            builder
        } else {
            builder.with_tls_config(self.grpc_tls())
        })
    }

    fn grpc_tls(&self) -> ClientTlsConfig {
        let authority = self.tls.server.as_ref().or(self.authority.as_ref());
        let config = match authority {
            Some(pem) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)),
            None => ClientTlsConfig::new().with_native_roots(),
        };
        match &self.tls.client {
            Some((certificate, key)) => config.identity(Identity::from_pem(certificate, key)),
            None => config,
        }
    }

    /// A server certificate turns TLS on, whatever the endpoint says.
    fn grpc_url(&self) -> String {
        match self.url.strip_prefix("http://") {
            Some(rest) if self.tls.server.is_some() => format!("https://{rest}"),
            None if !self.url.contains("://") => format!("https://{}", self.url),
            _ => self.url.clone(),
        }
    }
}

fn failed(reason: impl ToString) -> TelemetryError {
    TelemetryError::Exporter {
        integration: "OpenTelemetry",
        reason: reason.to_string(),
    }
}
