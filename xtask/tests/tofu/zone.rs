//! The zone of a domain, with moto's Route 53 and a DNS server of the test's own.

mod site;

use insta::assert_snapshot;
use serde_json::Value;

use self::site::{SERVERS, Site};
use devservers::dns::Says;
use testkit::Ran;

#[test]
fn a_zone_is_made_on_request_and_once() {
    let Some(site) = Site::open("a_zone_is_made_on_request_and_once", "size: 3") else { return };
    site.make("shop.example.org", true);
    let before = site.zones();
    let absent = site.run(&["--check"]).expect(10);
    assert_snapshot!(site.text(&absent), @r"
    the zone of media.shop.example.org (production)

      ✗ zone shop.example.org not there (left out, as nobody outside is answered from a private one: shop.example.org Z0); should be a public zone
                              → make it (billed by the month)
      · dns_zone_id           not known yet; will be the zone's id
      · name servers          not known yet; will be four of Route 53's
      · delegation            not to be compared yet; will be to these name servers

      next: cargo xtask bootstrap zone production
    ");
    site.run(&[]).expect(21).says(&["nothing was changed", "cargo xtask bootstrap zone production --yes"]);
    assert_eq!(site.zones(), before);

    // Made; what is left takes a person.
    let made = site.run(&["--yes"]).expect(10);
    assert_snapshot!(site.text(&made), @r"
    the zone of media.shop.example.org (production)

      ✓ zone shop.example.org Z1
      ✓ domain                media.shop.example.org
      ! dns_zone_id           not in deploy.yaml; should be Z1
                              → write into `variables` of production in deploy.yaml: dns_zone_id: Z1
      ✓ name servers          ns-2048.awsdns-64.com
                              ns-2049.awsdns-65.net
                              ns-2050.awsdns-66.org
                              ns-2051.awsdns-67.co.uk
      ! delegation            DNS: to nobody; should be to the 4 above
                              → at the registrar of shop.example.org, or where the zone above it is kept, set these name servers and no others:
                                ns-2048.awsdns-64.com
                                ns-2049.awsdns-65.net
                                ns-2050.awsdns-66.org
                                ns-2051.awsdns-67.co.uk
    ");
    let after = site.zones();
    assert_eq!(after.len(), 2);
    let id = &after.iter().find(|zone| !before.contains(zone)).unwrap().0;

    // Twice changes nothing.
    site.run(&["--yes"]).expect(10);
    assert_eq!(site.zones(), after);

    // What a person has done is seen.
    site.project.edit("deploy.yaml", "size: 3", &format!("dns_zone_id: {id}"));
    site.dns.says("shop.example.org", Says::Referral(servers(&SERVERS)));
    let good = site.run(&["--check"]).expect(0);
    assert_snapshot!(site.text(&good), @r"
    the zone of media.shop.example.org (production)

      ✓ zone shop.example.org Z1
      ✓ domain                media.shop.example.org
      ✓ dns_zone_id           Z1
      ✓ name servers          ns-2048.awsdns-64.com
                              ns-2049.awsdns-65.net
                              ns-2050.awsdns-66.org
                              ns-2051.awsdns-67.co.uk
      ✓ delegation            DNS: to these name servers
    ");
}

#[test]
fn the_longest_name_counts_and_private_zones_do_not() {
    let Some(site) = Site::open("the_longest_name_counts_and_private_zones_do_not", "size: 3") else { return };
    let far = site.make("example.org", false);
    let near = site.make("shop.example.org", false);
    site.make("media.shop.example.org", true);
    // The end of a text is no label.
    site.make("op.example.org", false);
    let found = site.run(&["--check", "--json"]).expect(10);
    let items = items(&found);
    assert_eq!(
        (&items[0]["about"], &items[0]["is"]),
        (&Value::from("zone shop.example.org"), &Value::from(near.as_str()))
    );
    assert_eq!(items[2]["should"], near.as_str());
    assert!(!found.stdout.contains(&far));

    // Another one than was asked for.
    site.run(&["--check", "--name", "example.org"]).expect(21).says(&["zone shop.example.org", "leave --name away"]);
    let other = site.run(&["--check", "--name", "op.example.org"]).expect(2);
    other.says(&["no zone that media.shop.example.org could be in", "shop.example.org, example.org"]);
}

#[test]
fn two_zones_of_one_name_are_refused() {
    let Some(site) = Site::open("two_zones_of_one_name_are_refused", "size: 3") else { return };
    let (one, two) = (site.make("example.org", false), site.make("example.org", false));
    let refused = site.run(&["--yes"]).expect(21);
    refused.says(&["zone example.org is there 2 times", &one, &two]);
    assert_eq!(site.zones().len(), 2);

    // Nor can a domain be its own zone.
    drop(site);
    let own = Site::open("two_zones_of_one_name_are_refused", "size: 3").unwrap();
    own.make("media.shop.example.org", false);
    own.run(&["--yes"]).expect(21).says(&["zone media.shop.example.org", "there can be no CNAME"]);
}

#[test]
fn name_servers_are_compared_with_what_the_parent_answers() {
    let Some(site) = Site::open("name_servers_are_compared_with_what_the_parent_answers", "dns_zone_id: Z1") else {
        return;
    };
    let id = site.make("example.org", false);
    // The stack knows another zone, and a zone of the same name is at somebody else's.
    let strange = servers(&[SERVERS[0], "ns1.registrar.example.net"]);
    site.dns.says("example.org", Says::Answer(strange));
    let differs = site.run(&["--check"]).expect(10);
    assert_snapshot!(site.text(&differs), @r"
    the zone of media.shop.example.org (production)

      ✓ zone example.org Z0
      ✓ domain           media.shop.example.org
      ! dns_zone_id      Z1 in deploy.yaml; should be Z0
                         → write Z0 there
      ✓ name servers     ns-2048.awsdns-64.com
                         ns-2049.awsdns-65.net
                         ns-2050.awsdns-66.org
                         ns-2051.awsdns-67.co.uk
      ! delegation       DNS: to ns1.registrar.example.net, and not to ns-2049.awsdns-65.net, ns-2050.awsdns-66.org, ns-2051.awsdns-67.co.uk; should be to the 4 above
                         → at the registrar of example.org, or where the zone above it is kept, set these name servers and no others:
                           ns-2048.awsdns-64.com
                           ns-2049.awsdns-65.net
                           ns-2050.awsdns-66.org
                           ns-2051.awsdns-67.co.uk

      next: cargo xtask bootstrap zone production
    ");

    site.project.edit("deploy.yaml", "dns_zone_id: Z1", &format!("dns_zone_id: {id}"));
    site.dns.says("example.org", Says::Answer(servers(&SERVERS)));
    site.run(&["--check"]).expect(0);

    site.project.edit("deploy.yaml", "{ dns_zone_id", "{ domain: media.example.org, dns_zone_id");
    let other = site.run(&["--check"]).expect(10);
    assert!(
        other.stdout.contains("media.example.org in deploy.yaml; should be media.shop.example.org"),
        "{}",
        other.stdout
    );
    site.project.edit("deploy.yaml", "domain: media.example.org, ", "");

    // Who cannot be asked is no reason to fail.
    site.dns.says("example.org", Says::Failure);
    let unknown = site.run(&["--check"]).expect(0);
    assert_snapshot!(site.text(&unknown), @r"
    the zone of media.shop.example.org (production)

      ✓ zone example.org Z0
      ✓ domain           media.shop.example.org
      ✓ dns_zone_id      Z0
      ✓ name servers     ns-2048.awsdns-64.com
                         ns-2049.awsdns-65.net
                         ns-2050.awsdns-66.org
                         ns-2051.awsdns-67.co.uk
      ? delegation       could not be compared: DNS: DNS error: error response: Server Failure
                         → ask by hand: dig +trace NS example.org; where only one server may be asked: DNS_SERVER=ADDRESS
    ");
    let mut nobody = site.command(&["--check"]);
    assert!(Ran::of(nobody.env("DNS_SERVER", "127.0.0.1:1")).expect(0).stdout.contains("could not be compared"));
    let mut nonsense = site.command(&["--check"]);
    assert!(
        Ran::of(nonsense.env("DNS_SERVER", "nonsense")).expect(0).stdout.contains("is not the address of a DNS server")
    );
}

#[test]
fn what_cannot_be_asked_is_told() {
    let Some(site) = Site::open("what_cannot_be_asked_is_told", "size: 3") else { return };
    let mut away = site.command(&["--check"]);
    let away = Ran::of(away.env("AWS_ENDPOINT_URL_ROUTE_53", "http://127.0.0.1:1")).expect(1);
    away.says(&["127.0.0.1:1 cannot be reached: Connection refused", "check the network"]);
    let mut plain = site.command(&["--check"]);
    let plain = Ran::of(plain.env("AWS_ENDPOINT_URL_ROUTE_53", "http://route53.example.org")).expect(1);
    plain.says(&["https only"]);

    let wrong = devservers::http::HttpServer::start(|_| {
        let body = "<ErrorResponse><Error><Type>Sender</Type><Code>InvalidClientTokenId</Code>\
                    <Message>The security token included in the request is invalid.</Message></Error></ErrorResponse>";
        devservers::http::Response::new(403).body("text/xml", body)
    });
    let mut refused = site.command(&["--check"]);
    let refused = Ran::of(refused.env("AWS_ENDPOINT_URL_ROUTE_53", format!("http://{}", wrong.address))).expect(1);
    assert!(!refused.stderr.contains("sentinel"), "{}", refused.stderr);
    refused.says(&["InvalidClientTokenId", "TF_VAR_dns_secret_access_key", "route53:ListHostedZonesByName"]);

    // Doctor asks too.
    let mut doctor = site.project.command(&["doctor", "production"]);
    let doctor = Ran::of(doctor.env("AWS_ENDPOINT_URL_ROUTE_53", site.moto.endpoint()));
    assert!(doctor.stdout.contains("✓ dns"), "{}", doctor.stdout);

    fs_err::remove_file(site.project.root.join(".env.production")).unwrap();
    site.run(&["--check"]).expect(1).says(&["TF_VAR_dns_access_key_id has no value", ".env.production"]);
    site.project.edit("deploy.yaml", "    domain: media.shop.example.org\n", "");
    site.run(&["--check"]).expect(2).says(&["production has no domain", "domain: media.example.org"]);
    site.project.run(&["bootstrap", "zone", "local"]).expect(2).says(&["local has no domain"]);
}

/// The items of a command's answer.
fn items(ran: &Ran) -> Vec<Value> {
    let answer: Value = serde_json::from_str(ran.stdout.lines().last().unwrap()).unwrap();
    answer["detail"]["items"].as_array().unwrap().clone()
}

fn servers(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}
