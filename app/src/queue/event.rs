//! What a message says: the records of S3 ("Event message structure", Amazon S3 User Guide), its test event, and the events of
//! EventBridge ("EventBridge event message structure").

use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::Value;

use crate::{media::MediaId, storage::StorageKey};

/// A part of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Notice {
    /// An object has arrived under the key of this media's original.
    Arrived(MediaId),
    /// S3 sends one when it is told of the queue.
    Test,
    /// Says nothing about an upload, and why. Another attempt would not help.
    Malformed(String),
}

/// Reads a message of the queue of this bucket. Keys must have the form `^uploads/[0-7][0-9A-HJKMNP-TV-Z]{25}$`.
pub(super) fn read(message: &str, bucket: &str) -> Vec<Notice> {
    let message: Message = match serde_json::from_str(message) {
        Ok(message) => message,
        Err(error) => return vec![malformed(format!("it is no JSON object of S3: {error}"))],
    };
    match message {
        Message { records: Some(records), .. } if records.is_empty() => vec![malformed("it has no records")],
        Message { records: Some(records), .. } => records.into_iter().map(|record| of_s3(record, bucket)).collect(),
        Message { event: Some(event), .. } if event == "s3:TestEvent" => vec![Notice::Test],
        Message { source: Some(source), kind, detail: Some(detail), .. } if source == "aws.s3" => {
            vec![of_event_bridge(&kind.unwrap_or_default(), detail, bucket)]
        }
        _ => vec![malformed("it is no event of S3")],
    }
}

#[derive(Deserialize)]
struct Message {
    #[serde(rename = "Records")]
    records: Option<Vec<Value>>,
    #[serde(rename = "Event")]
    event: Option<String>,
    source: Option<String>,
    #[serde(rename = "detail-type")]
    kind: Option<String>,
    detail: Option<Value>,
}

#[derive(Deserialize)]
struct Record {
    #[serde(rename = "eventName")]
    name: String,
    s3: Subject,
}

#[derive(Deserialize)]
struct Subject {
    bucket: Bucket,
    object: Object,
}

#[derive(Deserialize)]
struct Bucket {
    name: String,
}

#[derive(Deserialize)]
struct Object {
    key: String,
}

fn of_s3(record: Value, bucket: &str) -> Notice {
    let Record { name, s3 } = match serde_json::from_value(record) {
        Ok(record) => record,
        Err(error) => return malformed(format!("a record is not one of S3: {error}")),
    };
    // Without `s3:`, as S3 writes it; other stores write it with that.
    if !name.trim_start_matches("s3:").starts_with("ObjectCreated:") {
        return malformed(format!("the event {name:?} is not about a new object"));
    }
    // As in a form, where a blank is a plus.
    let key = s3.object.key.replace('+', " ");
    match percent_decode_str(&key).decode_utf8() {
        Ok(key) => arrived(&s3.bucket.name, &key, bucket),
        Err(_) => malformed(format!("the key {key:?} is not UTF-8")),
    }
}

/// Its keys are not encoded.
fn of_event_bridge(kind: &str, detail: Value, bucket: &str) -> Notice {
    if kind != "Object Created" {
        return malformed(format!("the event {kind:?} is not about a new object"));
    }
    match serde_json::from_value::<Subject>(detail) {
        Ok(Subject { bucket: found, object }) => arrived(&found.name, &object.key, bucket),
        Err(error) => malformed(format!("the detail is not one of S3: {error}")),
    }
}

fn arrived(found: &str, key: &str, bucket: &str) -> Notice {
    if found != bucket {
        return malformed(format!("it is about another bucket, {found:?}"));
    }
    match key.parse() {
        Ok(StorageKey::Original(id)) => Notice::Arrived(id),
        _ => malformed(format!("the key {key:?} is not one of an upload")),
    }
}

fn malformed(why: impl Into<String>) -> Notice {
    Notice::Malformed(why.into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ID: &str = "01JZX3Q8D7R1V5T9K2M4N6P8S0";

    fn arrived() -> Notice {
        Notice::Arrived(ID.parse().unwrap())
    }

    /// With the fields that S3 sends.
    fn record(name: &str, bucket: &str, key: &str) -> Value {
        json!({
            "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "eu-north-1",
            "eventTime": "2026-11-30T04:05:06.789Z", "eventName": name,
            "userIdentity": { "principalId": "AWS:AIDAEXAMPLE" },
            "requestParameters": { "sourceIPAddress": "192.0.2.7" },
            "responseElements": { "x-amz-request-id": "C3D13FE58DE4C810", "x-amz-id-2": "FMyUVURIY8/IgAtTv8xRjskZQpcI" },
            "s3": {
                "s3SchemaVersion": "1.0", "configurationId": "uploads",
                "bucket": { "name": bucket, "ownerIdentity": { "principalId": "A3NL" }, "arn": format!("arn:aws:s3:::{bucket}") },
                "object": { "key": key, "size": 1024, "eTag": "d41d8cd98f00b204e9800998ecf8427e", "sequencer": "0055AED6DCD90281E5" },
            },
        })
    }

    fn event_bridge(kind: &str, bucket: &str, key: &str) -> Value {
        json!({
            "version": "0", "id": "17793124-05d4-b198-2fde-7ededc63b103", "detail-type": kind, "source": "aws.s3",
            "account": "123456789012", "time": "2026-11-30T04:05:06Z", "region": "eu-north-1",
            "resources": [format!("arn:aws:s3:::{bucket}")],
            "detail": {
                "version": "0", "bucket": { "name": bucket },
                "object": { "key": key, "size": 5, "etag": "b1946ac92492d2347c6235b4d2611184", "sequencer": "00617F08299329D189" },
                "request-id": "N4N7GDK58NMKJ12R", "requester": "123456789012", "reason": "PutObject",
            },
        })
    }

    #[test]
    fn events_of_new_objects_are_read() {
        let key = format!("uploads/{ID}");
        for name in ["Put", "Post", "Copy", "CompleteMultipartUpload"] {
            let message = json!({ "Records": [record(&format!("ObjectCreated:{name}"), "media", &key)] });
            assert_eq!(read(&message.to_string(), "media"), [arrived()], "{name}");
        }
        let encoded = format!("uploads%2F{ID}");
        for record in [record("ObjectCreated:Put", "media", &encoded), record("s3:ObjectCreated:Put", "media", &key)] {
            assert_eq!(read(&json!({ "Records": [record] }).to_string(), "media"), [arrived()]);
        }
        let message = event_bridge("Object Created", "media", &key);
        assert_eq!(read(&message.to_string(), "media"), [arrived()]);
    }

    #[test]
    fn a_test_event_is_one() {
        let message = json!({
            "Service": "Amazon S3", "Event": "s3:TestEvent", "Time": "2026-11-30T04:05:06.789Z", "Bucket": "media",
            "RequestId": "5582815E1AEA5ADF", "HostId": "8cLeGAmw098X5cv4Zkwcmo8vvZa3eH3e",
        });
        assert_eq!(read(&message.to_string(), "media"), [Notice::Test]);
    }

    #[test]
    fn a_record_that_is_none_hides_no_other() {
        let good = record("ObjectCreated:Put", "media", &format!("uploads/{ID}"));
        let message = json!({ "Records": [{ "eventName": "ObjectCreated:Put" }, good, 7, null] });
        let notices = read(&message.to_string(), "media");
        assert_eq!(notices.len(), 4);
        assert_eq!(notices[1], arrived());
        assert!(notices.iter().filter(|notice| matches!(notice, Notice::Malformed(_))).count() == 3, "{notices:?}");
    }

    #[test]
    fn what_is_not_about_an_upload_is_malformed_and_says_why() {
        let s3 = |name: &str, bucket: &str, key: &str| json!({ "Records": [record(name, bucket, key)] }).to_string();
        let key = |key: &str| s3("ObjectCreated:Put", "media", key);
        let cases = [
            (String::new(), "no JSON"),
            ("hello".into(), "no JSON"),
            ("[]".into(), "no JSON"),
            ("null".into(), "no JSON"),
            ("{}".into(), "no event of S3"),
            (r#"{"Records": []}"#.into(), "no records"),
            (r#"{"Records": "x"}"#.into(), "no JSON"),
            (r#"{"Event": "s3:OtherEvent"}"#.into(), "no event of S3"),
            (s3("ObjectRemoved:Delete", "media", &format!("uploads/{ID}")), "not about a new object"),
            (s3("ObjectCreated:Put", "other", &format!("uploads/{ID}")), "another bucket"),
            (key("uploads/"), "not one of an upload"),
            (key(&format!("uploads/{}", &ID[1..])), "not one of an upload"),
            (key(&format!("uploads/{ID}0")), "not one of an upload"),
            (key(&format!("uploads/8{}", &ID[1..])), "not one of an upload"),
            (key(&format!("uploads/{}", ID.to_lowercase())), "not one of an upload"),
            (key(&format!("uploads/{}U", &ID[..25])), "not one of an upload"),
            (key(&format!("uploads/{ID}%0A")), "not one of an upload"),
            (key(&format!("uploads/{ID}+")), "not one of an upload"),
            (key(&format!("/uploads/{ID}")), "not one of an upload"),
            (key(&format!("thumbs/{ID}.webp")), "not one of an upload"),
            (key(&format!("uploads%252F{ID}")), "not one of an upload"),
            (key("uploads/%FF"), "not UTF-8"),
            (event_bridge("Object Deleted", "media", &format!("uploads/{ID}")).to_string(), "not about a new object"),
            (event_bridge("Object Created", "media", &format!("uploads%2F{ID}")).to_string(), "not one of an upload"),
            (event_bridge("Object Created", "other", &format!("uploads/{ID}")).to_string(), "another bucket"),
            (r#"{"source": "aws.s3", "detail-type": "Object Created", "detail": {}}"#.into(), "not one of S3"),
        ];
        for (message, why) in cases {
            let notices = read(&message, "media");
            let [Notice::Malformed(said)] = &notices[..] else { panic!("{message}: {notices:?}") };
            assert!(said.contains(why), "{message}: {said}");
        }
    }
}
