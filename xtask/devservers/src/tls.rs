//! HTTP over TLS, with a certificate that a test decides, and the authority that issues it.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::http::{Request, Response, serve};

/// Issues certificates. A client trusts it by its [`Authority::pem`].
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key.
pub type Certificate = Arc<CertifiedKey>;

impl Authority {
    /// A new one, which no machine trusts.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        // Two of the same name would be taken for one another.
        static MADE: AtomicUsize = AtomicUsize::new(1);
        let mut params = CertificateParams::default();
        let name = format!("authority {} of a test", MADE.fetch_add(1, Ordering::SeqCst));
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Its certificate.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for this name.
    pub fn issue(&self, name: &str) -> Certificate {
        self.signed(CertificateParams::new([name.to_owned()]).unwrap())
    }

    /// One that has expired.
    pub fn issue_expired(&self, name: &str) -> Certificate {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_after = date_time_ymd(2001, 1, 1);
        self.signed(params)
    }

    /// A certificate for this name and its key, in PEM, for a server that is a program of its own.
    pub fn issue_pem(&self, name: &str) -> (String, String) {
        let (certificate, key) = self.sign(CertificateParams::new([name.to_owned()]).unwrap());
        (certificate.pem(), key.serialize_pem())
    }

    fn signed(&self, params: CertificateParams) -> Certificate {
        let (certificate, key) = self.sign(params);
        let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        let provider = rustls::crypto::ring::default_provider();
        Arc::new(CertifiedKey::from_der(vec![certificate.into()], key, &provider).unwrap())
    }

    fn sign(&self, mut params: CertificateParams) -> (rcgen::Certificate, KeyPair) {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.0).unwrap(), key)
    }
}

/// A server on a free port of this machine, which lives as long as this process. Without a certificate it refuses the handshake.
pub struct TlsServer {
    pub port: u16,
    presented: Presented,
}

#[derive(Clone, Debug, Default)]
struct Presented(Arc<Mutex<Option<Certificate>>>);

impl ResolvesServerCert for Presented {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Certificate> {
        self.0.lock().unwrap().clone()
    }
}

impl TlsServer {
    /// Starts one without a certificate that answers each request by this function.
    pub fn start(answer: impl Fn(&Request) -> Response + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let presented = Presented::default();
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let config = Arc::new(config.with_cert_resolver(Arc::new(presented.clone())));
        let answer = Arc::new(answer);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(std::io::Result::ok) {
                let (config, answer) = (Arc::clone(&config), Arc::clone(&answer));
                // A client that ends the handshake is part of what is tested.
                std::thread::spawn(move || {
                    let connection = ServerConnection::new(config).unwrap();
                    serve(StreamOwned::new(connection, client), &Mutex::default(), &*answer).ok()
                });
            }
        });
        Self { port, presented }
    }

    /// Shows this certificate from now on.
    pub fn presents(&self, certificate: Certificate) {
        *self.presented.0.lock().unwrap() = Some(certificate);
    }
}
