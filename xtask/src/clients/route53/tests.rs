use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use devservers::http::{HttpServer, Request, Response};

const KEY: &str = "sentinel-dns-key";

fn route53(server: &HttpServer) -> Route53 {
    drop(rustls::crypto::ring::default_provider().install_default());
    Route53::new(Some(&format!("http://{}", server.address)), &"AKDNS".into(), &KEY.into()).unwrap()
}

fn xml(status: u16, body: &str) -> Response {
    Response::new(status).body("text/xml", format!("<?xml version=\"1.0\"?>\n{body}"))
}

fn refused(status: u16, code: &str) -> Response {
    xml(
        status,
        &format!(
            "<ErrorResponse xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><Error><Type>Sender</Type>\
             <Code>{code}</Code><Message>Because.</Message></Error><RequestId>r</RequestId></ErrorResponse>"
        ),
    )
}

/// A page of a list of zones (id, name), and the name and id at which the next page begins.
fn page(zones: &[(String, &str)], next: Option<(&str, &str)>) -> Response {
    let zone = |(id, name): &(String, &str)| {
        format!(
            "<HostedZone><Id>/hostedzone/{id}</Id><Name>{name}</Name><CallerReference>c</CallerReference>\
             <Config><PrivateZone>false</PrivateZone></Config></HostedZone>"
        )
    };
    let zones: String = zones.iter().map(zone).collect();
    let next =
        next.map(|(name, id)| format!("<NextDNSName>{name}</NextDNSName><NextHostedZoneId>{id}</NextHostedZoneId>"));
    let more = next.is_some();
    xml(
        200,
        &format!(
            "<ListHostedZonesByNameResponse xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><HostedZones>{zones}</HostedZones>\
             <IsTruncated>{more}</IsTruncated>{}<MaxItems>100</MaxItems></ListHostedZonesByNameResponse>",
            next.unwrap_or_default()
        ),
    )
}

#[tokio::test]
async fn zones_are_read_page_by_page_up_to_the_next_name() {
    let server = HttpServer::start(|request: &Request| match request.query("hostedzoneid") {
        None => {
            let zones: Vec<_> = (0..100).map(|number| (format!("Z{number}"), "example.org.")).collect();
            page(&zones, Some(("example.org.", "Z100")))
        }
        Some("Z100") => page(
            &[("Z100".to_owned(), "example.org."), ("Z101".to_owned(), "a.example.org.")],
            Some(("b.example.org.", "Z102")),
        ),
        Some(other) => panic!("{other}"),
    });
    let zones = route53(&server).zones_of("example.org").await.unwrap();
    assert_eq!(zones.len(), 101);
    assert!(zones.iter().all(|zone| zone.name == "example.org" && !zone.private));
    let asked = server.asked();
    assert_eq!(asked.len(), 2);
    assert_eq!((asked[0].query("dnsname"), asked[0].query("maxitems")), (Some("example.org"), Some("100")));
}

#[tokio::test]
async fn throttled_requests_are_retried() {
    let times = AtomicUsize::new(0);
    let server = HttpServer::start(move |_| match times.fetch_add(1, Ordering::SeqCst) {
        0 => refused(400, "Throttling"),
        1 => refused(400, "PriorRequestNotComplete"),
        2 => refused(503, "ServiceUnavailable"),
        _ => page(&[("Z1".to_owned(), "example.org.")], None),
    });
    assert_eq!(route53(&server).zones_of("example.org").await.unwrap().len(), 1);
    assert_eq!(server.asked().len(), 4);
}

#[tokio::test]
async fn a_repeated_create_request_is_reported_as_such() {
    let made = Mutex::new(Vec::new());
    let server = HttpServer::start(move |request: &Request| {
        let body = String::from_utf8(request.body.clone()).unwrap();
        let mut made = made.lock().unwrap();
        if made.contains(&body) {
            return refused(409, "HostedZoneAlreadyExists");
        }
        made.push(body);
        xml(
            201,
            "<CreateHostedZoneResponse xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><HostedZone>\
             <Id>/hostedzone/Z1</Id><Name>example.org.</Name><CallerReference>one</CallerReference></HostedZone>\
             <ChangeInfo><Id>c</Id><Status>PENDING</Status><SubmittedAt>2026-01-01T00:00:00Z</SubmittedAt></ChangeInfo>\
             <DelegationSet><NameServers><NameServer>ns-1.awsdns-01.org</NameServer></NameServers></DelegationSet>\
             </CreateHostedZoneResponse>",
        )
    });
    let route53 = route53(&server);
    let zone = route53.create("example.org", "one", "it").await.unwrap();
    assert_eq!((zone.id.as_str(), zone.name.as_str()), ("Z1", "example.org"));
    let again = route53.create("example.org", "one", "it").await.unwrap_err();
    assert!(matches!(again, Route53Error::MadeBefore { .. }), "{again}");
}

#[tokio::test]
async fn a_refusal_is_reported_with_its_reason_and_without_the_key() {
    let server = HttpServer::start(|_| refused(403, "SignatureDoesNotMatch"));
    let error = route53(&server).check().await.unwrap_err();
    assert!(matches!(error, Route53Error::Refused { .. }), "{error}");
    let error = error.to_string();
    assert!(error.contains("listing zones: SignatureDoesNotMatch: Because."), "{error}");
    assert!(!error.contains(KEY), "{error}");
    assert_eq!(server.asked().len(), 1, "a refusal is final");
}

#[tokio::test]
async fn a_closed_port_is_unreachable() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    drop(rustls::crypto::ring::default_provider().install_default());
    let route53 = Route53::new(Some(&format!("http://{closed}")), &"AKDNS".into(), &KEY.into()).unwrap();
    let error = route53.check().await.unwrap_err();
    assert!(matches!(error, Route53Error::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("Connection refused"), "{error}");
}

#[test]
fn requests_to_other_machines_are_signed_over_https_only() {
    for endpoint in ["http://route53.example.org", "nonsense", "ftp://127.0.0.1"] {
        assert!(Route53::new(Some(endpoint), &"AKDNS".into(), &KEY.into()).is_err(), "{endpoint}");
    }
}
