//! Buckets of an S3 server: of one that checks signatures and knows no more than small providers, and of one that knows
//! nearly all that AWS has.

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::types::{BucketVersioningStatus, CorsConfiguration, CorsRule, Tag, Tagging, VersioningConfiguration};
use aws_smithy_http_client::Builder;
use serde_json::json;

use super::world::{World, need};
use devservers::moto::{Moto, Turn};
use devservers::versitygw::{ACCESS_KEY, REGION, SECRET_KEY, Versitygw};

const STACK: &str = include_str!("stacks/buckets.tf");

const BUCKETS: [&str; 3] = ["aws-media", "r2-media", "scaleway-media"];

/// Runs a test with a client of the server and a stand-in whose buckets are there.
fn on(endpoint: &str, test: impl AsyncFnOnce(Client, World)) {
    let credentials = Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "test");
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .endpoint_url(endpoint)
        .force_path_style(true)
        .credentials_provider(credentials)
        .http_client(Builder::new().build_http());
    let machine = [
        ("STANDIN_S3_ENDPOINT", endpoint),
        ("STANDIN_S3_ACCESS_KEY", ACCESS_KEY),
        ("STANDIN_S3_SECRET_KEY", SECRET_KEY),
        ("STANDIN_S3_REGION", REGION),
    ];
    let Some(world) = World::with(&machine.map(|(name, value)| (name, value.to_owned()))) else { return };
    tokio::runtime::Runtime::new().unwrap().block_on(test(Client::from_conf(config.build()), world));
}

fn versitygw() -> Option<Versitygw> {
    need(Versitygw::start())
}

fn moto() -> Option<Turn> {
    need(Moto::turn())
}

#[test]
fn buckets_are_made_drift_and_end_on_a_server_that_knows_little() {
    if let Some(server) = versitygw() {
        on(&server.endpoint(), life);
    }
}

#[test]
fn buckets_are_made_drift_and_end_on_a_server_that_knows_all() {
    if let Some(server) = moto() {
        on(&server.endpoint(), life);
    }
}

async fn life(s3: Client, world: World) {
    let stack = world.stack(STACK);
    let ran = stack.apply();
    assert_eq!(ran.code, 0, "{}", ran.said);
    assert_eq!(stack.changes(), []);
    let there = s3.list_buckets().send().await.unwrap().buckets.unwrap();
    let mut names: Vec<_> = there.iter().filter_map(|bucket| bucket.name()).collect();
    names.sort_unstable();
    assert_eq!(names, BUCKETS);
    let cors = s3.get_bucket_cors().bucket("scaleway-media").send().await.unwrap().cors_rules.unwrap();
    assert_eq!(
        (cors[0].allowed_methods(), cors[0].max_age_seconds()),
        (&["GET".to_owned(), "PUT".to_owned()][..], Some(300))
    );
    let policy = s3.get_bucket_policy().bucket("scaleway-media").send().await.unwrap().policy.unwrap();
    assert!(policy.contains("scaleway-media/media/*") && !policy.contains("SCW"), "{policy}");

    // By hand, on the server.
    for (bucket, resource) in [("scaleway-media", "scaleway_object_bucket.media"), ("aws-media", "aws_s3_bucket.media")]
    {
        let tags = Tagging::builder().tag_set(Tag::builder().key("owner").value("theirs").build().unwrap()).build();
        s3.put_bucket_tagging().bucket(bucket).tagging(tags.unwrap()).send().await.unwrap();
        assert_eq!(stack.changes(), [update(resource)]);
        assert!(stack.ok(&["show", "plan"]).said.contains("theirs"));
        stack.ok(&["apply", "plan"]);
        assert_eq!(stack.changes(), []);
    }
    for (bucket, resource) in [
        ("scaleway-media", "scaleway_object_bucket.media"),
        ("aws-media", "aws_s3_bucket_cors_configuration.media"),
        ("r2-media", "cloudflare_r2_bucket_cors.media"),
    ] {
        let rule = CorsRule::builder().allowed_methods("GET").allowed_origins("https://other.example.org").build();
        let rules = CorsConfiguration::builder().cors_rules(rule.unwrap()).build().unwrap();
        s3.put_bucket_cors().bucket(bucket).cors_configuration(rules).send().await.unwrap();
        assert_eq!(stack.changes(), [update(resource)]);
        assert!(stack.ok(&["show", "plan"]).said.contains("https://other.example.org"));
        stack.ok(&["apply", "plan"]);
        assert_eq!(stack.changes(), []);
    }
    for (bucket, resource) in
        [("scaleway-media", "scaleway_object_bucket.media"), ("aws-media", "aws_s3_bucket_versioning.media")]
    {
        let off = VersioningConfiguration::builder().status(BucketVersioningStatus::Suspended).build();
        s3.put_bucket_versioning().bucket(bucket).versioning_configuration(off).send().await.unwrap();
        assert_eq!(stack.changes(), [update(resource)]);
        stack.ok(&["apply", "plan"]);
        assert_eq!(stack.changes(), []);
    }
    s3.delete_bucket_policy().bucket("aws-media").send().await.unwrap();
    assert_eq!(stack.changes(), [("aws_s3_bucket_policy.media".to_owned(), "create".to_owned())]);
    stack.ok(&["apply", "plan"]);

    // Gone, and with it all that belongs to it.
    s3.delete_bucket().bucket("r2-media").send().await.unwrap();
    let made = |name: &str| (format!("cloudflare_r2_bucket{name}.media"), "create".to_owned());
    assert_eq!(stack.changes(), [made(""), made("_cors"), made("_lifecycle")]);
    stack.ok(&["apply", "plan"]);
    assert_eq!(stack.changes(), []);

    // What is in it keeps it, unless the stack says otherwise.
    s3.put_object().bucket("aws-media").key("media/a").send().await.unwrap();
    let ran = stack.run(&["destroy", "-auto-approve", "-input=false"]);
    assert!(ran.code == 1 && ran.line().contains("remove the bucket aws-media: BucketNotEmpty"), "{}", ran.said);
    assert!(stack.apply().code == 0);
    stack.write(&STACK.replace("bucket = \"aws-media\"", "bucket = \"aws-media\"\n  force_destroy = true"));
    assert!(stack.apply().code == 0);
    stack.ok(&["destroy", "-auto-approve", "-input=false"]);
    assert_eq!(s3.list_buckets().send().await.unwrap().buckets().len(), 0);
}

#[test]
fn a_bucket_that_is_there_is_not_taken_over() {
    let Some(server) = versitygw() else { return };
    on(&server.endpoint(), async |s3, world| {
        s3.create_bucket().bucket("taken").send().await.unwrap();
        let stack = world.stack("resource \"scaleway_object_bucket\" \"it\" {\n  name = \"taken\"\n}\n");
        let ran = stack.apply();
        assert!(ran.code == 1 && ran.line().contains("the bucket taken already exists"), "{}", ran.said);
        assert_eq!(world.kept("scaleway_object_bucket"), []);
        // What was not made is not ended.
        stack.ok(&["destroy", "-auto-approve", "-input=false"]);
        s3.head_bucket().bucket("taken").send().await.unwrap();
    });
}

#[test]
fn settings_that_only_large_servers_know_drift_there() {
    let Some(server) = moto() else { return };
    on(&server.endpoint(), async |s3, world| {
        let stack = world.stack(STACK);
        assert_eq!(stack.apply().code, 0);
        let rules =
            s3.get_bucket_lifecycle_configuration().bucket("scaleway-media").send().await.unwrap().rules.unwrap();
        assert_eq!(rules.len(), 2);
        for bucket in BUCKETS {
            let get = s3.get_bucket_lifecycle_configuration().bucket(bucket).send().await.unwrap();
            let mut rules = get.rules.unwrap();
            let expiration = aws_sdk_s3::types::LifecycleExpiration::builder().days(7).build();
            rules[0].expiration = Some(expiration);
            let rules =
                aws_sdk_s3::types::BucketLifecycleConfiguration::builder().set_rules(Some(rules)).build().unwrap();
            s3.put_bucket_lifecycle_configuration().bucket(bucket).lifecycle_configuration(rules).send().await.unwrap();
        }
        s3.delete_public_access_block().bucket("aws-media").send().await.unwrap();
        s3.delete_bucket_encryption().bucket("aws-media").send().await.unwrap();
        let made = |name: &str| (format!("aws_s3_bucket_{name}.media"), "create".to_owned());
        let mut changes = stack.changes();
        changes.sort();
        assert_eq!(
            changes,
            [
                update("aws_s3_bucket_lifecycle_configuration.media"),
                made("public_access_block"),
                made("server_side_encryption_configuration"),
                update("cloudflare_r2_bucket_lifecycle.media"),
                update("scaleway_object_bucket.media"),
            ]
        );
        stack.ok(&["apply", "plan"]);
        assert_eq!(stack.changes(), []);
        assert_eq!(json!(stack.values("aws_s3_bucket_public_access_block.media")["block_public_acls"]), json!(true));
    });
}

fn update(address: &str) -> (String, String) {
    (address.to_owned(), "update".to_owned())
}
