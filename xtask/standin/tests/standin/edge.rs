//! A stand-in with its gateway, DNS server and API, and clients of these.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::{Message, OpCode, Query};
use hickory_proto::rr::{Name, RecordType};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::Value;

use devservers::standin::Builder;
use devservers::{Cloud, http, port};

use super::docker::require_engine;
use super::harness::{TestProvider, builder};

/// Starts one with containers. Skips the test if this machine lacks what it requires.
pub fn start(more: impl FnOnce(Builder) -> Builder) -> Option<TestProvider> {
    require_engine()?;
    let address = port::secure().map_err(|error| anyhow::anyhow!("listen on port 443: {error}; run the tests as root"));
    let address = super::harness::or_skip(address)?;
    let builder = builder().variable("STANDIN_DOCKER", "1").variable("STANDIN_DOMAIN_TIMEOUT", "1");
    TestProvider::of(more(builder.api().dns().gateway(address)), true)
}

/// A connection of a client that trusts the gateway's authority.
pub struct Https(StreamOwned<ClientConnection, TcpStream>);

impl Https {
    /// Connects to the gateway and asks for this name.
    pub fn connect(cloud: &Cloud, name: &str) -> std::io::Result<Self> {
        let config = trusting(&cloud.ca().unwrap());
        let connection = ClientConnection::new(config, ServerName::try_from(name.to_owned()).unwrap()).unwrap();
        let stream = TcpStream::connect(cloud.gateway().unwrap())?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        let mut stream = StreamOwned::new(connection, stream);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Self(stream))
    }

    /// Sends a request on the connection, which remains open: the status and the body.
    pub fn get(&mut self, host: &str, path: &str) -> std::io::Result<(u16, String)> {
        write!(self.0, "GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")?;
        self.0.flush()?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.0.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        let status = head[9..12].parse().unwrap();
        let mut body = Vec::new();
        if head.contains("transfer-encoding: chunked") {
            // Its end is enough: no test looks at such a body.
            while !body.ends_with(b"0\r\n\r\n") {
                let mut byte = [0];
                self.0.read_exact(&mut byte)?;
                body.push(byte[0]);
            }
        } else {
            let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
            body.resize(length.unwrap_or_else(|| panic!("no length: {head}")), 0);
            self.0.read_exact(&mut body)?;
        }
        Ok((status, String::from_utf8(body).unwrap().trim_end().to_owned()))
    }
}

/// One request on a connection of its own.
pub fn get(cloud: &Cloud, host: &str, path: &str) -> std::io::Result<(u16, String)> {
    Https::connect(cloud, host)?.get(host, path)
}

fn trusting(ca: &Path) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap();
    Arc::new(config.with_root_certificates(roots).with_no_client_auth())
}

/// Asks the platform's API with a key.
pub fn api(cloud: &Cloud, method: &str, path: &str, body: &str) -> (u16, Value) {
    let answer = http::ask(&cloud.api().unwrap(), method, path, &[("X-Auth-Token", "key")], body).unwrap();
    let json = serde_json::from_slice(&answer.body);
    (answer.status, json.unwrap_or_else(|error| panic!("{path}: {error}: {}", answer.text())))
}

/// A question to a DNS server by UDP.
pub fn dns(server: SocketAddr, name: &str, kind: RecordType, recursive: bool) -> Message {
    Message::from_vec(&udp(server, &question(name, kind, recursive).to_vec().unwrap())).unwrap()
}

pub fn question(name: &str, kind: RecordType, recursive: bool) -> Message {
    let mut question = Message::new(7, hickory_proto::op::MessageType::Query, OpCode::Query);
    question.metadata.recursion_desired = recursive;
    question.add_query(Query::query(Name::from_ascii(format!("{name}.")).unwrap(), kind));
    question
}

/// The answer to a datagram.
pub fn udp(server: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    socket.send_to(bytes, server).unwrap();
    let mut answer = vec![0; 4096];
    let (length, _) = socket.recv_from(&mut answer).unwrap();
    answer.truncate(length);
    answer
}
