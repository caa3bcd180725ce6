//! https sources with certificates made here.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;

use ::http::{Response, Version};
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::files::Directory;
use super::*;

/// An https origin that speaks the protocols of `alpn`, with its authority's certificate in a folder.
struct TlsOrigin {
    address: SocketAddr,
    authority: Directory,
    versions: Arc<Mutex<Vec<Version>>>,
}

impl TlsOrigin {
    async fn start(name: &str, alpn: &[&[u8]]) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let authority = Directory::new();
        authority.write("roots/ours.pem", issuer.pem().as_bytes());
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new([name.to_owned()])
            .unwrap()
            .signed_by(&key, &issuer)
            .unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let versions = Arc::new(Mutex::new(Vec::new()));
        tokio::spawn(serve(
            listener,
            TlsAcceptor::from(Arc::new(config)),
            Arc::clone(&versions),
        ));
        Self {
            address,
            authority,
            versions,
        }
    }

    fn url(&self) -> String {
        format!("https://{}/a.png", self.address)
    }

    fn roots(&self) -> PathBuf {
        self.authority.path().join("roots")
    }
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, versions: Arc<Mutex<Vec<Version>>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let Ok(stream) = acceptor.accept(stream).await else {
            continue;
        };
        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let versions = Arc::clone(&versions);
        let answer = service_fn(move |request: ::http::Request<hyper::body::Incoming>| {
            versions.lock().unwrap().push(request.version());
            async { Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(png(10))))) }
        });
        tokio::spawn(async move {
            let stream = TokioIo::new(stream);
            if http2 {
                let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                    .serve_connection(stream, answer)
                    .await;
            } else {
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(stream, answer)
                    .await;
            }
        });
    }
}

#[tokio::test]
async fn certificates_have_to_lead_to_a_root() {
    let good = TlsOrigin::start("127.0.0.1", &[]).await;
    let other = TlsOrigin::start("127.0.0.1", &[]).await;
    let misnamed = TlsOrigin::start("elsewhere.example", &[]).await;
    let system = config();
    let by_file = |origin: &TlsOrigin| SourceConfig {
        ssl_cert_file: Some(origin.roots().join("ours.pem")),
        ..config()
    };
    let by_dir = |origin: &TlsOrigin| SourceConfig {
        ssl_cert_dirs: vec!["/nowhere/at/all".into(), origin.roots()],
        ..config()
    };
    let anything = SourceConfig {
        ignore_ssl_verification: true,
        ..config()
    };
    let missing = SourceConfig {
        ssl_cert_file: Some("/nowhere/at/all.pem".into()),
        ..config()
    };
    let cases = [
        ("file", &good, by_file(&good), true),
        ("folder", &good, by_dir(&good), true),
        ("another authority", &good, by_file(&other), false),
        ("the system's roots", &good, system, false),
        ("no roots", &good, missing, false),
        ("another name", &misnamed, by_file(&misnamed), false),
        ("no verification", &misnamed, anything, true),
    ];
    for (name, origin, config, accepted) in cases {
        match sources(&config).fetch(request(origin.url())).await {
            Ok(_) => assert!(accepted, "{name}"),
            Err(error) => {
                assert!(!accepted, "{name}: {error:?}");
                assert_eq!(
                    error.step(),
                    Some(crate::source::Step::Tls),
                    "{name}: {error:?}"
                );
                assert_eq!(Error::from(error).kind(), Kind::SourceUnreachable);
            }
        }
    }
}

#[tokio::test]
async fn versions_are_negotiated() {
    let cases: [(&[&[u8]], Version); 3] = [
        (&[b"h2", b"http/1.1"], Version::HTTP_2),
        (&[b"http/1.1"], Version::HTTP_11),
        (&[], Version::HTTP_11),
    ];
    for (alpn, expected) in cases {
        let origin = TlsOrigin::start("127.0.0.1", alpn).await;
        let mut config = config();
        config.ssl_cert_dirs = vec![origin.roots()];
        let sources = sources(&config);
        for _ in 0..2 {
            image(sources.fetch(request(origin.url())).await);
        }
        assert_eq!(*origin.versions.lock().unwrap(), [expected; 2]);
    }
}

#[tokio::test]
async fn tunnels_carry_tls_to_the_origin() {
    let origin = TlsOrigin::start("far.invalid", &[]).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = format!("http://{}", listener.local_addr().unwrap());
    let address = origin.address;
    let tunnel = tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(client.read_u8().await.unwrap());
        }
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        let mut server = tokio::net::TcpStream::connect(address).await.unwrap();
        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
        String::from_utf8(head).unwrap()
    });
    let mut config = config();
    config.ssl_cert_dirs = vec![origin.roots()];
    {
        let sources = through(&config, Proxies::fixed(&proxy));
        image(sources.fetch(request("https://far.invalid/a.png")).await);
    }
    let asked = tunnel.await.unwrap();
    assert!(
        asked.starts_with("CONNECT far.invalid:443 HTTP/1.1\r\n"),
        "{asked}"
    );
}
