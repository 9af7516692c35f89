//! The records of deploys.

use devservers::proxy::Proxy;
use devservers::versitygw::Versitygw;
use testkit::or_skip;
use xtask::release::Source;
use xtask::state::history::{self, Kind, NewestFirst, Outcome, Record, append, live_records, new_id, read_all};

use crate::Place;
use crate::place::{BUCKET, ENVIRONMENT, at};

fn record(id: &str, token: u64) -> Record {
    Record::begin(id.to_owned(), Kind::Deploy, ENVIRONMENT, token)
}

pub async fn records_are_read_in_the_order_of_their_tokens(place: &Place) {
    assert!(read_all(&place.store()).await.unwrap().is_empty());
    let mut expected = Vec::new();
    for token in 1..40 {
        let mut record = record(&new_id().unwrap(), token);
        record.end(if token % 2 == 0 { Outcome::Live } else { Outcome::Failed }, None);
        append(&place.store(), &record).await.unwrap();
        expected.push(record);
    }
    let read = read_all(&place.store()).await.unwrap();
    assert_eq!(read, expected);
    assert_eq!(live_records(&read).len(), 19);
    let store = place.store();
    let mut newest_first = NewestFirst::of(&store);
    for record in expected.iter().rev() {
        assert_eq!(newest_first.next().await.unwrap().as_ref(), Some(record));
    }
    assert_eq!(newest_first.next().await.unwrap(), None);
    assert_eq!(history::live(&store).await.unwrap().as_ref(), Some(&expected[37]));
    assert_eq!(history::recent(&store).await.unwrap(), expected);
    assert_eq!(history::with_id(&store, &expected[0].id).await.unwrap().as_ref(), Some(&expected[0]));
    assert_eq!(history::with_id(&store, "20261121").await.unwrap(), None);
    let again = append(&place.store(), &expected[38]).await.unwrap_err().to_string();
    assert!(again.contains("never replaced"), "{again}");
}

pub async fn a_deploy_that_was_overtaken_cannot_record(place: &Place) {
    append(&place.store(), &record("2", 10)).await.unwrap();
    append(&place.store(), &record("3", 10)).await.unwrap();
    let late = append(&place.store(), &record("1", 9)).await.unwrap_err().to_string();
    assert!(late.contains("void"), "{late}");
    assert_eq!(read_all(&place.store()).await.unwrap().len(), 2);
}

pub async fn a_damaged_record_is_named(place: &Place) {
    append(&place.store(), &record("1", 1)).await.unwrap();
    place.store().put_if_absent("records/00000002-x.json", b"{").await.unwrap();
    let error = format!("{:#}", read_all(&place.store()).await.unwrap_err());
    assert!(error.contains("records/00000002-x.json") && error.contains("damaged"), "{error}");
}

pub async fn records_of_earlier_toolkits_are_the_older_ones(place: &Place) {
    let store = place.store();
    for (key, id, token) in [
        ("records/20261120T000000Z-aaaaaa.json", "20261120T000000Z-aaaaaa", 1),
        ("records/00000002-20261121T000000Z-bbbbbb.json", "20261121T000000Z-bbbbbb", 2),
        ("records/00000003-20261122T000000Z-cccccc.json", "20261122T000000Z-cccccc", 3),
    ] {
        store.put_if_absent(key, &serde_json::to_vec(&record(id, token)).unwrap()).await.unwrap();
    }
    let late = append(&store, &record("late", 2)).await.unwrap_err().to_string();
    assert!(late.contains("void"), "{late}");
    for token in [4, 5] {
        append(&store, &record(&format!("20261123T00000{token}Z-dddddd"), token)).await.unwrap();
    }
    let mut newest_first = NewestFirst::of(&store);
    let mut tokens = Vec::new();
    while let Some(record) = newest_first.next().await.unwrap() {
        tokens.push(record.token);
    }
    assert_eq!(tokens, [5, 4, 3, 2, 1]);
}

pub async fn a_record_is_found_by_its_id_or_its_version(place: &Place) {
    let store = place.store();
    for (token, id, version) in
        [(1, "20261121T1-aa", "0a"), (2, "20261121T2-bb", "0b"), (3, "20261122T3-cc", "0a"), (4, "20261122T4-dd", "0c")]
    {
        let mut record = record(id, token);
        let (commit, subject) = (version.repeat(20), String::new());
        record.source = Some(Source { commit, version: version.to_owned(), subject, branch: None });
        append(&store, &record).await.unwrap();
    }
    for (text, id) in [
        ("20261121T1-aa", "20261121T1-aa"),
        ("20261121T2", "20261121T2-bb"),
        ("0a", "20261122T3-cc"),
        ("0b0b", "20261121T2-bb"),
    ] {
        assert_eq!(history::find(&store, text).await.unwrap().id, id, "{text}");
    }
    let several = history::find(&store, "20261121").await.unwrap_err().to_string();
    assert_eq!(several, r#"2 records begin with "20261121": 20261121T1-aa, 20261121T2-bb"#);
    assert!(history::find(&store, "ff").await.unwrap_err().to_string().contains("no record's id and no version"));
}

/// As many as a deploy a day leaves in 27 years.
const MANY: u64 = 10_000;

#[tokio::test]
async fn of_ten_thousand_records_a_command_reads_as_many_as_it_needs() {
    let Some(server) = or_skip("of_ten_thousand_records", Versitygw::start()) else { return };
    // The server keeps an object as a file, which is written faster without it.
    let folder = server.bucket(BUCKET).join(format!("shop/{ENVIRONMENT}/records"));
    fs_err::create_dir_all(&folder).unwrap();
    for token in 1..=MANY {
        let mut record = record(&format!("20261121T000000Z-{token:06x}"), token);
        // The last three have failed.
        record.end(if token + 3 > MANY { Outcome::Failed } else { Outcome::Live }, None);
        let name = format!("{:08}-{}.json", 99_999_999 - token, record.id);
        let file = folder.join(name);
        fs_err::write(&file, serde_json::to_vec(&record).unwrap()).unwrap();
        rustix::fs::setxattr(&file, "user.etag", b"\"1\"", rustix::fs::XattrFlags::empty()).unwrap();
    }
    let counted = Proxy::start(&server.endpoint(), |_| true);
    let store = at(&counted.endpoint(), ENVIRONMENT);
    let newest = NewestFirst::of(&store).next().await.unwrap().unwrap();
    assert_eq!((newest.token, counted.seen().len()), (MANY, 2));
    // One, two and four are read.
    assert_eq!((history::live(&store).await.unwrap().unwrap().token, counted.seen().len()), (MANY - 3, 8));
    assert_eq!((history::recent(&store).await.unwrap().len(), counted.seen().len() < 130), (100, true));
    assert_eq!(history::with_id(&store, &newest.id).await.unwrap().as_ref(), Some(&newest));
    assert_eq!(counted.seen().len(), 2);
    append(&store, &record("20261122T000000Z-000000", MANY + 1)).await.unwrap();
    assert_eq!(counted.seen().len(), 2);
    assert_eq!(history::find(&store, "20261121T000000Z-000001").await.unwrap().token, 1);
    assert_eq!(counted.seen().len(), 12);
}
