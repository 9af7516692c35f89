//! The way to the public address of a stack's container: a DNS server, and a gateway with a certificate of its own authority.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::site::Site;
use devservers::dns::{DnsServer, Says};
use devservers::http::{self, Request, Response};
use devservers::tls::{Authority, TlsServer};

/// The host name of the stack's example.
const HOST: &str = "media.example.org";
/// Where its CNAME leads.
const BEHIND: &str = "gateway.example.net";

/// What is between the public address and the container.
pub struct Gateway {
    /// The public address.
    pub url: String,
    faults: Arc<Mutex<Faults>>,
    _certificate: tempfile::NamedTempFile,
}

/// A version whose answers become errors after so many good ones.
#[derive(Default)]
struct Faults(Option<(String, usize)>);

impl Gateway {
    /// Changes the stack's copy: its address has the gateway's port, its record leads there. The toolkit asks its DNS server and
    /// trusts its authority.
    pub fn before(site: &mut Site) -> Self {
        let faults = Arc::<Mutex<Faults>>::default();
        let (cloud, kept) = (site.cloud().folder(), Arc::clone(&faults));
        let server = TlsServer::start(move |request| pass(&cloud, &kept, request));
        let (dns, authority) = (DnsServer::start(), Authority::new());
        dns.says(HOST, Says::Alias(BEHIND.to_owned(), 300));
        dns.says(BEHIND, Says::Address(Ipv4Addr::LOCALHOST));
        server.presents(authority.issue(HOST));
        let certificate = tempfile::NamedTempFile::new().unwrap();
        fs_err::write(certificate.path(), authority.pem()).unwrap();
        site.variables.push(("DNS_SERVER", dns.address.to_string()));
        site.variables.push(("SSL_CERT_FILE", certificate.path().to_str().unwrap().to_owned()));
        let hostname = "${scaleway_container_domain.service.hostname}";
        let (outputs, domain) = ("infra/scaleway/outputs.tf", "infra/scaleway/domain.tf");
        site.project.edit(outputs, &format!("https://{hostname}"), &format!("https://{hostname}:{}", server.port));
        let own = "trimprefix(scaleway_container.service.public_endpoint, \"https://\")";
        site.project.edit(domain, own, &format!("\"{BEHIND}\""));
        let url = format!("https://{HOST}:{}", server.port);
        Self { url, faults, _certificate: certificate }
    }

    /// Lets a version answer this many requests, and then none.
    pub fn fails_after(&self, version: &str, answers: usize) {
        *self.faults.lock().unwrap() = Faults(Some((version.to_owned(), answers)));
    }
}

/// Passes a request on to the only container.
fn pass(cloud: &Path, faults: &Mutex<Faults>, request: &Request) -> Response {
    let Ok(mut files) = fs_err::read_dir(cloud.join("scaleway_container")) else { return Response::new(404) };
    let container = fs_err::read(files.next().unwrap().unwrap().path()).unwrap();
    let container: Value = serde_json::from_slice(&container).unwrap();
    let endpoint = container["public_endpoint"].as_str().unwrap();
    let Ok(answer) = http::ask(endpoint, &request.method, &request.path, &[], "") else { return Response::new(502) };
    if let Faults(Some((version, left))) = &mut *faults.lock().unwrap()
        && answer.text().contains(version.as_str())
    {
        if *left == 0 {
            return Response::new(500).body("text/plain", "out of memory");
        }
        *left -= 1;
    }
    Response::new(answer.status).body("application/json", answer.body)
}
