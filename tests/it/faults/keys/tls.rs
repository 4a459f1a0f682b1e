//! Servers that speak TLS in front of a simulated provider, with certificates of every kind, and a proxy before them.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// An authority of nobody's.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate, for `ca_file`.
    pub(super) pem: String,
}

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let der = base64::engine::general_purpose::STANDARD.encode(params.self_signed(&key).unwrap().der());
        let pem = format!("-----BEGIN CERTIFICATE-----\n{der}\n-----END CERTIFICATE-----\n");
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A certificate for a name or an address, good from one year to another.
    pub(super) fn certify(&self, name: &str, years: (i32, i32)) -> ServerConfig {
        let (params, key) = asked_for(name, years);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        config(certificate.der().clone(), &key)
    }
}

/// A certificate that only its own key vouches for.
pub(super) fn self_signed(name: &str) -> ServerConfig {
    let (params, key) = asked_for(name, (2020, 2090));
    let certificate = params.self_signed(&key).unwrap();
    config(certificate.der().clone(), &key)
}

fn asked_for(name: &str, (from, until): (i32, i32)) -> (CertificateParams, KeyPair) {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(until, 1, 1));
    (params, KeyPair::generate().unwrap())
}

fn config(certificate: rustls::pki_types::CertificateDer<'static>, key: &KeyPair) -> ServerConfig {
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap()
}

/// A server that takes TLS off and hands the rest on.
pub(super) struct Front {
    pub(super) addr: SocketAddr,
    /// Connections on which both sides were content.
    pub(super) agreed: Arc<AtomicUsize>,
    /// Connections at all.
    pub(super) met: Arc<AtomicUsize>,
}

impl Front {
    pub(super) async fn before(upstream: SocketAddr, config: ServerConfig) -> Self {
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let (agreed, met) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (count, seen) = (Arc::clone(&agreed), Arc::clone(&met));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                seen.fetch_add(1, Ordering::SeqCst);
                let (acceptor, count) = (acceptor.clone(), Arc::clone(&count));
                tokio::spawn(async move {
                    let Ok(mut client) = acceptor.accept(client).await else { return };
                    // A client that is not content says so only after the server is.
                    let mut first = [0; 1];
                    if client.read_exact(&mut first).await.is_err() {
                        return;
                    }
                    count.fetch_add(1, Ordering::SeqCst);
                    let Ok(mut server) = TcpStream::connect(upstream).await else { return };
                    if server.write_all(&first).await.is_ok() {
                        drop(copy_bidirectional(&mut client, &mut server).await);
                    }
                });
            }
        });
        Self { addr, agreed, met }
    }
}

/// A server that knows TLS 1.0 and nothing newer.
pub(super) async fn of_the_nineties() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut hello = [0; 2048];
                if client.read(&mut hello).await.is_err() {
                    return;
                }
                // A ServerHello: version 1.0, no session, RSA with AES-128 and SHA-1.
                let mut body = vec![3, 1];
                body.extend([7; 32]);
                body.extend([0, 0, 0x2f, 0]);
                let length = u8::try_from(body.len()).unwrap();
                let mut record = vec![22, 3, 1, 0, length + 4, 2, 0, 0, length];
                record.extend(body);
                drop(client.write_all(&record).await);
                drop(client.read(&mut hello).await);
            });
        }
    });
    addr
}

/// A proxy that opens tunnels, all of them to one place, and what it was asked.
pub(super) struct Tunnels {
    pub(super) addr: SocketAddr,
    pub(super) heads: Arc<Mutex<Vec<String>>>,
}

impl Tunnels {
    pub(super) async fn to(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let heads: Arc<Mutex<Vec<String>>> = Arc::default();
        let told = Arc::clone(&heads);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let told = Arc::clone(&told);
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        let Ok(byte) = client.read_u8().await else { return };
                        head.push(byte);
                    }
                    told.lock().unwrap().push(String::from_utf8_lossy(&head).into_owned());
                    let Ok(mut server) = TcpStream::connect(upstream).await else { return };
                    if client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").await.is_ok() {
                        drop(copy_bidirectional(&mut client, &mut server).await);
                    }
                });
            }
        });
        Self { addr, heads }
    }
}
