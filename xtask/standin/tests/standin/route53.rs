//! A client of the Route 53 server.

use aws_sdk_route53::Client;
use aws_sdk_route53::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_route53::types::{Change, ChangeAction, ChangeBatch, ResourceRecord, ResourceRecordSet, RrType};
use aws_smithy_http_client::Builder;

pub fn client(endpoint: &str) -> Client {
    let config = aws_sdk_route53::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(endpoint)
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .http_client(Builder::new().build_http());
    Client::from_conf(config.build())
}

/// Creates a public zone and returns its id.
pub async fn create_zone(route53: &Client, name: &str) -> String {
    let zone = route53.create_hosted_zone().name(name).caller_reference(name).send().await.unwrap();
    zone.hosted_zone.unwrap().id.rsplit('/').next().unwrap().to_owned()
}

/// Creates a record with one value.
pub async fn record(route53: &Client, zone: &str, name: &str, kind: &str, value: &str) {
    let value = ResourceRecord::builder().value(value).build().unwrap();
    let set = ResourceRecordSet::builder().name(name).r#type(RrType::from(kind)).ttl(60).resource_records(value);
    change(route53, zone, ChangeAction::Create, set.build().unwrap()).await;
}

pub async fn change(route53: &Client, zone: &str, action: ChangeAction, set: ResourceRecordSet) {
    let change = Change::builder().action(action).resource_record_set(set).build().unwrap();
    let batch = ChangeBatch::builder().changes(change).build().unwrap();
    route53.change_resource_record_sets().hosted_zone_id(zone).change_batch(batch).send().await.unwrap();
}
