//! Media that CloudFront delivers, by signed URLs.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use reqwest::{Method, StatusCode, Url};
use ring::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject as _};
use serde_json::{Value, json};

use crate::{
    pictures,
    storage::{BUCKET, Bucket},
    support::{Service, Setup},
};

const KEY: &str = include_str!("../keys/cloudfront.pem");

const CDN: &str = "https://d111111abcdef8.cloudfront.net";

/// Sets the distribution.
pub(crate) fn use_by(setup: Setup) -> Setup {
    setup.var("CDN_URL", CDN).var("CDN_KEY_PAIR_ID", "K2JCJMDEHXQW5F").var("CDN_PRIVATE_KEY", KEY)
}

/// What CloudFront does with a URL: takes the signature out of the query, writes the canned policy for the rest, and verifies
/// it. Returns the path without its slash, and when the URL expires.
pub(crate) fn verified(url: &str) -> (String, i64) {
    let (resource, signed) = url.split_once("&Expires=").unwrap();
    let mut parts = signed.split('&');
    let expires = parts.next().unwrap();
    let rest: Vec<_> = parts.collect();
    let signature = rest[0].strip_prefix("Signature=").unwrap();
    assert_eq!(rest[1..], ["Key-Pair-Id=K2JCJMDEHXQW5F", "Hash-Algorithm=SHA256"]);
    assert!(signature.chars().all(|c| c.is_ascii_alphanumeric() || "-_~".contains(c)), "{signature}");

    let condition = json!({ "DateLessThan": { "AWS:EpochTime": expires.parse::<i64>().unwrap() } });
    let statement = format!(r#"{{"Resource":"{resource}","Condition":{condition}}}"#);
    let policy = format!(r#"{{"Statement":[{statement}]}}"#);
    let der = PrivatePkcs8KeyDer::from_pem_slice(KEY.as_bytes()).unwrap();
    let key = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).unwrap();
    let signature = signature.replace('-', "+").replace('_', "=").replace('~', "/");
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public_key().as_ref())
        .verify(policy.as_bytes(), &BASE64_STANDARD.decode(signature).unwrap())
        .unwrap_or_else(|_| panic!("a wrong signature: {url}"));

    let parsed: Url = url.parse().unwrap();
    assert_eq!(parsed.origin().ascii_serialization(), CDN);
    (parsed.path()[1..].to_owned(), expires.parse().unwrap())
}

#[tokio::test]
async fn every_answer_with_media_has_urls_that_cloudfront_accepts() {
    let Some(bucket) = Bucket::start("every_answer_with_media_has_urls_that_cloudfront_accepts") else { return };
    let service = Service::start_with(|setup| use_by(bucket.use_by(setup))).await.sign_in().await;
    let (status, uploaded) = service.upload(&pictures::jpeg(300, 200), "a.jpg", "image/jpeg").await;
    assert_eq!(status, StatusCode::CREATED, "{uploaded}");
    let id = uploaded["id"].as_str().unwrap();
    let made = json!({ "items": [id], "title": "one" });
    let share: Value =
        service.request(Method::POST, "/api/shares").json(&made).send().await.unwrap().json().await.unwrap();
    let shared = format!("/api/shared/{}", share["token"].as_str().unwrap_or_else(|| panic!("{share}")));
    let answers = [
        uploaded.clone(),
        service.json(&format!("/api/media/{id}")).await,
        service.json("/api/media").await["items"][0].clone(),
        service.json(&shared).await["items"][0].clone(),
    ];
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    for answer in answers {
        for (field, key) in [
            ("file_url", format!("uploads/{id}")),
            ("thumbnail_url", format!("thumbs/{id}.webp")),
            ("clipboard_url", format!("clipboard/{id}.png")),
        ] {
            let (path, expires) = verified(answer[field].as_str().unwrap_or_else(|| panic!("{answer}")));
            assert_eq!(path, key);
            assert!(bucket.server.bucket(BUCKET).join(path).is_file(), "{key} is in the bucket");
            assert!((now + 1700..=now + 3600).contains(&expires), "{expires} is less than an hour after {now}");
        }
    }
    let line = KEY.lines().nth(1).unwrap();
    assert!(!service.process.log().iter().any(|logged| logged.contains(line)), "the log has no key");
}
