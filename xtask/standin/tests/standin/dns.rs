//! The DNS server, with zones of a Route 53 server.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RecordType;

use devservers::Moto;

use super::edge::{dns, question, udp};
use super::harness::{builder, or_skip};
use super::route53::{client, create_zone, record};

#[test]
fn the_zones_of_route53_are_answered() {
    let Some(server) = or_skip(Moto::start()) else { return };
    let cloud = builder().variable("STANDIN_ROUTE53_ENDPOINT", &server.endpoint()).dns().start().unwrap();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let route53 = client(&server.endpoint());
        let org = create_zone(&route53, "example.org").await;
        let net = create_zone(&route53, "example.net").await;
        assert!(org.starts_with('Z') && org.len() == 21, "{org}");
        record(&route53, &org, "www.example.org", "CNAME", "web.example.net").await;
        record(&route53, &org, "a.b.example.org", "TXT", "\"v=spf1 -all\"").await;
        record(&route53, &org, "*.any.example.org", "A", "192.0.2.7").await;
        record(&route53, &org, "loop.example.org", "CNAME", "loop.example.org").await;
        record(&route53, &org, "child.example.org", "NS", "ns1.example.com").await;
        record(&route53, &net, "web.example.net", "A", "192.0.2.1").await;
        record(&route53, &net, "web.example.net", "AAAA", "2001:db8::1").await;
    });
    let ask = |name: &str, kind: RecordType, recursive: bool| {
        let answer = dns(cloud.dns().unwrap(), name, kind, recursive);
        let data = answer.answers.iter().map(|record| record.data.to_string()).collect::<Vec<_>>();
        (answer.metadata.response_code, answer.metadata.authoritative, data.join(" "))
    };
    let found = |authoritative: bool, data: &str| (ResponseCode::NoError, authoritative, data.to_owned());
    assert_eq!(ask("www.example.org", RecordType::A, true), found(true, "web.example.net. 192.0.2.1"));
    assert_eq!(ask("WWW.Example.org", RecordType::AAAA, true), found(true, "web.example.net. 2001:db8::1"));
    assert_eq!(ask("www.example.org", RecordType::A, false), found(true, "web.example.net."));
    assert_eq!(ask("www.example.org", RecordType::CNAME, true), found(true, "web.example.net."));
    assert_eq!(ask("a.b.example.org", RecordType::TXT, true), found(true, "v=spf1 -all"));
    assert_eq!(ask("x.y.any.example.org", RecordType::A, true), found(true, "192.0.2.7"));
    assert!(ask("example.org", RecordType::NS, false).2.contains("ns-2048.awsdns-64.com."));
    assert_eq!(ask("ns-2048.awsdns-64.com", RecordType::A, true), found(false, "127.0.0.1"));
    assert_eq!(ask("loop.example.org", RecordType::A, true).0, ResponseCode::ServFail);

    // Negative answers have the zone's SOA record, with the time that they may be kept.
    for (name, kind, code) in [
        ("none.example.org", RecordType::A, ResponseCode::NXDomain),
        ("b.example.org", RecordType::A, ResponseCode::NoError),
        ("web.example.net", RecordType::TXT, ResponseCode::NoError),
    ] {
        let answer = dns(cloud.dns().unwrap(), name, kind, true);
        assert_eq!((answer.metadata.response_code, answer.answers.len()), (code, 0), "{name}");
        assert_eq!(answer.authorities[0].record_type(), RecordType::SOA, "{name}");
        assert_eq!(answer.authorities[0].ttl, 900, "{name}");
    }
    assert_eq!(ask("example.com", RecordType::A, true).0, ResponseCode::NXDomain);
    let referral = dns(cloud.dns().unwrap(), "x.child.example.org", RecordType::A, false);
    assert!(!referral.metadata.authoritative && referral.answers.is_empty());
    assert_eq!(referral.authorities[0].data.to_string(), "ns1.example.com.");

    // By TCP, two questions on one connection.
    let mut stream = TcpStream::connect(cloud.dns().unwrap()).unwrap();
    for _ in 0..2 {
        let bytes = question("www.example.org", RecordType::A, true).to_vec().unwrap();
        stream.write_all(&[&u16::try_from(bytes.len()).unwrap().to_be_bytes(), &bytes[..]].concat()).unwrap();
        let mut length = [0; 2];
        stream.read_exact(&mut length).unwrap();
        let mut answer = vec![0; u16::from_be_bytes(length).into()];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(Message::from_vec(&answer).unwrap().answers.len(), 2);
    }

    // The name servers answer also while the API is away.
    drop(server);
    assert_eq!(ask("www.example.org", RecordType::A, true), found(true, "web.example.net. 192.0.2.1"));
}

#[test]
fn messages_that_are_no_questions_do_not_stop_the_server() {
    let cloud = builder().dns().start().unwrap();
    let good = question("example.org", RecordType::A, true).to_vec().unwrap();
    let code = |bytes: &[u8]| Message::from_vec(&udp(cloud.dns().unwrap(), bytes)).unwrap().metadata.response_code;
    assert_eq!(code(&good[..good.len() - 3]), ResponseCode::FormErr);
    assert_eq!(code(&good[..12]), ResponseCode::FormErr, "the question is missing");
    // A name that points to itself.
    assert_eq!(code(&[&good[..12], &[0xc0, 12, 0, 1, 0, 1]].concat()), ResponseCode::FormErr);
    let mut status = good.clone();
    status[2] |= 2 << 3;
    assert_eq!(code(&status), ResponseCode::NotImp);
    let mut chaos = good.clone();
    let class = chaos.len() - 1;
    chaos[class] = 3;
    assert_eq!(code(&chaos), ResponseCode::Refused);
    // These get no answer; the next question does.
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut response = good.clone();
    response[2] |= 0x80;
    for bytes in [&[][..], &[0; 11], &response, &[0xff; 500]] {
        socket.send_to(bytes, cloud.dns().unwrap()).unwrap();
    }
    let mut stream = TcpStream::connect(cloud.dns().unwrap()).unwrap();
    stream.write_all(&[0, 3, 1, 2, 3]).unwrap();
    assert_eq!(stream.read(&mut [0; 8]).unwrap(), 0, "the connection is closed");
    assert_eq!(code(&good), ResponseCode::NXDomain);
}
