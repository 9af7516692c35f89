//! What only a bucket has: errors of the network and of the store, parts, presigned URLs.

use std::time::{Duration, Instant};

use devservers::{FaultyServer, Versitygw, faulty::Fault, versitygw};
use secrecy::SecretString;
use testkit::or_skip;

use super::{
    super::{Storage, StorageError, StorageKey},
    BUCKET, Fixture, content, open_s3, put_file, read, settings, spooled,
};
use crate::{media::MediaId, settings::S3Settings};

/// A storage behind a server with faults.
struct Faulty {
    storage: Storage,
    proxy: FaultyServer,
    server: Versitygw,
    _spool: tempfile::TempDir,
}

impl Faulty {
    async fn start(test: &str, fault: fn(&str, usize) -> Fault) -> Option<Self> {
        Self::start_in(test, versitygw::REGION, fault).await
    }

    async fn start_in(test: &str, region: &str, fault: fn(&str, usize) -> Fault) -> Option<Self> {
        let server = or_skip(test, Versitygw::start_in(region, versitygw::SECRET_KEY))?;
        server.bucket(BUCKET);
        let (spool, proxy) = (tempfile::tempdir().unwrap(), FaultyServer::start(&server.endpoint(), fault));
        let settings = S3Settings { region: region.to_owned(), ..settings(&proxy.endpoint, spool.path()) };
        let storage = open_s3(&settings).await;
        Some(Self { storage, proxy, server, _spool: spool })
    }

    /// The folder in which the server keeps the parts of uploads.
    fn uploads_in_progress(&self) -> Vec<std::path::PathBuf> {
        let parts = self.server.bucket(BUCKET).join(".sgwtmp/multipart");
        let folders = fs_err::read_dir(parts).into_iter().flatten().flatten();
        folders
            .flat_map(|folder| fs_err::read_dir(folder.path()).into_iter().flatten().flatten())
            .map(|it| it.path())
            .collect()
    }
}

#[tokio::test]
async fn calls_are_repeated_while_the_store_is_overloaded_or_fails() {
    let test = "calls_are_repeated_while_the_store_is_overloaded_or_fails";
    let faults = |_: &str, before| match before {
        0 => Fault::Error(503, "SlowDown"),
        1 => Fault::Error(500, "InternalError"),
        2 => Fault::Cut,
        _ => Fault::None,
    };
    let Some(faulty) = Faulty::start(test, faults).await else { return };
    let (storage, key) = (&faulty.storage, StorageKey::Original(MediaId::generate()));
    put_file(storage, key, &content(90_000)).await.unwrap();
    assert_eq!(faulty.proxy.count("PUT /media/uploads/"), 4);
    assert_eq!(read(storage, key).await.unwrap(), content(90_000), "a download that was cut off began again");
    assert_eq!(storage.list(key.prefix(), None).await.unwrap().objects.len(), 1);
    storage.delete(&[key]).await.unwrap();
    assert_eq!(storage.head(key).await.unwrap(), None);
}

#[tokio::test]
async fn a_store_that_stays_overloaded_is_unavailable_and_no_download_remains() {
    let test = "a_store_that_stays_overloaded_is_unavailable_and_no_download_remains";
    let faults = |line: &str, _| match line.split(' ').next() {
        Some("PUT") => Fault::None,
        Some("GET") => Fault::Cut,
        _ => Fault::Error(503, "SlowDown"),
    };
    let Some(faulty) = Faulty::start(test, faults).await else { return };
    let (storage, key) = (&faulty.storage, StorageKey::Original(MediaId::generate()));
    put_file(storage, key, &content(90_000)).await.unwrap();
    for failed in [
        storage.delete(&[key]).await.err(),
        storage.head(key).await.err(),
        storage.check().await.err(),
        storage.open_local(key).await.err(),
    ] {
        assert!(matches!(failed, Some(StorageError::Unavailable(_))), "{failed:?}");
    }
    assert_eq!(spooled(storage), 0);
}

#[tokio::test]
async fn an_upload_in_parts_is_repeated_where_it_failed_and_aborted_if_that_is_in_vain() {
    let test = "an_upload_in_parts_is_repeated_where_it_failed_and_aborted_if_that_is_in_vain";
    let faults = |line: &str, before| match line {
        line if line.contains("partNumber=2") && before == 0 => Fault::Error(500, "InternalError"),
        // The store completed the upload, and its answer was lost.
        line if line.starts_with("POST") && line.contains("uploadId=") && before == 0 => Fault::Cut,
        line if line.contains("/private/") && line.contains("partNumber=3") => Fault::Error(503, "SlowDown"),
        _ => Fault::None,
    };
    let Some(faulty) = Faulty::start(test, faults).await else { return };
    let (storage, id) = (&faulty.storage, MediaId::generate());
    let (key, bytes) = (StorageKey::Original(id), content(25_000_000));
    put_file(storage, key, &bytes).await.unwrap();
    assert!(read(storage, key).await.unwrap() == bytes);
    assert_eq!(faulty.uploads_in_progress(), Vec::<std::path::PathBuf>::new());

    let failed = put_file(storage, StorageKey::Private(id), &bytes).await;
    assert!(matches!(failed, Err(StorageError::Unavailable(_))), "{failed:?}");
    assert_eq!(faulty.proxy.count("DELETE /media/private/"), 1, "the upload is aborted");
    assert_eq!(faulty.uploads_in_progress(), Vec::<std::path::PathBuf>::new());
    assert_eq!(storage.head(StorageKey::Private(id)).await.unwrap(), None);
}

/// Cloudflare R2 has the region `auto`, and neither ACLs, tags nor versions; it and Garage refuse the SDK's default checksums.
#[tokio::test]
async fn no_request_has_what_r2_and_garage_refuse() {
    let test = "no_request_has_what_r2_and_garage_refuse";
    let Some(faulty) = Faulty::start_in(test, "auto", |_, _| Fault::None).await else { return };
    let (storage, id) = (&faulty.storage, MediaId::generate());
    storage.check().await.unwrap();
    put_file(storage, StorageKey::Original(id), &content(17_000_000)).await.unwrap();
    storage.put_bytes(StorageKey::Thumbnail(id), content(100), "image/webp").await.unwrap();
    assert!(read(storage, StorageKey::Original(id)).await.unwrap() == content(17_000_000));
    assert_eq!(storage.list(super::Prefix::Thumbnails, None).await.unwrap().objects.len(), 1);
    storage.delete(&StorageKey::all(id)).await.unwrap();
    assert!(faulty.proxy.count("PUT") >= 4 && faulty.proxy.count("DELETE") == 4);
    let refused = [
        "x-amz-checksum",
        "x-amz-sdk-checksum",
        "x-amz-trailer",
        "aws-chunked",
        "x-amz-acl",
        "x-amz-tagging",
        "versionid",
    ];
    assert_eq!(faulty.proxy.with_headers(&refused), Vec::<String>::new());
    assert_eq!(faulty.proxy.with_headers(&["unsigned-payload"]), Vec::<String>::new(), "the store verifies each body");
}

#[tokio::test]
async fn a_check_of_a_server_that_is_silent_ends_in_time() {
    let Some(faulty) = Faulty::start("a_check_of_a_server_that_is_silent_ends_in_time", |_, _| Fault::Silent).await
    else {
        return;
    };
    let began = Instant::now();
    let failed = faulty.storage.check().await;
    assert!(matches!(failed, Err(StorageError::Unavailable(_))), "{failed:?}");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(faulty.proxy.count("HEAD /media"), 1, "a probe does not repeat it");
}

#[tokio::test]
async fn wrong_credentials_a_wrong_bucket_and_an_absent_server_are_named() {
    let test = "wrong_credentials_a_wrong_bucket_and_an_absent_server_are_named";
    let Some(fixture) = Fixture::s3(test).await else { return };
    let good = settings(&fixture.server.as_ref().unwrap().endpoint(), fixture.folder.path());
    let nowhere = format!("http://127.0.0.1:{}", devservers::port::free());
    for (wrong, expected) in [
        (S3Settings { secret_access_key: SecretString::from("wrong"), ..good.clone() }, "refuses the credentials"),
        (S3Settings { bucket: "no-such-bucket".into(), ..good.clone() }, "the bucket does not exist"),
        (S3Settings { endpoint: Some(nowhere), ..good }, "look at the bucket media"),
    ] {
        let failed = open_s3(&wrong).await.check().await.unwrap_err();
        assert!(matches!(failed, StorageError::Unavailable(_)), "{failed:?}");
        assert!(failed.to_string().contains(expected), "{failed}");
        assert!(!failed.to_string().contains("sentinel"), "{failed}");
    }
}

#[tokio::test]
async fn urls_are_below_the_public_one_or_presigned_and_stay_the_same_for_a_while() {
    let test = "urls_are_below_the_public_one_or_presigned_and_stay_the_same_for_a_while";
    let Some(fixture) = Fixture::s3(test).await else { return };
    let (storage, key) = (&fixture.storage, StorageKey::Thumbnail(MediaId::generate()));
    storage.put_bytes(key, content(3000), "image/webp").await.unwrap();
    let url = storage.url(key, "1").await.unwrap();
    rustls::crypto::ring::default_provider().install_default().ok();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let response = client.get(&url).send().await.unwrap();
    assert_eq!(response.status(), 200, "{url}");
    assert_eq!(response.headers()["content-type"], "image/webp");
    assert_eq!(response.headers()["cache-control"], key.cache_control());
    assert_eq!(response.bytes().await.unwrap(), content(3000));
    let forged = url.replace(&key.to_string(), &StorageKey::Original(key.media()).to_string());
    assert_eq!(client.get(&forged).send().await.unwrap().status(), 403);

    let settings = settings(&fixture.server.as_ref().unwrap().endpoint(), fixture.folder.path());
    let other_instance = open_s3(&settings).await;
    // Right at the end of a window the first URL is an older one than the others.
    let (again, elsewhere) = (storage.url(key, "1").await.unwrap(), other_instance.url(key, "1").await.unwrap());
    assert_eq!(again, elsewhere);
    assert_ne!(storage.url(key, "2").await.unwrap(), again, "a version has a URL of its own");

    let public = S3Settings { public_url: Some("https://media.example.com/files".into()), ..settings };
    let url = open_s3(&public).await.url(key, "1").await.unwrap();
    assert_eq!(url, format!("https://media.example.com/files/{key}?v=1"));
}
