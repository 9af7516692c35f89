//! A DNS server whose answers a test decides.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};

use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, CNAME, NS, SOA};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};

/// What the server answers about a name.
#[derive(Clone, Debug)]
pub enum Says {
    /// The name is a zone on these name servers, and this server is one of them.
    Answer(Vec<String>),
    /// These name servers know the zone; this one only refers to them.
    Referral(Vec<String>),
    /// The name is a host with this address.
    Address(Ipv4Addr),
    /// The name is an alias of another one, for so many seconds.
    Alias(String, u32),
    /// The name does not exist, which may be remembered for so many seconds.
    Absent(u32),
    /// The server fails.
    Failure,
}

/// A question: the name without the dot at its end, the record type, and whether the client desires recursion.
pub type Asked = (String, RecordType, bool);

/// A server on a free UDP port of this machine, which lives as long as this process. It answers that a name does not exist
/// unless [`DnsServer::says`] was called for it.
pub struct DnsServer {
    pub address: SocketAddr,
    says: Arc<Mutex<BTreeMap<String, Says>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl DnsServer {
    /// Starts one that knows no name.
    pub fn start() -> Self {
        Self::at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }

    /// Starts another one on the same port, at another address of this machine's loopback network.
    pub fn beside(&self, address: Ipv4Addr) -> Self {
        Self::at(SocketAddr::from((address, self.address.port())))
    }

    fn at(address: SocketAddr) -> Self {
        let socket = UdpSocket::bind(address).unwrap();
        let address = socket.local_addr().unwrap();
        let server = Self { address, says: Arc::default(), asked: Arc::default() };
        let (says, asked) = (Arc::clone(&server.says), Arc::clone(&server.asked));
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                let question = Message::from_vec(&buffer[..length]).unwrap();
                socket.send_to(&answer(&question, &says.lock().unwrap(), &asked).to_vec().unwrap(), from).ok();
            }
        });
        server
    }

    /// Sets what it answers about a name.
    pub fn says(&self, name: &str, says: Says) {
        self.says.lock().unwrap().insert(name.to_owned(), says);
    }

    /// All questions so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

fn answer(question: &Message, says: &BTreeMap<String, Says>, asked: &Mutex<Vec<Asked>>) -> Message {
    let query = question.queries[0].clone();
    let name = query.name().to_ascii().trim_end_matches('.').to_lowercase();
    asked.lock().unwrap().push((name.clone(), query.query_type(), question.metadata.recursion_desired));
    let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
    answer.add_query(query.clone());
    let record = |data: RData| Record::from_rdata(query.name().clone(), 60, data);
    let server = |name: &String| record(RData::NS(NS(Name::from_ascii(format!("{name}.")).unwrap())));
    match says.get(&name) {
        Some(Says::Answer(servers)) if query.query_type() == RecordType::NS => {
            answer.metadata.authoritative = true;
            answer.add_answers(servers.iter().map(server));
        }
        Some(Says::Referral(servers)) => drop(answer.add_authorities(servers.iter().map(server))),
        Some(Says::Address(address)) if query.query_type() == RecordType::A => {
            answer.add_answer(record(RData::A(A(*address))));
        }
        Some(Says::Alias(to, ttl)) => {
            let to = RData::CNAME(CNAME(Name::from_ascii(format!("{to}.")).unwrap()));
            answer.add_answer(Record::from_rdata(query.name().clone(), *ttl, to));
        }
        Some(Says::Absent(seconds)) => {
            answer.metadata.response_code = ResponseCode::NXDomain;
            answer.metadata.authoritative = true;
            let zone = query.name().base_name();
            let soa = SOA::new(zone.clone(), zone.clone(), 1, 60, 60, 60, *seconds);
            answer.add_authorities([Record::from_rdata(zone, *seconds, RData::SOA(soa))]);
        }
        Some(Says::Failure) => answer.metadata.response_code = ResponseCode::ServFail,
        Some(_) => {}
        None => answer.metadata.response_code = ResponseCode::NXDomain,
    }
    answer
}
