use std::net::Ipv4Addr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use devservers::dns::{DnsServer, Says};
use devservers::http::Response;
use devservers::tls::{Authority as Issuer, TlsServer};

use super::*;
use crate::report::{Audience, Report, Step};
use crate::secrets::Redactor;

const HOST: &str = "media.example.org";
const GATEWAY: &str = "gateway.example.net";
const SOON: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(30);

/// The DNS, the gateway and the certificates of a public address where all is well.
struct Place {
    dns: DnsServer,
    gateway: TlsServer,
    issuer: Issuer,
    seen: Mutex<Vec<String>>,
}

impl Place {
    /// `version` is what answers at the gateway.
    fn with(version: impl Fn() -> &'static str + Send + Sync + 'static) -> Self {
        drop(rustls::crypto::ring::default_provider().install_default());
        let dns = DnsServer::start();
        dns.says(HOST, Says::Alias(GATEWAY.to_owned(), 300));
        dns.says(GATEWAY, Says::Address(Ipv4Addr::LOCALHOST));
        let gateway = gateway(version);
        let issuer = Issuer::new();
        gateway.presents(issuer.issue(HOST));
        Self { dns, gateway, issuer, seen: Mutex::default() }
    }

    fn new() -> Self {
        Self::with(|| "new")
    }

    async fn verify(&self, timeout: Duration) -> Result<Readiness, String> {
        self.verify_but(timeout, Vec::new()).await
    }

    async fn verify_but(&self, timeout: Duration, broken: Vec<String>) -> Result<Readiness, String> {
        let names = Names::of(Some(&self.dns.address.to_string())).unwrap();
        let authority = reqwest::Certificate::from_pem(self.issuer.pem().as_bytes()).unwrap();
        let network = Network { authorities: vec![authority], ..names.network() };
        let url = format!("https://{HOST}:{}", self.gateway.port);
        let address = PublicAddress::new(&url, "/ready", Some(record()), names, network, broken).unwrap();
        let report = Report::new(Audience::Plain, false, Redactor::default());
        let seen = |answer| self.seen.lock().unwrap().push(answer);
        let verified = address.verify("new", timeout, seen, &report.begin(Step::Address)).await;
        verified.map_err(|failure| format!("{:#}", failure.into_error()))
    }
}

fn gateway(version: impl Fn() -> &'static str + Send + Sync + 'static) -> TlsServer {
    TlsServer::start(move |_| {
        let body = format!(r#"{{"status":"ready","version":"{}"}}"#, version());
        Response::new(200).body("application/json", body)
    })
}

fn record() -> DnsRecord {
    DnsRecord { name: HOST.to_owned(), kind: Kind::Cname, values: [GATEWAY.to_owned()].into(), ttl: 300 }
}

#[track_caller]
fn says(verified: Result<Readiness, String>, parts: &[&str]) {
    let error = verified.unwrap_err();
    for part in parts {
        assert!(error.contains(part), "{part:?} is not in: {error}");
    }
}

#[tokio::test]
async fn a_release_that_answers_there_is_verified() {
    let place = Place::new();
    assert_eq!(place.verify(LONG).await.unwrap().version, "new");
    assert_eq!(*place.seen.lock().unwrap(), [] as [&str; 0]);
}

#[tokio::test]
async fn a_name_server_that_lags_is_waited_for() {
    let place = Place::new();
    place.dns.says(HOST, Says::Alias("old.example.net".to_owned(), 300));
    says(
        place.verify(SOON).await,
        &[
            "media.example.org should be CNAME gateway.example.net, and not every name server of its zone says so",
            "says CNAME old.example.net (resolvers keep that for 300 s)",
            "dig CNAME media.example.org @127.0.0.1",
            "DNS_SERVER=ADDRESS",
        ],
    );
    place.seen.lock().unwrap().clear();
    let (verified, ()) = tokio::join!(place.verify(LONG), async {
        while place.seen.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        place.dns.says(HOST, Says::Alias(GATEWAY.to_owned(), 300));
    });
    assert_eq!(verified.unwrap().version, "new");
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_said_with_how_long_that_is_remembered() {
    let place = Place::new();
    place.dns.says(HOST, Says::Absent(900));
    says(place.verify(SOON).await, &["says that it does not exist (resolvers remember that for 900 s)"]);
    place.dns.says(HOST, Says::Failure);
    says(place.verify(SOON).await, &["did not answer", "Server Failure"]);
}

#[tokio::test]
async fn a_name_that_does_not_resolve_here_is_said_with_how_long_that_is_remembered() {
    let place = Place::new();
    place.dns.says(GATEWAY, Says::Absent(60));
    place.dns.says("example.org", Says::Absent(900));
    says(
        place.verify(SOON).await,
        &[
            "this machine does not resolve media.example.org as its zone does",
            "for its TTL, 300 s, and that the name does not exist for 900 s",
        ],
    );
}

#[tokio::test]
async fn a_certificate_is_waited_for_and_its_fault_is_named() {
    let place = Place::new();
    place.gateway.presents(place.issuer.issue("other.example.org"));
    says(
        place.verify(SOON).await,
        &["the certificate is for another name: other.example.org", "curl --verbose https://"],
    );
    place.gateway.presents(Issuer::new().issue(HOST));
    says(place.verify(SOON).await, &["an authority that this machine does not trust (SSL_CERT_FILE"]);
    place.gateway.presents(place.issuer.issue_expired(HOST));
    says(place.verify(SOON).await, &["the certificate has expired"]);

    // None was issued yet.
    let mut place = Place::new();
    place.gateway = gateway(|| "new");
    says(place.verify(SOON).await, &["the server ended the TLS handshake", "while it has no certificate for the name"]);
    place.seen.lock().unwrap().clear();
    let (verified, ()) = tokio::join!(place.verify(LONG), async {
        while place.seen.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        place.gateway.presents(place.issuer.issue(HOST));
    });
    assert_eq!(verified.unwrap().version, "new");
}

#[tokio::test]
async fn an_old_version_that_answers_there_is_named() {
    let place = Place::with(|| "old");
    says(place.verify(SOON).await, &["version old answers, not new", "dig media.example.org"]);
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let place = Place::with(move || if count.fetch_add(1, Ordering::SeqCst) < 2 { "old" } else { "new" });
    assert_eq!(place.verify(LONG).await.unwrap().version, "new");
    assert_eq!(asked.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn what_the_platform_has_given_up_is_not_waited_for() {
    let place = Place::new();
    let broken = vec!["scaleway_container_domain.service: the status is error".to_owned()];
    says(
        place.verify_but(LONG, broken).await,
        &["cannot answer: scaleway_container_domain.service: the status is error"],
    );
    assert!(place.dns.asked().is_empty());
}

#[test]
fn addresses_that_a_record_does_not_have_are_old_ones() {
    let values = ["192.0.2.1".to_owned(), "192.0.2.2".to_owned()].into();
    let record = DnsRecord { name: HOST.to_owned(), kind: Kind::A, values, ttl: 60 };
    let ips = |ips: &[&str]| ips.iter().map(|ip| ip.parse().unwrap()).collect::<Vec<IpAddr>>();
    assert_eq!(record.excludes(&ips(&["192.0.2.2", "2001:db8::1"])), None);
    assert_eq!(record.excludes(&ips(&["192.0.2.2", "192.0.2.9"])), Some("192.0.2.9".to_owned()));
}
