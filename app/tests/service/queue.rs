//! Presigned uploads that the bucket tells of, by events in a queue of SQS. moto has both.

use std::path::Path;

use aws_sdk_s3::types::{
    Event, FilterRule, FilterRuleName, NotificationConfiguration, NotificationConfigurationFilter, QueueConfiguration,
    S3KeyFilter,
};
use aws_sdk_sqs::types::QueueAttributeName as Attribute;
use devservers::moto::{Moto, Turn};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use testkit::or_skip;

use crate::{
    cdn, pictures,
    support::{CLIENT, Service, Setup, eventually},
};

/// A bucket that tells a queue of new objects.
struct Events {
    moto: Turn,
    sqs: aws_sdk_sqs::Client,
    s3: aws_sdk_s3::Client,
    queue: String,
    dead: String,
    spool: tempfile::TempDir,
}

impl Events {
    async fn start(test: &str) -> Option<Self> {
        let moto = or_skip(test, Moto::turn())?;
        let credentials = || aws_sdk_s3::config::Credentials::new("id", "sentinel-secret", None, None, "test");
        let sqs = aws_sdk_sqs::Config::builder()
            .behavior_version(aws_sdk_sqs::config::BehaviorVersion::latest())
            .region(aws_sdk_sqs::config::Region::new("us-east-1"))
            .endpoint_url(moto.endpoint())
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .credentials_provider(credentials());
        let s3 = aws_sdk_s3::Config::builder()
            .behavior_version(aws_sdk_s3::config::BehaviorVersion::latest())
            .region(aws_sdk_s3::config::Region::new("us-east-1"))
            .endpoint_url(moto.endpoint())
            .force_path_style(true)
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .credentials_provider(credentials());
        let (sqs, s3) = (aws_sdk_sqs::Client::from_conf(sqs.build()), aws_sdk_s3::Client::from_conf(s3.build()));
        let arn = async |url: &str| {
            let call = sqs.get_queue_attributes().queue_url(url).attribute_names(Attribute::QueueArn);
            call.send().await.unwrap().attributes.unwrap().remove(&Attribute::QueueArn).unwrap()
        };
        let dead = sqs.create_queue().queue_name("dead").send().await.unwrap().queue_url.unwrap();
        let policy = format!(r#"{{"deadLetterTargetArn":"{}","maxReceiveCount":5}}"#, arn(&dead).await);
        let call = sqs.create_queue().queue_name("uploads").attributes(Attribute::RedrivePolicy, policy);
        let queue = call.send().await.unwrap().queue_url.unwrap();
        s3.create_bucket().bucket("media").send().await.unwrap();
        let uploads = FilterRule::builder().name(FilterRuleName::Prefix).value("uploads/").build();
        let uploads = S3KeyFilter::builder().filter_rules(uploads).build();
        let told = QueueConfiguration::builder()
            .queue_arn(arn(&queue).await)
            .events(Event::S3ObjectCreated)
            .filter(NotificationConfigurationFilter::builder().key(uploads).build());
        let all = NotificationConfiguration::builder().queue_configurations(told.build().unwrap()).build();
        let call = s3.put_bucket_notification_configuration().bucket("media").notification_configuration(all);
        call.send().await.unwrap();
        Some(Self { moto, sqs, s3, queue, dead, spool: tempfile::tempdir().unwrap() })
    }

    /// The worker is told of uploads by events alone.
    fn use_by(&self, setup: Setup) -> Setup {
        let mut setup = setup
            .var("STORAGE_BACKEND", "s3")
            .var("S3_BUCKET", "media")
            .var("S3_REGION", "us-east-1")
            .var("S3_ENDPOINT", self.moto.endpoint())
            .var("S3_ACCESS_KEY_ID", "id")
            .var("S3_SECRET_ACCESS_KEY", "sentinel-secret")
            .var("SPOOL_DIR", self.spool.path().display())
            .var("QUEUE_URL", &self.queue)
            .var("PENDING_LOOK_SECONDS", 604_800);
        setup.vars.remove("UPLOAD_DIR");
        cdn::use_by(setup)
    }

    /// What a command prints that has the settings of a service.
    fn worker(&self, service: &Service, arguments: &[&str]) -> String {
        let setup = self.use_by(Setup::new(&service.database.url, Path::new("/nowhere")));
        let output = setup.command().arg("worker").args(arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    async fn until_idle(&self, service: &Service) {
        let idle = json!({ "jobs": [], "queue": { "waiting": 0, "in_flight": 0, "dead": 0 } });
        eventually("nothing waits", async || {
            serde_json::from_str::<Value>(&self.worker(service, &["status", "--json"])).unwrap() == idle
        })
        .await;
    }
}

#[tokio::test]
async fn an_upload_is_made_ready_by_its_event_and_downloaded_at_a_url_for_cloudfront() {
    let test = "an_upload_is_made_ready_by_its_event_and_downloaded_at_a_url_for_cloudfront";
    let Some(events) = Events::start(test).await else { return };
    let mut service = Service::start_with(|setup| events.use_by(setup)).await.sign_in().await;
    let mut ids = Vec::new();
    for side in 20..24 {
        let body = json!({ "content_type": "image/png", "file_name": "a.png" });
        let call = service.request(Method::POST, "/api/image/v1/upload/create-presigned-url").json(&body);
        let upload: Value = call.send().await.unwrap().json().await.unwrap();
        let (id, url) = (upload["image_id"].as_str().unwrap(), upload["upload_url"].as_str().unwrap());
        let put = CLIENT.put(url).header("content-type", "image/png").body(pictures::png(side, 10));
        assert_eq!(put.send().await.unwrap().status(), StatusCode::OK, "{upload}");
        ids.push(id.to_owned());
    }
    for id in &ids {
        eventually("the upload is ready", async || {
            service.json(&format!("/api/image/v1/upload/{id}?wait=20")).await["status"] == "ready"
        })
        .await;
    }
    let call = service.request(Method::POST, "/api/image/v1/download/get-signed-urls");
    let urls: Value = call.json(&json!({ "image_ids": ids })).send().await.unwrap().json().await.unwrap();
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    for (id, item) in ids.iter().zip(urls["items"].as_array().unwrap()) {
        assert_eq!(item["image_id"], *id);
        let (path, expires) = cdn::verified(item["download_url"].as_str().unwrap());
        let object = events.s3.head_object().bucket("media").key(&path).send().await.unwrap();
        assert_eq!(object.content_type(), Some("image/png"), "{path} is in the bucket");
        assert!((now + 299..=now + 600).contains(&expires), "{expires} is at most ten minutes after {now}");
        let format = time::format_description::well_known::Rfc3339;
        let told = time::OffsetDateTime::parse(item["expires_at"].as_str().unwrap(), &format).unwrap();
        assert_eq!(told.unix_timestamp(), expires);
    }

    // The events of the objects that the worker has stored itself are no uploads.
    events.until_idle(&service).await;
    events.sqs.send_message().queue_url(&events.dead).message_body("malformed").send().await.unwrap();
    assert!(events.worker(&service, &["status"]).ends_with("0 waiting, 0 in flight, 1 in the dead-letter queue\n"));
    let moved = "0 jobs are tried again\n1 messages moved from the dead-letter queue\n";
    assert_eq!(events.worker(&service, &["redrive"]), moved);
    service.process.logged("a malformed message of the queue is deleted").await;
    events.until_idle(&service).await;
    service.process.logged("the queue has a test event: the bucket tells it of new objects").await;

    service.process.signal("-TERM");
    assert!(service.process.ended().await.success());
    assert!(!service.process.log().iter().any(|line| line.contains("sentinel-secret")), "the log has no secrets");
}
