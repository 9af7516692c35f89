//! Buckets on two S3 servers: versitygw, which checks signatures and supports few settings, and moto, which supports nearly
//! all of AWS's settings.

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::types::{BucketVersioningStatus, CorsConfiguration, CorsRule, Tag, Tagging, VersioningConfiguration};
use aws_smithy_http_client::Builder;
use serde_json::json;

use devservers::moto::{Moto, Turn};
use devservers::versitygw::{ACCESS_KEY, REGION, SECRET_KEY, Versitygw};

use super::harness::{TestProvider, or_skip};

const STACK: &str = include_str!("stacks/buckets.tf");

const BUCKETS: [&str; 3] = ["aws-media", "r2-media", "scaleway-media"];

/// Runs a test with a client of the server and a stand-in that creates buckets there.
fn with_server(endpoint: &str, test: impl AsyncFnOnce(Client, TestProvider)) {
    let credentials = Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "test");
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .endpoint_url(endpoint)
        .force_path_style(true)
        .credentials_provider(credentials)
        .http_client(Builder::new().build_http());
    let variables = [
        ("STANDIN_S3_ENDPOINT", endpoint),
        ("STANDIN_S3_ACCESS_KEY", ACCESS_KEY),
        ("STANDIN_S3_SECRET_KEY", SECRET_KEY),
        ("STANDIN_S3_REGION", REGION),
    ];
    let Some(provider) = TestProvider::with(&variables.map(|(name, value)| (name, value.to_owned()))) else { return };
    tokio::runtime::Runtime::new().unwrap().block_on(test(Client::from_conf(config.build()), provider));
}

fn versitygw() -> Option<Versitygw> {
    or_skip(Versitygw::start())
}

fn moto() -> Option<Turn> {
    or_skip(Moto::turn())
}

#[test]
fn bucket_lifecycle_on_versitygw() {
    if let Some(server) = versitygw() {
        with_server(&server.endpoint(), bucket_lifecycle);
    }
}

#[test]
fn bucket_lifecycle_on_moto() {
    if let Some(server) = moto() {
        with_server(&server.endpoint(), bucket_lifecycle);
    }
}

async fn bucket_lifecycle(s3: Client, provider: TestProvider) {
    let stack = provider.stack(STACK);
    let result = stack.apply();
    assert_eq!(result.code, 0, "{}", result.output);
    assert_eq!(stack.changes(), []);
    let buckets = s3.list_buckets().send().await.unwrap().buckets.unwrap();
    let mut names: Vec<_> = buckets.iter().filter_map(|bucket| bucket.name()).collect();
    names.sort_unstable();
    assert_eq!(names, BUCKETS);
    let cors = s3.get_bucket_cors().bucket("scaleway-media").send().await.unwrap().cors_rules.unwrap();
    assert_eq!(
        (cors[0].allowed_methods(), cors[0].max_age_seconds()),
        (&["GET".to_owned(), "PUT".to_owned()][..], Some(300))
    );
    let policy = s3.get_bucket_policy().bucket("scaleway-media").send().await.unwrap().policy.unwrap();
    assert!(policy.contains("scaleway-media/media/*") && !policy.contains("SCW"), "{policy}");

    // Changes that another client makes on the server are drift.
    for (bucket, resource) in [("scaleway-media", "scaleway_object_bucket.media"), ("aws-media", "aws_s3_bucket.media")]
    {
        let tags = Tagging::builder().tag_set(Tag::builder().key("owner").value("theirs").build().unwrap()).build();
        s3.put_bucket_tagging().bucket(bucket).tagging(tags.unwrap()).send().await.unwrap();
        assert_eq!(stack.changes(), [update(resource)]);
        assert!(stack.ok(&["show", "plan"]).output.contains("theirs"));
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
        assert!(stack.ok(&["show", "plan"]).output.contains("https://other.example.org"));
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

    // A deleted bucket is created again, with its settings.
    s3.delete_bucket().bucket("r2-media").send().await.unwrap();
    let create = |name: &str| (format!("cloudflare_r2_bucket{name}.media"), "create".to_owned());
    assert_eq!(stack.changes(), [create(""), create("_cors"), create("_lifecycle")]);
    stack.ok(&["apply", "plan"]);
    assert_eq!(stack.changes(), []);

    // A bucket that contains objects is deleted only with `force_destroy`.
    s3.put_object().bucket("aws-media").key("media/a").send().await.unwrap();
    let result = stack.run(&["destroy", "-auto-approve", "-input=false"]);
    assert!(
        result.code == 1 && result.one_line().contains("delete the bucket aws-media: BucketNotEmpty"),
        "{}",
        result.output
    );
    assert!(stack.apply().code == 0);
    stack.write(&STACK.replace("bucket = \"aws-media\"", "bucket = \"aws-media\"\n  force_destroy = true"));
    assert!(stack.apply().code == 0);
    stack.ok(&["destroy", "-auto-approve", "-input=false"]);
    assert_eq!(s3.list_buckets().send().await.unwrap().buckets().len(), 0);
}

#[test]
fn creating_an_existing_bucket_fails() {
    let Some(server) = versitygw() else { return };
    with_server(&server.endpoint(), async |s3, provider| {
        s3.create_bucket().bucket("taken").send().await.unwrap();
        let stack = provider.stack("resource \"scaleway_object_bucket\" \"it\" {\n  name = \"taken\"\n}\n");
        let result = stack.apply();
        assert!(result.code == 1 && result.one_line().contains("the bucket taken already exists"), "{}", result.output);
        assert_eq!(provider.stored("scaleway_object_bucket"), []);
        // Destroy does not delete the bucket, because the stack did not create it.
        stack.ok(&["destroy", "-auto-approve", "-input=false"]);
        s3.head_bucket().bucket("taken").send().await.unwrap();
    });
}

#[test]
fn lifecycle_encryption_and_public_access_block_drift() {
    let Some(server) = moto() else { return };
    with_server(&server.endpoint(), async |s3, provider| {
        let stack = provider.stack(STACK);
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
        let create = |name: &str| (format!("aws_s3_bucket_{name}.media"), "create".to_owned());
        let mut changes = stack.changes();
        changes.sort();
        assert_eq!(
            changes,
            [
                update("aws_s3_bucket_lifecycle_configuration.media"),
                create("public_access_block"),
                create("server_side_encryption_configuration"),
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
