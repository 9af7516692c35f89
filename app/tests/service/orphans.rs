//! Objects that no row knows, which workers remove.

use std::{
    path::Path,
    sync::{Mutex, mpsc},
    time::{Duration, SystemTime},
};

use devservers::{FaultyServer, faulty::Fault};

use crate::{
    pictures,
    storage::{BUCKET, Bucket, storage},
    support::{Service, Setup, eventually},
};

/// An object that a client or another program has put into the bucket, two hours ago.
fn store(bucket: &Path, key: &str) {
    let path = bucket.join(key);
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    fs_err::write(&path, "bytes").unwrap();
    let then = SystemTime::now() - Duration::from_secs(2 * 60 * 60);
    std::fs::File::open(path).unwrap().set_modified(then).unwrap();
}

fn id(last: char) -> String {
    format!("01ARZ3NDEKTSV4RRFFQ69G5FA{last}")
}

/// As if walks had seen this object without a row, the first so many days ago and the last.
async fn seen(service: &Service, key: &str, first: i32, last: i32) {
    let insert =
        "INSERT INTO storage_orphan VALUES ($1, now() - make_interval(days => $2), now() - make_interval(days => $3))";
    sqlx::query(insert).bind(key).bind(first).bind(last).execute(&service.pool).await.unwrap();
}

async fn failed_upload(service: &Service, id: &str, failure: &str) {
    let insert = "INSERT INTO media (id, status, failure, name, declared_type, uploader)
                  SELECT $1, 'failed', $2, 'a', 'image/png', id FROM account";
    sqlx::query(insert).bind(id).bind(failure).execute(&service.pool).await.unwrap();
}

async fn due_at_once(service: &Service) {
    sqlx::query("UPDATE storage_walk SET due_at = now()").execute(&service.pool).await.unwrap();
}

async fn place(service: &Service) -> String {
    sqlx::query_scalar("SELECT after FROM storage_walk").fetch_one(&service.pool).await.unwrap()
}

/// Whether the next walk begins in a day.
async fn rests(service: &Service) -> bool {
    let rests = "SELECT after = 'uploads/' AND due_at > now() + interval '23 hours' FROM storage_walk";
    sqlx::query_scalar(rests).fetch_one(&service.pool).await.unwrap()
}

#[tokio::test]
async fn objects_without_a_row_are_removed_by_one_worker_at_a_time_which_another_one_follows() {
    let test = "objects_without_a_row_are_removed_by_one_worker_at_a_time_which_another_one_follows";
    let Some(bucket) = Bucket::start(test) else { return };
    let off = |setup| bucket.use_by(setup).var("EMBEDDED_WORKER", "off");
    let service = Service::start_with(off).await.sign_in().await;
    let folder = bucket.server.bucket(BUCKET);

    // One with objects of other ids, as a media has after its file was replaced, and one with an original that others do not get.
    let (_, media) = service.upload(&pictures::png(20, 10), "a.png", "image/png").await;
    let (own, file, private) =
        (media["id"].as_str().unwrap(), "01BX5ZZKBKACTAV9WEVGEMMVRZ", "01BX5ZZKBKACTAV9WEVGEMMVS0");
    for key in bucket.objects() {
        fs_err::rename(folder.join(&key), folder.join(key.replace(own, file))).unwrap();
    }
    store(&folder, &format!("private/{private}"));
    let names = "UPDATE media SET file = $2, received_file = $3 WHERE id = $1";
    sqlx::query(names).bind(own).bind(file).bind(private).execute(&service.pool).await.unwrap();
    seen(&service, &format!("uploads/{file}"), 40, 4).await;

    // A page of the store's list, which is before that with the objects.
    for number in 0..1000 {
        store(&folder, &format!("uploads/!{number:04}"));
    }
    store(&folder, &format!("thumbs/{}.png", id('V')));
    store(&folder, &format!("clipboard/{0}/{0}.png", id('V')));
    store(&folder, &format!("other/{}", id('V')));
    let [due, new, again, in_removal, rejected, given_up] = ['V', 'W', 'X', 'Y', 'R', 'P'].map(id);
    for id in [&new, &again, &in_removal, &given_up] {
        store(&folder, &format!("uploads/{id}"));
    }
    let left = bucket.objects();
    let orphans = [
        format!("uploads/{due}"),
        format!("uploads/{rejected}"),
        format!("thumbs/{due}.webp"),
        format!("clipboard/{due}.png"),
        format!("private/{due}"),
    ];
    for key in &orphans {
        store(&folder, key);
        seen(&service, key, 15, 1).await;
    }
    failed_upload(&service, &rejected, "other_type").await;
    // It can be tried again.
    failed_upload(&service, &given_up, "processing_failed").await;
    let removal = "INSERT INTO removal (file, due_at) VALUES ($1, now() + interval '1 day')";
    sqlx::query(removal).bind(&in_removal).execute(&service.pool).await.unwrap();
    for id in [&in_removal, &given_up] {
        seen(&service, &format!("uploads/{id}"), 15, 1).await;
    }
    seen(&service, &format!("uploads/{again}"), 40, 4).await;

    let setup = || bucket.use_by(Setup::new(&service.database.url, service.folder.path()));
    let check = storage(&setup(), &["check"]);
    let check = str::from_utf8(&check.stdout).unwrap();
    for id in [&due, &rejected] {
        assert!(check.contains(&format!("uploads/{id} is orphaned: it has no media\n")), "{check}");
    }
    assert!(!check.contains(&given_up), "{check}");

    let with_debug = || setup().var("LOG_LEVEL", "info,app=debug");
    let (release, held) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    let first = FaultyServer::start(&bucket.server.endpoint(), move |line, _| {
        if line.contains("start-after=uploads%2F%210999") {
            // Until the test has dropped the sender.
            held.lock().unwrap().recv().unwrap_err();
        }
        Fault::None
    });
    let lists = |proxy: &FaultyServer| proxy.count("GET /media/?list-type=2") + proxy.count("GET /media?list-type=2");
    due_at_once(&service).await;
    let slow = with_debug().var("S3_ENDPOINT", &first.endpoint).spawn_command("worker");
    eventually("a worker lists the second page", async || lists(&first) == 2).await;
    assert_eq!(place(&service).await, "uploads/!0999");
    let second = FaultyServer::start(&bucket.server.endpoint(), |_, _| Fault::None);
    let mut other = with_debug().var("S3_ENDPOINT", &second.endpoint).spawn_command("worker");
    other.logged("no page of the stored objects is due").await;
    other.signal("-KILL");
    other.ended().await;
    assert_eq!(lists(&second), 0, "one of them walks");
    assert_eq!(place(&service).await, "uploads/!0999");

    // Instead of waiting for the end of the claim.
    due_at_once(&service).await;
    let third = FaultyServer::start(&bucket.server.endpoint(), |_, _| Fault::None);
    let last = setup().var("S3_ENDPOINT", &third.endpoint).spawn_command("worker");
    eventually("the walk is at its end", async || rests(&service).await).await;
    assert_eq!(lists(&third), 4, "it goes on where the first one has stopped");
    assert_eq!(bucket.objects(), left);
    let waiting = "objects have no row: they are removed when that was so for 14 days; `app storage check` lists them";
    let waiting = last.logged(waiting).await;
    assert_eq!((&waiting["folder"], &waiting["objects"], &waiting["new"]), (&"uploads/".into(), &2.into(), &2.into()));
    let removed = last.logged("removed objects that had no row for 14 days").await;
    assert_eq!((&removed["folder"], &removed["objects"]), (&"uploads/".into(), &2.into()));

    drop(release);
    slow.logged("another worker has the page of the stored objects").await;
    assert!(rests(&service).await, "a worker that has lost its claim changes nothing");
    assert_eq!(bucket.objects(), left);
    let known = "SELECT key, first_seen > now() - interval '1 hour' FROM storage_orphan ORDER BY key";
    let known: Vec<(String, bool)> = sqlx::query_as(known).fetch_all(&service.pool).await.unwrap();
    let expected = [(&given_up, false), (&new, true), (&again, true), (&in_removal, false)];
    assert_eq!(known, expected.map(|(id, is_new)| (format!("uploads/{id}"), is_new)));
}

#[tokio::test]
async fn a_deletion_that_fails_does_not_stop_the_walk_and_many_objects_without_a_row_end_it() {
    let test = "a_deletion_that_fails_does_not_stop_the_walk_and_many_objects_without_a_row_end_it";
    let Some(bucket) = Bucket::start(test) else { return };
    let off = |setup| bucket.use_by(setup).var("EMBEDDED_WORKER", "off");
    let service = Service::start_with(off).await;
    let folder = bucket.server.bucket(BUCKET);
    let mut keys = vec![format!("uploads/{}", id('0')), format!("private/{}", id('0'))];
    keys.extend(('0'..='9').map(|last| format!("thumbs/{}.webp", id(last))));
    for key in &keys {
        store(&folder, key);
        seen(&service, key, 15, 1).await;
    }
    store(&folder, &format!("thumbs/{}.webp", id('A')));
    let left = bucket.objects();

    let proxy = FaultyServer::start(&bucket.server.endpoint(), |line, _| {
        if line.starts_with("DELETE") { Fault::Error(403, "AccessDenied") } else { Fault::None }
    });
    due_at_once(&service).await;
    let setup = bucket.use_by(Setup::new(&service.database.url, service.folder.path()));
    let worker = setup.var("S3_ENDPOINT", &proxy.endpoint).spawn_command("worker");
    eventually("the walk is at its end", async || rests(&service).await).await;
    let failed = worker.logged("cannot remove objects that have no row").await;
    assert_eq!((&failed["folder"], &failed["objects"]), (&"uploads/".into(), &1.into()));
    let doubt = "many objects have no row, so none is removed until tomorrow: is this the database of this bucket or folder, and has it all \
                 its rows? `app storage check` lists the objects";
    let doubt = worker.logged(doubt).await;
    assert_eq!((&doubt["folder"], &doubt["without_row"]), (&"thumbs/".into(), &11.into()));
    assert_eq!((proxy.count("DELETE /media/uploads/"), proxy.count("DELETE")), (1, 1));
    assert_eq!(bucket.objects(), left);
    let known: Vec<String> =
        sqlx::query_scalar("SELECT key FROM storage_orphan").fetch_all(&service.pool).await.unwrap();
    assert_eq!(known.len(), keys.len(), "{known:?}");
}
