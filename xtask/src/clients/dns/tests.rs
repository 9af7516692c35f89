use std::net::Ipv4Addr;

use hickory_resolver::proto::rr::RecordType;

use super::*;
use devservers::dns::{DnsServer, Says};

fn servers(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

async fn ask(server: &DnsServer) -> Result<Delegation> {
    Dns::new(Some(&server.address.to_string())).unwrap().delegation("example.org").await
}

#[tokio::test]
async fn a_single_server_may_answer_or_refer() {
    let server = DnsServer::start();
    for says in [Says::Answer, Says::Referral] {
        server.says("example.org", says(servers(&["NS-1.example.net", "ns-2.example.net"])));
        let found = ask(&server).await.unwrap();
        assert_eq!(found.by, server.address.to_string());
        assert_eq!(found.name_servers.iter().collect::<Vec<_>>(), ["ns-1.example.net", "ns-2.example.net"]);
    }
    assert!(
        server
            .asked()
            .iter()
            .all(|(name, kind, recursion)| name == "example.org" && *kind == RecordType::NS && *recursion)
    );
}

#[tokio::test]
async fn an_unknown_name_has_no_name_servers() {
    let server = DnsServer::start();
    assert_eq!(ask(&server).await.unwrap().name_servers, BTreeSet::new());
    // A name that exists and is not a zone.
    server.says("example.org", Says::Address(Ipv4Addr::LOCALHOST));
    assert_eq!(ask(&server).await.unwrap().name_servers, BTreeSet::new());
}

#[tokio::test]
async fn a_server_that_fails_or_is_away_is_an_error() {
    let server = DnsServer::start();
    server.says("example.org", Says::Failure);
    let error = format!("{:#}", ask(&server).await.unwrap_err());
    assert!(error.contains(&server.address.to_string()) && error.contains("Server Failure"), "{error}");

    // No server listens there.
    let closed = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let dns = Dns::new(Some(&closed.to_string())).unwrap();
    let error = format!("{:#}", dns.delegation("example.org").await.unwrap_err());
    assert!(error.contains(&closed.to_string()), "{error}");
    assert!(Dns::new(Some("dns.example.org")).is_err());
}

#[tokio::test]
async fn the_nearest_parent_zone_is_queried() {
    let server = DnsServer::start();
    // `sub.example.org` is not a zone; `example.org` is.
    server.says("example.org", Says::Answer(servers(&["ns.example.org"])));
    server.says("ns.example.org", Says::Address(Ipv4Addr::LOCALHOST));
    server.says("a.sub.example.org", Says::Referral(servers(&["ns-1.example.net"])));
    let dns = Dns {
        resolver: asking(&[server.address], ResolverOpts::default()).unwrap(),
        only: None,
        port: server.address.port(),
    };
    let found = dns.delegation("a.sub.example.org").await.unwrap();
    assert_eq!(found.by, "the name servers of example.org");
    assert_eq!(found.name_servers.into_iter().collect::<Vec<_>>(), ["ns-1.example.net"]);
    let of_zone: Vec<bool> =
        server.asked().into_iter().filter(|(name, ..)| name == "a.sub.example.org").map(|asked| asked.2).collect();
    assert_eq!(of_zone, [false], "the query does not desire recursion");
}

/// A client that finds the zones' own name servers by this server, on its port.
fn from(server: &DnsServer) -> Dns {
    let resolver = asking(&[server.address], ResolverOpts::default()).unwrap();
    Dns { resolver, only: None, port: server.address.port() }
}

#[tokio::test]
async fn every_name_server_of_a_zone_is_asked_by_itself() {
    const NAME: &str = "media.example.org";
    let server = DnsServer::start();
    let other = server.beside(Ipv4Addr::new(127, 0, 0, 2));
    server.says("example.org", Says::Answer(servers(&["ns-1.example.net", "ns-2.example.net", "ns-3.example.net"])));
    server.says("ns-1.example.net", Says::Address(Ipv4Addr::LOCALHOST));
    server.says("ns-2.example.net", Says::Address(Ipv4Addr::new(127, 0, 0, 2)));
    server.says(NAME, Says::Alias("Gateway.example.net".to_owned(), 300));
    other.says(NAME, Says::Absent(900));
    let dns = from(&server);
    let authorities = dns.authorities(NAME, Kind::Cname).await.unwrap();
    let said = join_all(authorities.iter().map(|authority| authority.records(NAME, Kind::Cname))).await;
    let gateway = Said::Records { values: servers(&["gateway.example.net"]).into_iter().collect(), ttl: 300 };
    assert_eq!((authorities[0].server.as_str(), &said[0]), ("ns-1.example.net", &gateway));
    assert_eq!(said[1], Said::Nothing { name_exists: false, remembered: Some(900) });
    assert_eq!(said[2], Said::Failed("it has no address".to_owned()));
    assert!(other.asked().iter().all(|(_, _, recursion)| !recursion), "{:?}", other.asked());
    // It has caught up, and nothing was remembered.
    other.says(NAME, Says::Alias("gateway.example.net".to_owned(), 300));
    assert_eq!(authorities[1].records(NAME, Kind::Cname).await, gateway);
    other.says("example.org", Says::Absent(120));
    assert_eq!(authorities[1].absence_lasts(NAME).await, Some(120));
}

#[tokio::test]
async fn addresses_are_found_behind_aliases() {
    let server = DnsServer::start();
    server.says("media.example.org", Says::Alias("gateway.example.net".to_owned(), 300));
    server.says("gateway.example.net", Says::Address(Ipv4Addr::new(127, 0, 0, 9)));
    let dns = Dns::new(Some(&server.address.to_string())).unwrap();
    assert_eq!(dns.addresses("media.example.org").await.unwrap(), [IpAddr::from([127, 0, 0, 9])]);
    let authorities = dns.authorities("gateway.example.net", Kind::A).await.unwrap();
    let a = authorities[0].records("gateway.example.net", Kind::A).await;
    assert_eq!(a, Said::Records { values: servers(&["127.0.0.9"]).into_iter().collect(), ttl: 60 });
    let none = authorities[0].records("gateway.example.net", Kind::Aaaa).await;
    assert_eq!(none, Said::Nothing { name_exists: true, remembered: None });
    assert!(dns.addresses("other.example.org").await.is_err());
}

#[tokio::test]
async fn without_a_parent_zone_there_is_no_answer() {
    let server = DnsServer::start();
    let dns = Dns {
        resolver: asking(&[server.address], ResolverOpts::default()).unwrap(),
        only: None,
        port: server.address.port(),
    };
    let error = dns.delegation("example.org").await.unwrap_err().to_string();
    assert!(error.contains("above example.org"), "{error}");
}

/// The error for a server that answers each question with these bytes, and by TCP with others.
async fn error_of(answer: impl Fn(&[u8]) -> Vec<u8> + Send + 'static, tcp: &[u8]) -> String {
    let both = || {
        let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let listener = std::net::TcpListener::bind(socket.local_addr()?)?;
        Ok::<_, std::io::Error>((socket, listener))
    };
    // What is free for UDP may be taken for TCP.
    let (socket, listener) = std::iter::repeat_with(both).take(20).find_map(Result::ok).unwrap();
    let (address, tcp) = (socket.local_addr().unwrap(), tcp.to_vec());
    std::thread::spawn(move || {
        let mut question = [0; 4096];
        while let Ok((length, from)) = socket.recv_from(&mut question) {
            socket.send_to(&answer(&question[..length]), from).ok();
        }
    });
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let tcp = tcp.clone();
            std::thread::spawn(
                move || while std::io::Write::write_all(&mut stream, &tcp).is_ok() && !tcp.is_empty() {},
            );
        }
    });
    let dns = Dns::new(Some(&address.to_string())).unwrap();
    format!("{:#}", dns.delegation("example.org").await.unwrap_err())
}

#[tokio::test]
async fn answers_that_are_none_are_errors_in_time() {
    // The question as its own answer, with flags: an answer, and an answer that was cut off.
    let flagged = |flags: u8| {
        move |question: &[u8]| {
            let mut answer = question.to_vec();
            answer[2] |= flags;
            answer
        }
    };
    // A name that points to itself, in a record that says to be longer than the packet.
    let looping = |question: &[u8]| {
        let mut answer = question[..12].to_vec();
        answer[2] |= 0x80;
        (answer[5], answer[7]) = (0, 200);
        answer.extend(b"\xc0\x0c\0\x02\0\x01\0\0\0\x3c\xff\xff\xc0\x0c".repeat(50));
        answer
    };
    let other_id = |question: &[u8]| {
        let mut answer = question.to_vec();
        answer[0] ^= 0xff;
        answer[2] |= 0x80;
        answer
    };
    let errors = tokio::join!(
        error_of(|_| b"nonsense".to_vec(), b""),
        error_of(|_| Vec::new(), b""),
        error_of(looping, b""),
        error_of(other_id, b""),
        error_of(flagged(0x82), b"\xff\xff nonsense"),
        error_of(flagged(0x82), b""),
    );
    for error in [errors.0, errors.1, errors.2, errors.3, errors.4, errors.5] {
        assert!(error.contains("127.0.0.1:") || error.contains("no answer in"), "{error}");
    }
}
