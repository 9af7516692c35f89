//! A project whose domain is in moto's Route 53, and a DNS server for the test.

use std::process::Command;

use crate::site::write_env_file;
use devservers::dns::DnsServer;
use devservers::http::ask;
use devservers::moto::{Moto, Turn};
use testkit::{Project, Ran, or_skip};

const KEY: &str = "sentinel-dns-secret";
/// The name servers that moto assigns to every zone.
pub const SERVERS: [&str; 4] =
    ["ns-2048.awsdns-64.com", "ns-2049.awsdns-65.net", "ns-2050.awsdns-66.org", "ns-2051.awsdns-67.co.uk"];

/// A project whose environment `production` has the domain `media.shop.example.org`.
pub struct Site {
    pub project: Project,
    pub moto: Turn,
    pub dns: DnsServer,
}

impl Site {
    pub fn open(test: &str, variables: &str) -> Option<Self> {
        let moto = or_skip(test, Moto::turn())?;
        let project = Project::of("fixture", |project| {
            let deploy = project.read("deploy.yaml");
            let production = format!(
                "  production:\n    target: scaleway\n    registry: registry.example.com/shop\n    \
                 domain: media.shop.example.org\n    stack: infra\n    \
                 state: {{ bucket: states, region: fr-par, provider: scaleway }}\n    variables: {{ {variables} }}\n"
            );
            project.write("deploy.yaml", &format!("{deploy}{production}"));
            project.write("infra/main.tf", "variable \"dns_zone_id\" {\n  type = string\n}\n");
            let secrets = format!("TF_VAR_dns_access_key_id=AKDNS\nTF_VAR_dns_secret_access_key={KEY}\n");
            write_env_file(&project.root, &secrets);
        });
        Some(Self { project, moto, dns: DnsServer::start() })
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.project.command(&[&["bootstrap", "zone", "production"], args].concat());
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if ["TF_", "AWS_", "SCW_"].iter().any(|begin| name.starts_with(begin)) {
                command.env_remove(&*name);
            }
        }
        command.env("AWS_ENDPOINT_URL_ROUTE_53", self.moto.endpoint());
        command.env("DNS_SERVER", self.dns.address.to_string());
        command
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        let ran = Ran::of(&mut self.command(args));
        assert!(!ran.stdout.contains("sentinel") && !ran.stderr.contains("sentinel"), "{ran:?}");
        ran
    }

    /// The output, with the values that differ between runs replaced.
    pub fn text(&self, ran: &Ran) -> String {
        let text = ran.stdout.replace(&self.dns.address.to_string(), "DNS");
        self.zones().iter().enumerate().fold(text, |text, (index, (id, _))| text.replace(id, &format!("Z{index}")))
    }

    /// Creates a zone without the toolkit and returns its id.
    pub fn make(&self, name: &str, private: bool) -> String {
        let before = self.zones();
        let body = format!(
            "<CreateHostedZoneRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><Name>{name}</Name>\
             <CallerReference>{}</CallerReference><HostedZoneConfig><PrivateZone>{private}</PrivateZone></HostedZoneConfig>\
             <VPC><VPCRegion>us-east-1</VPCRegion><VPCId>vpc-1</VPCId></VPC></CreateHostedZoneRequest>",
            before.len()
        );
        let body = if private {
            body
        } else {
            body.replace("<VPC><VPCRegion>us-east-1</VPCRegion><VPCId>vpc-1</VPCId></VPC>", "")
        };
        self.ask("POST", "/2013-04-01/hostedzone", &body);
        let made = self.zones().into_iter().find(|zone| !before.contains(zone));
        made.expect("it is there").0
    }

    /// Id and name of every zone.
    pub fn zones(&self) -> Vec<(String, String)> {
        let answer = self.ask("GET", "/2013-04-01/hostedzone", "");
        let text = |of: &str, name: &str| {
            let (_, rest) = of.split_once(&format!("<{name}>")).unwrap();
            rest.split_once('<').unwrap().0.to_owned()
        };
        let zones = answer.split("<HostedZone>").skip(1);
        zones.map(|zone| (text(zone, "Id").replace("/hostedzone/", ""), text(zone, "Name"))).collect()
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> String {
        // moto selects the service by the credential scope.
        let who =
            "AWS4-HMAC-SHA256 Credential=AK/20260101/us-east-1/route53/aws4_request, SignedHeaders=host, Signature=x";
        let headers = [("Authorization", who), ("Content-Type", "text/xml")];
        let answer = ask(&self.moto.endpoint(), method, path, &headers, body).unwrap();
        assert!((200..300).contains(&answer.status), "{}: {}", answer.status, answer.text());
        answer.text()
    }
}
