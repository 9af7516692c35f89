//! A DNS server whose answers a test decides, on a port of its own of this machine. Also the toolkit's unit tests use it.

#![allow(dead_code, reason = "who shares this file does not use all of it")]

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};

use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, NS};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};

/// What is said of a name.
#[derive(Clone, Debug)]
pub enum Says {
    /// It is on these name servers, and this server is one of them.
    Answer(Vec<String>),
    /// These name servers know; this one does not.
    Referral(Vec<String>),
    /// A host of this address.
    Address(Ipv4Addr),
    /// Nothing of use.
    Failure,
}

/// What was asked: a name without the dot at its end, its type, and whether somebody else may be asked for it.
pub type Asked = (String, RecordType, bool);

/// A server, for as long as the test's process lives. What nothing is said of, is not there.
pub struct DnsServer {
    pub address: SocketAddr,
    says: Arc<Mutex<BTreeMap<String, Says>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl DnsServer {
    pub fn start() -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
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

    /// From now on it says this of a name.
    pub fn says(&self, name: &str, says: Says) {
        self.says.lock().unwrap().insert(name.to_owned(), says);
    }

    /// Every question so far.
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
        Some(Says::Failure) => answer.metadata.response_code = ResponseCode::ServFail,
        Some(_) => {}
        None => answer.metadata.response_code = ResponseCode::NXDomain,
    }
    answer
}
