//! What every store promises.

use xtask::state::store::{Put, Store};

use crate::Place;

async fn written(store: &Store, key: &str, bytes: &[u8]) -> String {
    match store.put_if_absent(key, bytes).await.unwrap() {
        Put::Written { etag } => etag,
        Put::Refused => panic!("{key} is there already"),
    }
}

pub async fn what_was_written_is_read(place: &Place) {
    let (here, there) = (place.store(), place.store());
    assert_eq!(here.get("lease.json").await.unwrap(), None);
    let long: Vec<u8> = (0..3_000_000u32).map(|n| n.to_le_bytes()[usize::from(n % 2 == 0)]).collect();
    for (key, bytes) in [("lease.json", &b"{}"[..]), ("plans/ä b+c.tfplan", &long), ("empty", b"")] {
        let etag = written(&here, key, bytes).await;
        let read = there.get(key).await.unwrap().unwrap();
        assert!(read.bytes == bytes, "{key}");
        assert_eq!(read.etag, etag);
        assert_eq!(read.age.is_some(), place.is_shared(), "{key}");
        assert!(read.age.is_none_or(|age| age.as_secs() < 60), "{:?}", read.age);
    }
}

pub async fn a_write_takes_the_version_that_it_expects(place: &Place) {
    let store = place.store();
    let first = written(&store, "lease.json", b"1").await;
    assert_eq!(store.put_if_absent("lease.json", b"2").await.unwrap(), Put::Refused);
    let Put::Written { etag: second } = store.put_if_unchanged("lease.json", b"2", &first).await.unwrap() else {
        panic!("the version is the one that was written")
    };
    assert_eq!(store.put_if_unchanged("lease.json", b"3", &first).await.unwrap(), Put::Refused);
    assert_eq!(store.put_if_unchanged("missing.json", b"3", &second).await.unwrap(), Put::Refused);
    let read = store.get("lease.json").await.unwrap().unwrap();
    assert_eq!((read.bytes.as_slice(), read.etag), (&b"2"[..], second));
    assert_eq!(store.get("missing.json").await.unwrap(), None);
}

pub async fn of_many_writers_one_wins(place: &Place) {
    let mut expected = None;
    for round in 0..3u8 {
        let writers: Vec<_> = (0..8u8)
            .map(|n| {
                let (store, expected) = (place.store(), expected.clone());
                tokio::spawn(
                    async move { store.put_over("lease.json", &[round, n], expected.as_deref()).await.unwrap() },
                )
            })
            .collect();
        let mut wins = Vec::new();
        for writer in writers {
            if let Put::Written { etag } = writer.await.unwrap() {
                wins.push(etag);
            }
        }
        let now = place.store().get("lease.json").await.unwrap().unwrap();
        assert_eq!(wins, [now.etag], "round {round}");
        expected = wins.pop();
    }
}

pub async fn keys_are_listed_in_order_and_below_the_prefix_only(place: &Place) {
    let store = place.store();
    assert!(store.list("records/").await.unwrap().is_empty());
    for key in ["records/2.json", "records/10.json", "records/a/1.json", "records.json", "journal.jsonl"] {
        written(&store, key, b"{}").await;
    }
    assert_eq!(store.list("records/").await.unwrap(), ["records/10.json", "records/2.json", "records/a/1.json"]);
    assert!(store.list("plans/").await.unwrap().is_empty());
}

pub async fn what_was_deleted_may_be_written_again(place: &Place) {
    let store = place.store();
    store.delete("journal.jsonl").await.unwrap();
    for _ in 0..2 {
        written(&store, "journal.jsonl", b"{}").await;
        place.store().delete("journal.jsonl").await.unwrap();
        assert_eq!(store.get("journal.jsonl").await.unwrap(), None);
        assert!(store.list("").await.unwrap().is_empty());
    }
}

pub async fn two_environments_of_one_bucket_do_not_see_each_other(place: &Place) {
    let (one, other, longer) = (place.store(), place.of("staging"), place.of("production-2"));
    written(&one, "records/1.json", b"{}").await;
    for store in [&other, &longer] {
        assert_eq!(store.get("records/1.json").await.unwrap(), None);
        assert!(store.list("records/").await.unwrap().is_empty());
        written(store, "records/1.json", b"{}").await;
    }
    assert_eq!(one.list("records/").await.unwrap(), ["records/1.json"]);
    assert_ne!(one.location(), other.location());
}
