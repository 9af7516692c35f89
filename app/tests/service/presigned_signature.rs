//! Presigned URLs against those of botocore, Amazon's own client, for the same request, key and time.

use std::collections::BTreeMap;

use devservers::{moto, versitygw};
use reqwest::{Method, StatusCode, Url};
use serde_json::json;
use testkit::or_skip;

use crate::{
    presigned::{answer, create, created},
    storage::Bucket,
    support::Service,
};

/// Signs the request of a URL again, with these headers, at the URL's own time, and prints the new URL.
const SIGN_AGAIN: &str = r#"
import datetime, json, os, sys
from urllib.parse import urlencode, urlsplit, parse_qsl
import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

url, headers, region = urlsplit(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3]
query = dict(parse_qsl(url.query))
at = datetime.datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ")
botocore.auth.get_current_datetime = lambda *_: at
rest = urlencode({name: value for name, value in query.items() if not name.startswith("X-Amz-")})
request = AWSRequest("PUT", f"{url.scheme}://{url.netloc}{url.path}?{rest}", headers=headers)
credentials = Credentials(os.environ["KEY_ID"], os.environ["SECRET"])
expires = int(query["X-Amz-Expires"])
botocore.auth.S3SigV4QueryAuth(credentials, "s3", region, expires=expires).add_auth(request)
print(request.url)
"#;

fn query(url: &str) -> BTreeMap<String, String> {
    Url::parse(url).unwrap().query_pairs().into_owned().collect()
}

fn assert_signed_alike(url: &str, headers: &serde_json::Value) {
    let mut python = moto::python(SIGN_AGAIN).unwrap();
    let python = python.args([url, &headers.to_string(), versitygw::REGION]);
    let output = python.env("KEY_ID", versitygw::ACCESS_KEY).env("SECRET", versitygw::SECRET_KEY).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let again = String::from_utf8(output.stdout).unwrap();
    let (ours, theirs) = (query(url), query(again.trim()));
    assert!(ours["X-Amz-Signature"].len() == 64 && ours.len() >= 6, "{url}");
    assert_eq!(ours, theirs);
}

#[tokio::test]
async fn a_url_is_signed_as_botocore_signs_it() {
    let test = "a_url_is_signed_as_botocore_signs_it";
    if or_skip(test, moto::install()).is_none() {
        return;
    }
    let Some(bucket) = Bucket::start(test) else { return };
    let service = Service::start_with(|setup| bucket.use_by(setup)).await.sign_in().await;
    let (_, url) = created(&service, "image/avif").await;
    assert_signed_alike(&url, &json!({ "Content-Type": "image/avif" }));

    let body = json!({ "content_type": "image/png", "file_name": "ä", "content_length": 12_345 });
    let (_, upload) = create(&service, body).await;
    let headers = json!({ "Content-Type": "image/png", "Content-Length": "12345" });
    assert_signed_alike(upload["upload_url"].as_str().unwrap(), &headers);

    let body = json!({ "content_type": "video/mp4", "file_name": "a", "content_length": 9 });
    let (status, upload) = answer(service.request(Method::POST, "/api/image/v1/upload/multipart").json(&body)).await;
    assert_eq!(status, StatusCode::CREATED, "{upload}");
    let path = format!("/api/image/v1/upload/{}/parts", upload["image_id"].as_str().unwrap());
    let (_, urls) = answer(service.request(Method::POST, &path).json(&json!({ "part_numbers": [1] }))).await;
    assert_signed_alike(urls["items"][0]["upload_url"].as_str().unwrap(), &json!({ "Content-Length": "9" }));
}
