//! TLS towards collectors: certificates as text, or the operating system's roots.

use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};

use super::TelemetryError;
use crate::config::telemetry::OpenTelemetryConfig;

/// The certificates of `OPEN_TELEMETRY_*`, checked.
#[derive(Clone, Debug, Default)]
pub(super) struct Material {
    /// PEM of the authority; TLS is on where there is one.
    pub(super) server: Option<String>,
    /// PEM of certificate and key.
    pub(super) client: Option<(String, String)>,
}

impl Material {
    /// A client pair without a server certificate is not looked at.
    pub(super) fn new(config: &OpenTelemetryConfig) -> Result<Self, TelemetryError> {
        if config.server_cert.is_empty() {
            return Ok(Self::default());
        }
        certificates(&config.server_cert).map_err(TelemetryError::ServerCert)?;
        let pair = (&config.client_cert, &config.client_key.0);
        let mut material = Self {
            server: Some(config.server_cert.clone()),
            client: None,
        };
        if !pair.0.is_empty() && !pair.1.is_empty() {
            material.client = Some((pair.0.clone(), pair.1.clone()));
            material
                .client_config(None)
                .map_err(TelemetryError::ClientPair)?;
        }
        Ok(material)
    }

    /// For HTTP; `file` is the PEM of another authority, which counts where no certificate is given as text.
    pub(super) fn client_config(&self, file: Option<&str>) -> Result<ClientConfig, String> {
        let mut roots = RootCertStore::empty();
        match self.server.as_deref().or(file) {
            Some(pem) => {
                for certificate in certificates(pem)? {
                    roots.add(certificate).map_err(|e| e.to_string())?;
                }
            }
            None => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        let builder = builder()?.with_root_certificates(roots);
        let mut config = match &self.client {
            Some((certificate, key)) => {
                let key =
                    PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|e| e.to_string())?;
                builder
                    .with_client_auth_cert(certificates(certificate)?, key)
                    .map_err(|e| e.to_string())?
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}

/// For clients of plain HTTP, whose library wants one all the same: no peer is trusted.
pub(super) fn none() -> Result<ClientConfig, String> {
    let builder = builder()?.with_root_certificates(RootCertStore::empty());
    Ok(builder.with_no_client_auth())
}

fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, String> {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let found = found.map_err(|error| error.to_string())?;
    let mut roots = RootCertStore::empty();
    let (usable, _) = roots.add_parsable_certificates(found.iter().cloned());
    if usable == 0 {
        return Err("no certificate in it".to_owned());
    }
    Ok(found)
}
