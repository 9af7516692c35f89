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
async fn the_only_server_is_asked_and_may_answer_itself_or_point_elsewhere() {
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
async fn a_name_that_nobody_knows_has_no_name_servers() {
    let server = DnsServer::start();
    assert_eq!(ask(&server).await.unwrap().name_servers, BTreeSet::new());
    // One that is there and no zone.
    server.says("example.org", Says::Address(Ipv4Addr::LOCALHOST));
    assert_eq!(ask(&server).await.unwrap().name_servers, BTreeSet::new());
}

#[tokio::test]
async fn who_cannot_answer_is_no_answer() {
    let server = DnsServer::start();
    server.says("example.org", Says::Failure);
    let error = format!("{:#}", ask(&server).await.unwrap_err());
    assert!(error.contains(&server.address.to_string()) && error.contains("Server Failure"), "{error}");

    // Nobody listens there.
    let nobody = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let dns = Dns::new(Some(&nobody.to_string())).unwrap();
    let error = format!("{:#}", dns.delegation("example.org").await.unwrap_err());
    assert!(error.contains(&nobody.to_string()), "{error}");
    assert!(Dns::new(Some("dns.example.org")).is_err());
}

#[tokio::test]
async fn the_nearest_zone_above_is_asked_itself() {
    let server = DnsServer::start();
    // `sub.example.org` is no zone; `example.org` is.
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
    assert_eq!(of_zone, [false], "it is asked what it knows itself");
}

#[tokio::test]
async fn without_any_zone_above_there_is_no_answer() {
    let server = DnsServer::start();
    let dns = Dns {
        resolver: asking(&[server.address], ResolverOpts::default()).unwrap(),
        only: None,
        port: server.address.port(),
    };
    let error = dns.delegation("example.org").await.unwrap_err().to_string();
    assert!(error.contains("above example.org"), "{error}");
}
