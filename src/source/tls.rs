//! TLS towards sources: the roots that count, or no verification at all where the operator says so.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::config::SourceConfig;

/// The configuration towards sources, which may do without verification: `IGNORE_SSL_VERIFICATION`.
///
/// # Errors
///
/// The TLS library refuses its own defaults.
pub(super) fn client_config(config: &SourceConfig) -> Result<ClientConfig, rustls::Error> {
    if !config.ignore_ssl_verification {
        return verified(config);
    }
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    Ok(with_protocols(config))
}

/// The configuration towards everything else: `SSL_CERT_FILE` and `SSL_CERT_DIR`, or the system's roots, always count.
///
/// A system without any roots is no error: plain http works on it, and https fails connection by connection.
///
/// # Errors
///
/// The TLS library refuses its own defaults.
pub fn verified(config: &SourceConfig) -> Result<ClientConfig, rustls::Error> {
    let mut roots = RootCertStore::empty();
    let (added, ignored) = roots.add_parsable_certificates(certificates(config));
    tracing::debug!(added, ignored, "root certificates are loaded");
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(with_protocols(config))
}

fn certificates(config: &SourceConfig) -> Vec<CertificateDer<'static>> {
    if config.ssl_cert_file.is_none() && config.ssl_cert_dirs.is_empty() {
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!(%error, "could not load a root certificate");
        }
        return found.certs;
    }
    let file = config.ssl_cert_file.iter().cloned();
    let files = config.ssl_cert_dirs.iter().flat_map(|dir| files_in(dir));
    file.chain(files).flat_map(|path| read(&path)).collect()
}

fn files_in(folder: &Path) -> Vec<PathBuf> {
    match std::fs::read_dir(folder) {
        Ok(entries) => entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.is_file())
            .collect(),
        Err(error) => {
            tracing::warn!(%error, folder = %folder.display(), "could not read a folder of root certificates");
            Vec::new()
        }
    }
}

/// The certificates of a PEM file; what else stands in it does not count.
fn read(path: &Path) -> Vec<CertificateDer<'static>> {
    let read = || -> Result<Vec<_>, pem::Error> { CertificateDer::pem_file_iter(path)?.collect() };
    read().unwrap_or_else(|error| {
        tracing::warn!(%error, file = %path.display(), "could not load root certificates");
        Vec::new()
    })
}

/// The client negotiates only what a ready-made configuration offers.
fn with_protocols(mut config: ClientConfig) -> ClientConfig {
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}

/// `IGNORE_SSL_VERIFICATION`: every certificate will do, but the handshake still has to be signed by its key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
