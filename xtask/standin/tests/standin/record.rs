//! Hosted zones and records on a Route 53 server.

use aws_sdk_route53::Client;
use aws_sdk_route53::types::{ChangeAction, ResourceRecord, RrType};
use serde_json::json;

use devservers::Moto;

use super::harness::{TestProvider, or_skip};
use super::route53::{change, client, create_zone};

const STACK: &str = r#"
data "aws_route53_zone" "main" {
  name = "example.org"
}

resource "aws_route53_record" "service" {
  zone_id = data.aws_route53_zone.main.zone_id
  name    = "media"
  type    = "CNAME"
  ttl     = 300
  records = ["somewhere.example.net"]
}

resource "aws_route53_record" "text" {
  zone_id = data.aws_route53_zone.main.zone_id
  name    = "*.text.example.org"
  type    = "TXT"
  ttl     = 60
  records = ["v=spf1 -all", "other"]
}

resource "aws_route53_record" "alias" {
  zone_id = data.aws_route53_zone.main.zone_id
  name    = "example.org"
  type    = "A"
  alias {
    name                   = "D111111ABCDEF8.cloudfront.net"
    zone_id                = "Z2FDTNDATAQYW2"
    evaluate_target_health = false
  }
}

resource "aws_route53_zone" "other" {
  name    = "example.com"
  comment = "ours"
}

resource "aws_route53_record" "other" {
  zone_id = aws_route53_zone.other.zone_id
  name    = "www.example.com"
  type    = "A"
  ttl     = 60
  records = ["192.0.2.1", "192.0.2.2"]
}
"#;

#[test]
fn zone_and_record_lifecycle() {
    let Some(server) = or_skip(Moto::turn()) else { return };
    let Some(provider) = TestProvider::with(&[("STANDIN_ROUTE53_ENDPOINT", server.endpoint())]) else { return };
    let route53 = client(&server.endpoint());
    tokio::runtime::Runtime::new().unwrap().block_on(zone_and_record_lifecycle_on(route53, provider));
}

async fn zone_and_record_lifecycle_on(route53: Client, provider: TestProvider) {
    let stack = provider.stack(STACK);
    let result = stack.run(&["plan"]);
    assert!(result.code == 1 && result.one_line().contains("no Route 53 hosted zones match"), "{}", result.output);

    let zone = create_zone(&route53, "example.org").await;
    let result = stack.apply();
    assert_eq!(result.code, 0, "{}", result.output);
    assert_eq!(stack.changes(), []);
    let record = stack.values("aws_route53_record.service");
    assert_eq!((&record["zone_id"], &record["fqdn"]), (&json!(zone), &json!("media.example.org")));
    let sets = route53.list_resource_record_sets().hosted_zone_id(&zone).send().await.unwrap().resource_record_sets;
    let cname = sets.iter().find(|set| *set.r#type() == RrType::Cname).unwrap();
    assert_eq!((cname.name(), cname.ttl()), ("media.example.org.", Some(300)));
    assert_eq!(cname.resource_records()[0].value(), "somewhere.example.net");
    let text = sets.iter().find(|set| *set.r#type() == RrType::Txt).unwrap();
    assert!(text.resource_records().iter().any(|it| it.value() == "\"v=spf1 -all\""), "{text:?}");
    let other = stack.values("aws_route53_zone.other")["zone_id"].as_str().unwrap().to_owned();
    assert_eq!(route53.get_hosted_zone().id(&other).send().await.unwrap().hosted_zone.unwrap().name, "example.com.");

    // Another client changes one record and deletes another.
    let mut theirs = cname.clone();
    theirs.resource_records = Some(vec![ResourceRecord::builder().value("theirs.example.net").build().unwrap()]);
    change(&route53, &zone, ChangeAction::Upsert, theirs).await;
    change(&route53, &zone, ChangeAction::Delete, text.clone()).await;
    let of = |name: &str, action: &str| (format!("aws_route53_record.{name}"), action.to_owned());
    assert_eq!(stack.changes(), [of("service", "update"), of("text", "create")]);
    assert!(stack.ok(&["show", "plan"]).output.contains("theirs.example.net"));
    stack.ok(&["apply", "plan"]);
    assert_eq!(stack.changes(), []);

    // Creating an existing record fails.
    let twice = "resource \"aws_route53_record\" \"twice\" {\n  zone_id = data.aws_route53_zone.main.zone_id\n  name = \"media\"\n  type = \"CNAME\"\n  ttl = 1\n  records = [\"a\"]\n}\n";
    let second =
        provider.stack(&format!("data \"aws_route53_zone\" \"main\" {{\n  name = \"example.org\"\n}}\n{twice}"));
    let result = second.apply();
    assert!(result.code == 1 && result.one_line().contains("already exists"), "{}", result.output);

    stack.ok(&["destroy", "-auto-approve", "-input=false"]);
    let sets = route53.list_resource_record_sets().hosted_zone_id(&zone).send().await.unwrap().resource_record_sets;
    assert!(sets.iter().all(|set| [RrType::Ns, RrType::Soa].contains(set.r#type())), "{sets:?}");
    assert!(route53.get_hosted_zone().id(&other).send().await.is_err());
}
