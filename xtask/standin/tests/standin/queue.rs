//! A bucket that tells a queue of its objects, both on a server with Amazon's services.

use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::types::NotificationConfiguration;
use aws_sdk_sqs::types::QueueAttributeName;
use aws_smithy_http_client::Builder;

use devservers::moto::Moto;

use super::harness::{TestProvider, or_skip};

const STACK: &str = include_str!("stacks/uploads.tf");

#[test]
fn a_bucket_tells_a_queue_of_its_objects() {
    let Some(moto) = or_skip(Moto::turn()) else { return };
    let Some(provider) = TestProvider::with(&[("STANDIN_AWS_ENDPOINT", moto.endpoint())]) else { return };
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let (s3, sqs) = (s3(&moto.endpoint()), sqs(&moto.endpoint()));
        let stack = provider.stack(STACK);
        let result = stack.apply();
        assert_eq!(result.code, 0, "{}", result.output);
        assert_eq!(stack.changes(), []);
        let url = stack.values("aws_sqs_queue.uploads")["id"].as_str().unwrap().to_owned();
        assert_eq!(url, format!("{}/123456789012/uploads", moto.endpoint()));

        for key in ["uploads/a", "thumbs/b"] {
            s3.put_object().bucket("media").key(key).send().await.unwrap();
        }
        let received = sqs.receive_message().queue_url(&url).max_number_of_messages(10).send().await.unwrap();
        let bodies: Vec<_> = received.messages().iter().filter_map(|message| message.body()).collect();
        // The bucket's first message is a test of the queue.
        assert_eq!(bodies.len(), 2, "{bodies:?}");
        assert!(bodies[0].contains("s3:TestEvent") && bodies[1].contains("uploads%2Fa"), "{bodies:?}");

        // Changes that another client makes on the server are drift.
        let changed = [(QueueAttributeName::VisibilityTimeout, "7".to_owned())].into();
        sqs.set_queue_attributes().queue_url(&url).set_attributes(Some(changed)).send().await.unwrap();
        assert_eq!(stack.changes(), [("aws_sqs_queue.uploads".to_owned(), "update".to_owned())]);
        stack.ok(&["apply", "plan"]);
        let asked = sqs.get_queue_attributes().queue_url(&url).attribute_names(QueueAttributeName::All);
        let attributes = asked.send().await.unwrap().attributes.unwrap();
        assert_eq!(attributes[&QueueAttributeName::VisibilityTimeout], "120");
        assert!(attributes[&QueueAttributeName::RedrivePolicy].contains("arn:aws:sqs:eu-north-1:123456789012:dead"));
        let none = NotificationConfiguration::builder().build();
        let put = s3.put_bucket_notification_configuration().bucket("media").notification_configuration(none);
        put.send().await.unwrap();
        assert_eq!(stack.changes(), [("aws_s3_bucket_notification.media".to_owned(), "create".to_owned())]);
        stack.ok(&["apply", "plan"]);
        sqs.delete_queue().queue_url(&url).send().await.unwrap();
        let both = [("aws_s3_bucket_notification.media", "update"), ("aws_sqs_queue.uploads", "create")];
        assert_eq!(stack.changes(), both.map(|(address, change)| (address.to_owned(), change.to_owned())));
        stack.ok(&["apply", "plan"]);
        assert_eq!(stack.changes(), []);

        s3.delete_object().bucket("media").key("uploads/a").send().await.unwrap();
        s3.delete_object().bucket("media").key("thumbs/b").send().await.unwrap();
        stack.ok(&["destroy", "-auto-approve", "-input=false"]);
        assert_eq!(sqs.list_queues().send().await.unwrap().queue_urls().len(), 0);
    });
}

fn s3(endpoint: &str) -> aws_sdk_s3::Client {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-north-1"))
        .endpoint_url(endpoint)
        .force_path_style(true)
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .http_client(Builder::new().build_http());
    aws_sdk_s3::Client::from_conf(config.build())
}

fn sqs(endpoint: &str) -> aws_sdk_sqs::Client {
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-north-1"))
        .endpoint_url(endpoint)
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .http_client(Builder::new().build_http());
    aws_sdk_sqs::Client::from_conf(config.build())
}
