//! The exporters of the OpenTelemetry project, built from our configuration: the process environment decides nothing.

use std::time::Duration;

use opentelemetry_otlp::{
    Compression, LogExporter, MetricExporter, SpanExporter, WithExportConfig, WithHttpConfig,
    WithTonicConfig,
};
use opentelemetry_sdk::metrics::Temporality;
use tonic::metadata::MetadataMap;
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

use super::super::TelemetryError;
use super::super::tls::Material;
use super::client::{self, Client};
use crate::config::telemetry::open_telemetry::{ExporterConfig, Protocol, Signal};

/// Where and how a signal is sent.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// For messages.
    pub(super) integration: &'static str,
    pub(super) protocol: Protocol,
    pub(super) url: String,
    /// For one export.
    pub(super) timeout: Duration,
    pub(super) headers: Vec<(String, String)>,
    pub(super) gzip: bool,
    /// PEM of an authority of the operator's.
    pub(super) authority: Option<String>,
}

/// For traces.
pub(super) fn spans(target: &Target, tls: &Material) -> Result<SpanExporter, TelemetryError> {
    let built = match target.protocol {
        Protocol::Http => target
            .http(tls, SpanExporter::builder().with_http())?
            .build(),
        Protocol::Grpc => target
            .grpc(tls, SpanExporter::builder().with_tonic())?
            .build(),
    };
    built.map_err(|error| target.failed(&error))
}

/// For metrics that count from the start.
pub(super) fn metrics(target: &Target, tls: &Material) -> Result<MetricExporter, TelemetryError> {
    with_temporality(target, tls, Temporality::Cumulative)
}

/// For metrics that count from the last export.
pub(super) fn delta_metrics(
    target: &Target,
    tls: &Material,
) -> Result<MetricExporter, TelemetryError> {
    with_temporality(target, tls, Temporality::Delta)
}

fn with_temporality(
    target: &Target,
    tls: &Material,
    temporality: Temporality,
) -> Result<MetricExporter, TelemetryError> {
    let builder = MetricExporter::builder().with_temporality(temporality);
    let built = match target.protocol {
        Protocol::Http => target.http(tls, builder.with_http())?.build(),
        Protocol::Grpc => target.grpc(tls, builder.with_tonic())?.build(),
    };
    built.map_err(|error| target.failed(&error))
}

/// For log lines.
pub(super) fn logs(target: &Target, tls: &Material) -> Result<LogExporter, TelemetryError> {
    let built = match target.protocol {
        Protocol::Http => target
            .http(tls, LogExporter::builder().with_http())?
            .build(),
        Protocol::Grpc => target
            .grpc(tls, LogExporter::builder().with_tonic())?
            .build(),
    };
    built.map_err(|error| target.failed(&error))
}

impl Target {
    /// The collector of OpenTelemetry.
    pub(super) fn new(config: &ExporterConfig, signal: Signal) -> Result<Self, TelemetryError> {
        let mut target = Self {
            integration: "OpenTelemetry",
            protocol: config.protocol.unwrap_or_default(),
            url: config.url(signal),
            timeout: config.timeout(),
            headers: config.headers.0.clone(),
            gzip: config.gzip == Some(true),
            authority: None,
        };
        if let Some(path) = &config.certificate {
            let pem = std::fs::read_to_string(path);
            target.authority =
                Some(pem.map_err(|error| target.failed(&format!("{path}: {error}")))?);
        }
        Ok(target)
    }

    fn http<B>(&self, tls: &Material, builder: B) -> Result<B, TelemetryError>
    where
        B: WithExportConfig + WithHttpConfig,
    {
        let client = tls
            .client_config(self.authority.as_deref())
            .and_then(|tls| Client::new(tls, self.timeout, &self.headers))
            .map_err(|error| self.failed(&error))?;
        let builder = builder
            .with_endpoint(&self.url)
            .with_timeout(self.timeout)
            .with_http_client(client);
        Ok(if self.gzip {
            builder.with_compression(Compression::Gzip)
        } else {
            builder
        })
    }

    fn grpc<B>(&self, tls: &Material, builder: B) -> Result<B, TelemetryError>
    where
        B: WithExportConfig + WithTonicConfig,
    {
        let headers = client::map(&self.headers).map_err(|error| self.failed(&error))?;
        let url = self.grpc_url(tls);
        let is_plain = url.starts_with("http://");
        let builder = builder
            .with_endpoint(url)
            .with_timeout(self.timeout)
            .with_metadata(MetadataMap::from_headers(headers));
        let builder = if self.gzip {
            builder.with_compression(Compression::Gzip)
        } else {
            builder
        };
        Ok(if is_plain {
            builder
        } else {
            builder.with_tls_config(self.grpc_tls(tls))
        })
    }

    fn grpc_tls(&self, tls: &Material) -> ClientTlsConfig {
        let config = match tls.server.as_ref().or(self.authority.as_ref()) {
            Some(pem) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)),
            None => ClientTlsConfig::new().with_native_roots(),
        };
        match &tls.client {
            Some((certificate, key)) => config.identity(Identity::from_pem(certificate, key)),
            None => config,
        }
    }

    /// A server certificate turns TLS on, whatever the endpoint says.
    fn grpc_url(&self, tls: &Material) -> String {
        match self.url.strip_prefix("http://") {
            Some(rest) if tls.server.is_some() => format!("https://{rest}"),
            None if !self.url.contains("://") => format!("https://{}", self.url),
            _ => self.url.clone(),
        }
    }

    fn failed(&self, reason: &impl ToString) -> TelemetryError {
        TelemetryError::Exporter {
            integration: self.integration,
            reason: reason.to_string(),
        }
    }
}
