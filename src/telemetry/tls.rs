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
    /// A client pair as text is not looked at without a server certificate; one in files is.
    pub(super) fn new(config: &OpenTelemetryConfig) -> Result<Self, TelemetryError> {
        let mut material = Self::default();
        let text = (&config.client_cert, &config.client_key.0);
        if !config.server_cert.is_empty() {
            certificates(&config.server_cert).map_err(TelemetryError::ServerCert)?;
            material.server = Some(config.server_cert.clone());
            if !text.0.is_empty() && !text.1.is_empty() {
                material.client = Some((text.0.clone(), text.1.clone()));
            }
        }
        let (certificate, key) = &config.client_files;
        if material.client.is_none() && !certificate.is_empty() {
            let read = |path: &String| {
                let pem = std::fs::read_to_string(path);
                pem.map_err(|error| TelemetryError::ClientPair(format!("{path}: {error}")))
            };
            material.client = Some((read(certificate)?, read(key)?));
        }
        if material.client.is_some() {
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
