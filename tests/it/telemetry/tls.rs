//! Certificates that are given as text or as files: the collector's authority, and a client's own pair.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use super::origin;
use crate::common::{Recorder, Server};

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// PEM of a certificate for 127.0.0.1 and of its key.
    fn issue(&self) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

/// Asks every client for a certificate of `authority`.
fn server(authority: &Authority) -> ServerConfig {
    let (certificate, key) = authority.issue();
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(authority.0.pem().as_bytes()).unwrap())
        .unwrap();
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
        )
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}

/// Over gRPC a server certificate turns TLS on even for an endpoint that says otherwise; over HTTP the endpoint decides.
#[tokio::test]
async fn both_sides_show_their_certificates() {
    let (origin, authority) = (origin().await, Authority::new());
    let (certificate, key) = authority.issue();
    let in_one_line = |pem: &str| pem.replace('\n', "\\n");
    let pem = [&authority.0.pem(), &certificate, &key].map(|pem| in_one_line(pem));
    for (protocol, scheme) in [("grpc", "http"), ("http", "https")] {
        let recorder = Recorder::tls(server(&authority)).await;
        let url = format!("{scheme}://{}", recorder.addr);
        let server = Server::start(&[
            ("IMGPROXY_OPEN_TELEMETRY_ENABLE", "true"),
            ("IMGPROXY_OPEN_TELEMETRY_SERVER_CERT", &pem[0]),
            ("IMGPROXY_OPEN_TELEMETRY_CLIENT_CERT", &pem[1]),
            ("IMGPROXY_OPEN_TELEMETRY_CLIENT_KEY", &pem[2]),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &url),
        ])
        .await;
        assert_eq!(
            server.image("w:8", &origin.url("/grid.png")).await.status,
            200
        );
        server.stop().await;
        let path = if protocol == "grpc" {
            "TraceService/Export"
        } else {
            "/v1/traces"
        };
        assert_eq!(recorder.at(path).len(), 1, "{protocol}");
    }
}

/// The same with the files that OpenTelemetry's own variables name; the endpoint decides on TLS.
#[tokio::test]
async fn certificates_can_be_files() {
    let (origin, authority) = (origin().await, Authority::new());
    let (certificate, key) = authority.issue();
    let folder = std::env::temp_dir().join(format!("imgforge-otlp-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = |name: &str, pem: &str| {
        let path = folder.join(name);
        std::fs::write(&path, pem).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (roots, certificate, key) = (
        file("roots.pem", &authority.0.pem()),
        file("client.pem", &certificate),
        file("key.pem", &key),
    );
    for (protocol, path) in [
        ("grpc", "TraceService/Export"),
        ("http/protobuf", "/v1/traces"),
    ] {
        let recorder = Recorder::tls(server(&authority)).await;
        let url = format!("https://{}", recorder.addr);
        let server = Server::start(&[
            ("IMGPROXY_OPEN_TELEMETRY_ENABLE", "true"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", &roots),
            ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", &certificate),
            ("OTEL_EXPORTER_OTLP_CLIENT_KEY", &key),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &url),
        ])
        .await;
        let reply = server.image("w:8", &origin.url("/grid.png")).await;
        assert_eq!(reply.status, 200);
        server.stop().await;
        assert_eq!(recorder.at(path).len(), 1, "{protocol}");
    }
    std::fs::remove_dir_all(folder).unwrap();
}
