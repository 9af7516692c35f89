//! The records of deploys.

use xtask::state::history::{Kind, Outcome, Record, append, live_records, new_id, read_all};

use crate::Place;
use crate::place::ENVIRONMENT;

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
