//! Objects that no row knows, which workers remove.

use std::{
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, SystemTime},
};

use devservers::{FaultyServer, faulty::Fault};

use crate::{
    pictures,
    storage::{BUCKET, Bucket},
    support::{Service, Setup, eventually},
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// An object of this age that a client or another program has put into the bucket.
fn store(bucket: &Path, key: &str, age: Duration) {
    let path = bucket.join(key);
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    fs_err::write(&path, "bytes").unwrap();
    make_older(&path, age);
}

fn make_older(path: &Path, age: Duration) {
    std::fs::File::open(path).unwrap().set_modified(SystemTime::now() - age).unwrap();
}

async fn due_at_once(service: &Service) {
    sqlx::query("UPDATE storage_walk SET due_at = now()").execute(&service.pool).await.unwrap();
}

async fn place(service: &Service) -> String {
    sqlx::query_scalar("SELECT after FROM storage_walk").fetch_one(&service.pool).await.unwrap()
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
    let (id, file, private) =
        (media["id"].as_str().unwrap(), "01BX5ZZKBKACTAV9WEVGEMMVRZ", "01BX5ZZKBKACTAV9WEVGEMMVS0");
    for key in bucket.objects() {
        fs_err::rename(folder.join(&key), folder.join(key.replace(id, file))).unwrap();
        make_older(&folder.join(key.replace(id, file)), 40 * DAY);
    }
    store(&folder, &format!("private/{private}"), 40 * DAY);
    let names = "UPDATE media SET file = $2, received_file = $3 WHERE id = $1";
    sqlx::query(names).bind(id).bind(file).bind(private).execute(&service.pool).await.unwrap();

    let (one, two) = ("01ARZ3NDEKTSV4RRFFQ69G5FAV", "01ARZ3NDEKTSV4RRFFQ69G5FAW");
    let orphans = [format!("uploads/{one}"), format!("thumbs/{one}.webp"), format!("clipboard/{one}.png")];
    let kept = [
        (format!("uploads/{two}"), 13 * DAY),
        (format!("thumbs/{two}.png"), 40 * DAY),
        (format!("clipboard/{two}/{two}.png"), 40 * DAY),
        (format!("other/{two}"), 40 * DAY),
        // More than have a row: the database may be another one's.
        (format!("private/{one}"), 40 * DAY),
        (format!("private/{two}"), 40 * DAY),
    ];
    // A page of the store's list, which is before that with the objects.
    for number in 0..1000 {
        store(&folder, &format!("uploads/!{number:04}"), 40 * DAY);
    }
    let mut left = bucket.objects();
    for key in &orphans {
        store(&folder, key, 15 * DAY);
    }
    for (key, age) in &kept {
        store(&folder, key, *age);
        left.push(key.clone());
    }
    left.sort();

    let setup = || bucket.use_by(Setup::new(&service.database.url, service.folder.path()));
    let lists = AtomicUsize::new(0);
    let proxy = FaultyServer::start(&bucket.server.endpoint(), move |line, _| {
        let is_second = line.contains("list-type=2") && lists.fetch_add(1, Ordering::Relaxed) == 1;
        if is_second { Fault::Silent } else { Fault::None }
    });
    due_at_once(&service).await;
    let mut killed = setup().var("S3_ENDPOINT", &proxy.endpoint).spawn_command("worker");
    let lists = |proxy: &FaultyServer| proxy.count("GET /media/?list-type=2") + proxy.count("GET /media?list-type=2");
    eventually("a worker lists the second page", async || lists(&proxy) == 2).await;
    assert_eq!(place(&service).await, "uploads/!0999");
    let second = FaultyServer::start(&bucket.server.endpoint(), |_, _| Fault::None);
    let with_debug = setup().var("S3_ENDPOINT", &second.endpoint).var("LOG_LEVEL", "info,app=debug");
    let other = with_debug.spawn_command("worker");
    other.logged("no page of the stored objects is due").await;
    assert_eq!(lists(&second), 0, "one of them walks");
    killed.signal("-KILL");
    killed.ended().await;
    assert_eq!(place(&service).await, "uploads/!0999");

    // Instead of waiting for the end of the claim.
    due_at_once(&service).await;
    let third = FaultyServer::start(&bucket.server.endpoint(), |_, _| Fault::None);
    let last = setup().var("S3_ENDPOINT", &third.endpoint).spawn_command("worker");
    eventually("the walk is at its end", async || place(&service).await == "uploads/").await;
    assert_eq!((lists(&second), lists(&third)), (0, 4), "it goes on where the killed one has stopped");
    assert_eq!(bucket.objects(), left);
    assert_eq!(last.logged("removing an object that has no row").await["key"], orphans[0]);
    let doubt =
        "most objects have no row, and none is removed: the database may be another one's; see `app storage check`";
    assert_eq!(last.logged(doubt).await["folder"], "private/");
    let rests = "SELECT due_at > now() + interval '23 hours' FROM storage_walk";
    assert!(sqlx::query_scalar::<_, bool>(rests).fetch_one(&service.pool).await.unwrap());
}
