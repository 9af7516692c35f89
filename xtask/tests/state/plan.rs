//! A plan that was made on one machine is applied on another.

use camino::Utf8Path;
use jiff::Timestamp;
use xtask::failure::Failure;
use xtask::state::plan_store::{PlanFile, PlanRecord, PlanStore};
use xtask::tools::tofu::StateVersion;

use crate::Place;
use crate::place::ENVIRONMENT;

fn plan(folder: &Utf8Path, content: &str) -> (PlanRecord, PlanFile) {
    let path = folder.join("made.tfplan");
    fs_err::write(&path, content).unwrap();
    let file = PlanFile::read(&path).unwrap();
    let record = PlanRecord {
        environment: ENVIRONMENT.to_owned(),
        version: "3f9c2d1a4b7e".to_owned(),
        release: None,
        commit: "0123456789abcdef0123456789abcdef01234567".to_owned(),
        plan: file.sha256(),
        state: StateVersion { lineage: "abc".to_owned(), serial: 7 },
        made: Timestamp::now(),
        destroy: false,
    };
    (record, file)
}

fn encrypted(data: &str) -> String {
    format!(r#"{{"meta":{{}},"encrypted_data":"{data}","encryption_version":"v0"}}"#)
}

pub async fn another_machine_fetches_the_plan(place: &Place) {
    let folder = tempfile::tempdir().unwrap();
    let folder = Utf8Path::from_path(folder.path()).unwrap();
    let (here, there) = (PlanStore::new(place.store()), PlanStore::new(place.store()));
    assert_eq!(there.find().await.unwrap(), None);
    let (old, file) = plan(folder, &encrypted("b2xk"));
    here.keep(&old, &file).await.unwrap();
    let (record, file) = plan(folder, &encrypted(&"c2VjcmV0".repeat(1 << 20)));
    here.keep(&record, &file).await.unwrap();
    let found = there.find().await.unwrap().unwrap();
    assert_eq!((&found, found.approval()), (&record, record.approval()));
    let to = folder.join("fetched.tfplan");
    there.fetch(&found, &to).await.unwrap();
    assert_eq!(PlanFile::read(&to).unwrap().sha256(), record.plan);
    assert_eq!(place.store().list("plans/").await.unwrap().len(), 1, "the older plan is gone");

    let (open, file) = plan(folder, "PK\u{3}\u{4} and a secret");
    let kept = here.keep(&open, &file).await;
    if place.is_shared() {
        assert!(kept.unwrap_err().to_string().contains("not encrypted"));
        assert_eq!(there.find().await.unwrap(), Some(record));
    } else {
        kept.unwrap();
    }
    there.clear().await.unwrap();
    assert_eq!(here.find().await.unwrap(), None);
    assert!(place.store().list("plans/").await.unwrap().is_empty());
}

pub async fn a_plan_that_was_exchanged_is_not_fetched(place: &Place) {
    let folder = tempfile::tempdir().unwrap();
    let folder = Utf8Path::from_path(folder.path()).unwrap();
    let plans = PlanStore::new(place.store());
    let (record, file) = plan(folder, &encrypted("b2xk"));
    plans.keep(&record, &file).await.unwrap();
    let key = place.store().list("plans/").await.unwrap().remove(0);
    let etag = place.store().get(&key).await.unwrap().unwrap().etag;
    place.store().put_if_unchanged(&key, encrypted("bmV3").as_bytes(), &etag).await.unwrap();
    let to = folder.join("fetched.tfplan");
    let Err(Failure::Refused(error)) = plans.fetch(&record, &to).await else { panic!("it is another file") };
    assert!(error.to_string().contains("another plan file") && !to.exists(), "{error}");
}

pub async fn of_several_machines_one_takes_the_plan(place: &Place) {
    let folder = tempfile::tempdir().unwrap();
    let folder = Utf8Path::from_path(folder.path()).unwrap();
    let (record, file) = plan(folder, &encrypted("b2xk"));
    for _ in 0..3 {
        PlanStore::new(place.store()).keep(&record, &file).await.unwrap();
        let takers = (0..4).map(|n| {
            let (plans, record, to) =
                (PlanStore::new(place.store()), record.clone(), folder.join(format!("{n}.tfplan")));
            tokio::spawn(async move { plans.take(&record, &to).await })
        });
        let mut taken = 0;
        for taker in takers.collect::<Vec<_>>() {
            match taker.await.unwrap() {
                Ok(()) => taken += 1,
                Err(Failure::Refused(_)) => {}
                Err(other) => panic!("{other:?}"),
            }
        }
        assert_eq!(taken, 1);
        assert_eq!(PlanStore::new(place.store()).find().await.unwrap(), None);
    }
}
