//! The service with a bucket, and the commands on the storage.

use std::process::Output;

use devservers::{Versitygw, versitygw};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use testkit::{disk::Disk, or_skip, skipped};

use crate::{
    pictures,
    support::{CLIENT, Service, Setup, eventually},
};

pub(crate) const BUCKET: &str = "media";

/// An S3 server with an empty bucket, and a folder to spool in.
pub(crate) struct Bucket {
    pub(crate) server: Versitygw,
    spool: tempfile::TempDir,
}

impl Bucket {
    pub(crate) fn start(test: &str) -> Option<Self> {
        let server = or_skip(test, Versitygw::start())?;
        server.bucket(BUCKET);
        Some(Self { server, spool: tempfile::tempdir().unwrap() })
    }

    /// The settings of the bucket, without the choice of the backend.
    fn settings(&self, setup: Setup) -> Setup {
        setup
            .var("S3_BUCKET", BUCKET)
            .var("S3_REGION", versitygw::REGION)
            .var("S3_ENDPOINT", self.server.endpoint())
            .var("S3_ACCESS_KEY_ID", versitygw::ACCESS_KEY)
            .var("S3_SECRET_ACCESS_KEY", versitygw::SECRET_KEY)
            .var("SPOOL_DIR", self.spool.path().display())
    }

    pub(crate) fn use_by(&self, setup: Setup) -> Setup {
        let mut setup = self.settings(setup).var("STORAGE_BACKEND", "s3");
        setup.vars.remove("UPLOAD_DIR");
        setup
    }

    pub(crate) fn objects(&self) -> Vec<String> {
        let bucket = self.server.bucket(BUCKET);
        let files = crate::support::files_below(&bucket).into_iter();
        let mut keys: Vec<_> = files.map(|path| path.strip_prefix(&bucket).unwrap().display().to_string()).collect();
        keys.retain(|key| !key.starts_with(".sgwtmp"));
        keys.sort();
        keys
    }
}

pub(crate) fn storage(setup: &Setup, arguments: &[&str]) -> Output {
    setup.command().arg("storage").args(arguments).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[tokio::test]
async fn media_is_stored_in_and_delivered_by_a_bucket() {
    let Some(bucket) = Bucket::start("media_is_stored_in_and_delivered_by_a_bucket") else { return };
    let service = Service::start_with(|setup| bucket.use_by(setup)).await.sign_in().await;
    let picture = pictures::jpeg(300, 200);
    let (status, media) = service.upload(&picture, "a.jpg", "image/jpeg").await;
    assert_eq!(status, StatusCode::CREATED, "{media}");
    let id = media["id"].as_str().unwrap();
    assert_eq!(bucket.objects(), [format!("clipboard/{id}.png"), format!("thumbs/{id}.webp"), format!("uploads/{id}")]);
    assert_eq!(service.stored(), Vec::<std::path::PathBuf>::new());
    assert_eq!(crate::support::files_below(bucket.spool.path()).len(), 0);

    let original = CLIENT.get(media["file_url"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(
        (original.status(), &original.headers()["content-type"]),
        (StatusCode::OK, &"image/jpeg".parse().unwrap())
    );
    assert!(original.bytes().await.unwrap() == picture);
    let thumbnail = CLIENT.get(media["thumbnail_url"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(thumbnail.headers()["content-type"], "image/webp");
    assert_eq!(service.get(&format!("/api/files/uploads/{id}")).await.status(), StatusCode::NOT_FOUND);

    let deleted = service.request(Method::DELETE, &format!("/api/media/{id}?permanent=true")).send().await.unwrap();
    assert_eq!(deleted.status(), StatusCode::NO_CONTENT);
    assert_eq!(bucket.objects(), Vec::<String>::new());
}

#[tokio::test]
async fn a_store_that_is_away_makes_the_service_unready_and_uploads_fail_without_a_trace() {
    let test = "a_store_that_is_away_makes_the_service_unready_and_uploads_fail_without_a_trace";
    let Some(mut bucket) = Bucket::start(test) else { return };
    let service = Service::start_with(|setup| bucket.use_by(setup)).await.sign_in().await;
    let checks = async || {
        let response = service.get("/api/health/readiness").await;
        (response.status(), response.json::<Value>().await.unwrap()["checks"].clone())
    };
    assert_eq!(checks().await.0, StatusCode::OK);

    bucket.server.pause();
    eventually("the storage check fails", async || checks().await.1[1]["status"] == "failed").await;
    let (status, error) = service.upload(&pictures::png(9, 9), "a.png", "image/png").await;
    assert_eq!((status, &error["error"]["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("unavailable")));
    assert_eq!(service.rows().await, 0);

    bucket.server.go_on().unwrap();
    eventually("the storage check succeeds again", async || checks().await.0 == StatusCode::OK).await;
    let (status, _) = service.upload(&pictures::png(9, 9), "a.png", "image/png").await;
    assert_eq!(status, StatusCode::CREATED);
    let seen: Vec<_> = service.process.log().into_iter().filter(|line| line.contains("sentinel")).collect();
    assert_eq!(seen, Vec::<String>::new(), "the log has no secrets");
}

#[tokio::test]
async fn on_a_full_disk_uploads_are_refused_and_media_is_served_and_deleted() {
    let test = "on_a_full_disk_uploads_are_refused_and_media_is_served_and_deleted";
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::mount(&folder.path().join("disk"), 80) else { return skipped(test, "takes mount") };
    let on_disk = |setup: Setup| setup.var("UPLOAD_DIR", disk.0.display());
    let mut service = Service::start_with(on_disk).await.sign_in().await;
    let (status, media) = service.upload(&pictures::png(20, 20), "a.png", "image/png").await;
    assert_eq!(status, StatusCode::CREATED, "{media}");

    disk.fill(64 << 10);
    fs_err::write(disk.0.join("rest"), vec![1; 100_000]).unwrap_err();
    let (status, error) = service.upload(&pictures::png(600, 600), "b.png", "image/png").await;
    assert_eq!((status, &error["error"]["code"]), (StatusCode::INSUFFICIENT_STORAGE, &json!("storage_full")));
    assert_eq!(service.rows().await, 1);
    let storage = async || {
        service.get("/api/health/readiness").await.json::<Value>().await.unwrap()["checks"][1]["detail"].clone()
    };
    eventually("readiness names the full disk", async || storage().await == "the disk is full").await;

    service.process = on_disk(Setup::new(&service.database.url, service.folder.path())).start().await;
    assert_eq!(service.get(media["file_url"].as_str().unwrap()).await.status(), StatusCode::OK);
    let path = format!("/api/media/{}?permanent=true", media["id"].as_str().unwrap());
    let deleted = service.request(Method::DELETE, &path).send().await.unwrap();
    assert_eq!(deleted.status(), StatusCode::NO_CONTENT);
    assert_eq!(service.get(media["file_url"].as_str().unwrap()).await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn differences_between_rows_and_objects_are_found_and_repaired() {
    let test = "differences_between_rows_and_objects_are_found_and_repaired";
    let mut services = vec![(Service::signed_in().await, None)];
    if let Some(bucket) = Bucket::start(test) {
        let service = Service::start_with(|setup| bucket.use_by(setup)).await.sign_in().await;
        services.push((service, Some(bucket)));
    }
    for (service, bucket) in &services {
        let mut setup = Setup::new(&service.database.url, service.folder.path());
        if let Some(bucket) = bucket {
            setup = bucket.use_by(setup);
        }
        let mut ids = Vec::new();
        for side in 20..25 {
            let (_, media) = service.upload(&pictures::png(side, 10), "a.png", "image/png").await;
            ids.push(media["id"].as_str().unwrap().to_owned());
        }
        let clean = storage(&setup, &["check"]);
        assert!(clean.status.success(), "{clean:?}");
        assert_eq!(out(&clean), "compared 5 media with 15 objects: 0 differences, 0 repaired\n");

        let folder = match bucket {
            Some(bucket) => bucket.server.bucket(BUCKET),
            None => service.folder.path().to_owned(),
        };
        let [missing, damaged, orphaned, without_thumbnail, without_clipboard] = ids.try_into().unwrap();
        fs_err::remove_file(folder.join("uploads").join(&missing)).unwrap();
        fs_err::remove_file(folder.join(format!("thumbs/{without_thumbnail}.webp"))).unwrap();
        fs_err::remove_file(folder.join(format!("clipboard/{without_clipboard}.png"))).unwrap();
        fs_err::OpenOptions::new().write(true).open(folder.join("uploads").join(&damaged)).unwrap().set_len(5).unwrap();
        sqlx::query("DELETE FROM media WHERE id = $1").bind(&orphaned).execute(&service.pool).await.unwrap();
        // Its thumbnail stays new, so it could belong to an upload in progress.
        let old = std::time::SystemTime::now() - std::time::Duration::from_secs(2 * 60 * 60);
        std::fs::File::open(folder.join("uploads").join(&orphaned)).unwrap().set_modified(old).unwrap();

        let found = storage(&setup, &["check", "--json"]);
        assert_eq!(found.status.code(), Some(1), "{found:?}");
        let lines: Vec<Value> = out(&found).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let finding = |key: String, problem: &str| json!({ "key": key, "problem": problem, "repaired": false });
        assert_eq!(
            lines,
            [
                finding(format!("uploads/{missing}"), "missing"),
                finding(format!("uploads/{damaged}"), "damaged"),
                finding(format!("uploads/{orphaned}"), "orphaned"),
                finding(format!("thumbs/{without_thumbnail}.webp"), "missing"),
                finding(format!("clipboard/{without_clipboard}.png"), "missing"),
                json!({ "media": 4, "objects": 12, "found": 5, "repaired": 0 }),
            ]
        );

        let repaired = storage(&setup, &["check", "--repair"]);
        assert_eq!(repaired.status.code(), Some(1), "the damaged one remains: {repaired:?}");
        assert!(out(&repaired).ends_with("5 differences, 4 repaired\n"), "{repaired:?}");
        eventually("the service has derived what was missing", async || {
            let again = out(&storage(&setup, &["check"]));
            again.starts_with(&format!("uploads/{damaged} ")) && again.ends_with("1 differences, 0 repaired\n")
        })
        .await;
        let status: (String, Option<String>) = sqlx::query_as("SELECT status, failure FROM media WHERE id = $1")
            .bind(&missing)
            .fetch_one(&service.pool)
            .await
            .unwrap();
        assert_eq!(status, ("failed".to_owned(), Some("file_missing".to_owned())));
    }
}

#[tokio::test]
async fn a_migration_is_verified_continued_and_leads_back() {
    let test = "a_migration_is_verified_continued_and_leads_back";
    let Some(bucket) = Bucket::start(test) else { return };
    let mut service = Service::signed_in().await;
    let setup = bucket.settings(Setup::new(&service.database.url, service.folder.path()));
    let (first, second) = (pictures::jpeg(300, 200), pictures::png(40, 40));
    let (_, one) = service.upload(&first, "a.jpg", "image/jpeg").await;
    let (_, two) = service.upload(&second, "b.png", "image/png").await;
    let damaged = service.folder.path().join("uploads").join(two["id"].as_str().unwrap());
    fs_err::write(&damaged, &second[1..]).unwrap();

    let to_s3 = ["migrate", "--from", "local", "--to", "s3"];
    let copied = storage(&setup, &to_s3);
    assert_eq!(copied.status.code(), Some(1), "{copied:?}");
    assert_eq!(out(&copied), "copied 5 objects; 0 were there\n");
    let errors = String::from_utf8(copied.stderr).unwrap();
    assert!(
        errors.contains(&format!("uploads/{}: its content is not what was stored", two["id"].as_str().unwrap())),
        "{errors}"
    );

    fs_err::write(&damaged, &second).unwrap();
    let copied = storage(&setup, &to_s3);
    assert!(copied.status.success(), "{copied:?}");
    assert_eq!(out(&copied), "copied 1 objects; 5 were there\n");
    assert!(service.get(one["file_url"].as_str().unwrap()).await.status().is_success(), "the service goes on");

    // The service changes over.
    service.process = bucket.use_by(Setup::new(&service.database.url, service.folder.path())).start().await;
    let media = async |id: &Value| {
        service.get(&format!("/api/media/{}", id.as_str().unwrap())).await.json::<Value>().await.unwrap()
    };
    for (id, bytes) in [(&one["id"], &first), (&two["id"], &second)] {
        let moved = CLIENT.get(media(id).await["file_url"].as_str().unwrap()).send().await.unwrap();
        assert!(moved.bytes().await.unwrap() == *bytes);
    }

    // And back, to an empty folder on which another disk may be mounted.
    let third_bytes = pictures::jpeg(301, 200);
    let (_, third) = service.upload(&third_bytes, "c.jpg", "image/jpeg").await;
    let other = tempfile::tempdir().unwrap();
    let back = setup.var("UPLOAD_DIR", other.path().display());
    let copied = storage(&back, &["migrate", "--from", "s3", "--to", "local"]);
    assert_eq!(out(&copied), "copied 9 objects; 0 were there\n", "{copied:?}");
    assert!(storage(&back, &["check"]).status.success());
    assert!(fs_err::read(other.path().join("uploads").join(third["id"].as_str().unwrap())).unwrap() == third_bytes);
    assert_eq!(out(&storage(&back, &["migrate", "--from", "s3", "--to", "local"])), "copied 0 objects; 9 were there\n");

    let same = storage(&back, &["migrate", "--from", "s3", "--to", "s3"]);
    assert!(String::from_utf8_lossy(&same.stderr).contains("the same storage backend"), "{same:?}");
}
