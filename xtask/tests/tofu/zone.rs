//! The zone of a domain, with moto's Route 53 and a DNS server for the test.

mod site;

use insta::assert_snapshot;
use serde_json::Value;

use self::site::{SERVERS, Site};
use devservers::dns::Says;
use testkit::Ran;

#[test]
fn a_zone_is_created_on_request_and_once() {
    let Some(site) = Site::open("a_zone_is_created_on_request_and_once", "size: 3") else { return };
    site.make("shop.example.org", true);
    let before = site.zones();
    let absent = site.run(&["--check"]).expect(10);
    assert_snapshot!(site.text(&absent), @r"
    DNS zone of media.shop.example.org (production)

      ✗ zone shop.example.org not found (the internet does not see private zones: shop.example.org Z0); should be a public zone
                              → create it (billed by the month)
      · dns_zone_id           not known yet; will be the zone's id
      · name servers          not known yet; will be four of Route 53's
      · delegation            not known yet; will be to these name servers

      next: cargo xtask bootstrap zone production
    ");
    site.run(&[]).expect(21).says(&["nothing was changed", "cargo xtask bootstrap zone production --yes"]);
    assert_eq!(site.zones(), before);

    // The zone is created. The delegation is left to the user.
    let made = site.run(&["--yes"]).expect(10);
    assert_snapshot!(site.text(&made), @r"
    DNS zone of media.shop.example.org (production)

      ✓ zone shop.example.org Z1
      ✓ domain                media.shop.example.org
      ! dns_zone_id           not in deploy.yaml; should be Z1
                              → add it to `variables` of production in deploy.yaml: dns_zone_id: Z1
      ✓ name servers          ns-2048.awsdns-64.com
                              ns-2049.awsdns-65.net
                              ns-2050.awsdns-66.org
                              ns-2051.awsdns-67.co.uk
      ! delegation            DNS: none; should be to the 4 above
                              → at the registrar of shop.example.org, or in the zone above it, set exactly these name servers:
                                ns-2048.awsdns-64.com
                                ns-2049.awsdns-65.net
                                ns-2050.awsdns-66.org
                                ns-2051.awsdns-67.co.uk
    ");
    let after = site.zones();
    assert_eq!(after.len(), 2);
    let id = &after.iter().find(|zone| !before.contains(zone)).unwrap().0;

    // A second run changes nothing.
    site.run(&["--yes"]).expect(10);
    assert_eq!(site.zones(), after);

    // Manual changes are detected.
    site.project.edit("deploy.yaml", "size: 3", &format!("dns_zone_id: {id}"));
    site.dns.says("shop.example.org", Says::Referral(servers(&SERVERS)));
    let good = site.run(&["--check"]).expect(0);
    assert_snapshot!(site.text(&good), @r"
    DNS zone of media.shop.example.org (production)

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
    // A suffix that is not a whole label does not match.
    site.make("op.example.org", false);
    let found = site.run(&["--check", "--json"]).expect(10);
    let items = items(&found);
    assert_eq!(
        (&items[0]["about"], &items[0]["is"]),
        (&Value::from("zone shop.example.org"), &Value::from(near.as_str()))
    );
    assert_eq!(items[2]["should"], near.as_str());
    assert!(!found.stdout.contains(&far));

    // A zone of another name.
    site.run(&["--check", "--name", "example.org"]).expect(21).says(&["zone shop.example.org", "omit --name"]);
    let other = site.run(&["--check", "--name", "op.example.org"]).expect(2);
    other.says(&["media.shop.example.org cannot be in the zone", "shop.example.org, example.org"]);
}

#[test]
fn two_zones_of_one_name_are_refused() {
    let Some(site) = Site::open("two_zones_of_one_name_are_refused", "size: 3") else { return };
    let (one, two) = (site.make("example.org", false), site.make("example.org", false));
    let refused = site.run(&["--yes"]).expect(21);
    refused.says(&["zone example.org: 2 public zones", &one, &two]);
    assert_eq!(site.zones().len(), 2);

    // A domain cannot be its own zone either.
    drop(site);
    let own = Site::open("two_zones_of_one_name_are_refused", "size: 3").unwrap();
    own.make("media.shop.example.org", false);
    own.run(&["--yes"]).expect(21).says(&["zone media.shop.example.org", "cannot have a CNAME record"]);
}

#[test]
fn name_servers_are_compared_with_what_the_parent_answers() {
    let Some(site) = Site::open("name_servers_are_compared_with_what_the_parent_answers", "dns_zone_id: Z1") else {
        return;
    };
    let id = site.make("example.org", false);
    // The stack has another zone's id, and the parent delegates to another DNS provider.
    let strange = servers(&[SERVERS[0], "ns1.registrar.example.net"]);
    site.dns.says("example.org", Says::Answer(strange));
    let differs = site.run(&["--check"]).expect(10);
    assert_snapshot!(site.text(&differs), @r"
    DNS zone of media.shop.example.org (production)

      ✓ zone example.org Z0
      ✓ domain           media.shop.example.org
      ! dns_zone_id      Z1 in deploy.yaml; should be Z0
                         → set it to Z0 there
      ✓ name servers     ns-2048.awsdns-64.com
                         ns-2049.awsdns-65.net
                         ns-2050.awsdns-66.org
                         ns-2051.awsdns-67.co.uk
      ! delegation       DNS: to ns1.registrar.example.net, and not to ns-2049.awsdns-65.net, ns-2050.awsdns-66.org, ns-2051.awsdns-67.co.uk; should be to the 4 above
                         → at the registrar of example.org, or in the zone above it, set exactly these name servers:
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

    // A DNS server that does not answer is not an error.
    site.dns.says("example.org", Says::Failure);
    let unknown = site.run(&["--check"]).expect(0);
    assert_snapshot!(site.text(&unknown), @r"
    DNS zone of media.shop.example.org (production)

      ✓ zone example.org Z0
      ✓ domain           media.shop.example.org
      ✓ dns_zone_id      Z0
      ✓ name servers     ns-2048.awsdns-64.com
                         ns-2049.awsdns-65.net
                         ns-2050.awsdns-66.org
                         ns-2051.awsdns-67.co.uk
      ? delegation       could not be queried: DNS: DNS error: error response: Server Failure
                         → query it by hand: dig +trace NS example.org; if the network allows one DNS server only, set DNS_SERVER=ADDRESS
    ");
    let mut unanswered = site.command(&["--check"]);
    assert!(Ran::of(unanswered.env("DNS_SERVER", "127.0.0.1:1")).expect(0).stdout.contains("could not be queried"));
    let mut nonsense = site.command(&["--check"]);
    assert!(
        Ran::of(nonsense.env("DNS_SERVER", "nonsense")).expect(0).stdout.contains("is not the address of a DNS server")
    );
}

#[test]
fn an_unreachable_or_refusing_route_53_is_reported() {
    let Some(site) = Site::open("an_unreachable_or_refusing_route_53_is_reported", "size: 3") else { return };
    let mut away = site.command(&["--check"]);
    let away = Ran::of(away.env("AWS_ENDPOINT_URL_ROUTE_53", "http://127.0.0.1:1")).expect(1);
    away.says(&["127.0.0.1:1 cannot be reached: Connection refused", "check the network"]);
    let mut plain = site.command(&["--check"]);
    let plain = Ran::of(plain.env("AWS_ENDPOINT_URL_ROUTE_53", "http://route53.example.org")).expect(1);
    plain.says(&["only sent over https"]);

    let wrong = devservers::http::HttpServer::start(|_| {
        let body = "<ErrorResponse><Error><Type>Sender</Type><Code>InvalidClientTokenId</Code>\
                    <Message>The security token included in the request is invalid.</Message></Error></ErrorResponse>";
        devservers::http::Response::new(403).body("text/xml", body)
    });
    let mut refused = site.command(&["--check"]);
    let refused = Ran::of(refused.env("AWS_ENDPOINT_URL_ROUTE_53", format!("http://{}", wrong.address))).expect(1);
    assert!(!refused.stderr.contains("sentinel"), "{}", refused.stderr);
    refused.says(&["InvalidClientTokenId", "TF_VAR_dns_secret_access_key", "route53:ListHostedZonesByName"]);

    // `doctor` checks it too.
    let mut doctor = site.project.command(&["doctor", "production"]);
    let doctor = Ran::of(doctor.env("AWS_ENDPOINT_URL_ROUTE_53", site.moto.endpoint()));
    assert!(doctor.stdout.contains("✓ dns"), "{}", doctor.stdout);

    fs_err::remove_file(site.project.root.join(".env.production")).unwrap();
    site.run(&["--check"]).expect(1).says(&["TF_VAR_dns_access_key_id has no value", ".env.production"]);
    site.project.edit("deploy.yaml", "    domain: media.shop.example.org\n", "");
    site.run(&["--check"]).expect(2).says(&["production has no domain", "domain: media.example.org"]);
    site.project.run(&["bootstrap", "zone", "local"]).expect(2).says(&["local has no domain"]);
}

/// The items of a command's result.
fn items(ran: &Ran) -> Vec<Value> {
    let answer: Value = serde_json::from_str(ran.stdout.lines().last().unwrap()).unwrap();
    answer["detail"]["items"].as_array().unwrap().clone()
}

fn servers(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}
