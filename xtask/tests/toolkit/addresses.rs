//! The addresses that a service can listen on.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use testkit::client::Client;
use testkit::{Project, skipped};

/// Deploys twice to this host. `shown` is the address for people, without the port; the service is asked at `asked`.
fn deploys(host: IpAddr, shown: &str, asked: IpAddr) {
    if TcpListener::bind((host, 0)).is_err() {
        return skipped(&testkit::test_name(), &format!("this machine has no {host}"));
    }
    let project = Project::fixture();
    project.edit("deploy.yaml", "target: local", &format!("target: local\n    host: \"{host}\""));
    for message in ["First", "Second"] {
        let version = project.commit(message);
        project.ok(&["deploy"]).says(&[&format!("http://{shown}:{}", project.port)]);
        let mut client = Client::at(SocketAddr::new(asked, project.port));
        assert_eq!(client.get("/version").unwrap().text(), version);
        assert_eq!(project.status()["ready"], true);
    }
}

#[test]
fn ipv6s_loopback_address() {
    deploys(Ipv6Addr::LOCALHOST.into(), "[::1]", Ipv6Addr::LOCALHOST.into());
}

#[test]
fn every_address_of_ipv6() {
    deploys(Ipv6Addr::UNSPECIFIED.into(), "localhost", Ipv6Addr::LOCALHOST.into());
}

#[test]
fn every_address_of_ipv4() {
    deploys(Ipv4Addr::UNSPECIFIED.into(), "localhost", Ipv4Addr::LOCALHOST.into());
}

#[test]
fn another_loopback_address() {
    let host = Ipv4Addr::new(127, 0, 0, 2).into();
    deploys(host, "127.0.0.2", host);
}
