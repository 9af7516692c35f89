//! A deploy that was cut short on one machine goes on on another.

use xtask::report::Step;
use xtask::state::history::Kind;
use xtask::state::journal::{Found, Journal};
use xtask::state::store::Store;

use crate::Place;
use crate::place::ENVIRONMENT;

async fn unfinished(store: &Store) -> Journal {
    match Journal::find(store, ENVIRONMENT).await.unwrap() {
        Found::Unfinished(journal) => *journal,
        Found::Nothing => panic!("there is no journal"),
        Found::Unusable(why) => panic!("{why}"),
    }
}

pub async fn another_machine_resumes(place: &Place) {
    assert!(matches!(Journal::find(&place.store(), ENVIRONMENT).await.unwrap(), Found::Nothing));
    let mut first = Journal::begin(&place.store(), ENVIRONMENT, Kind::Deploy, "d1").await.unwrap();
    first.remember(Step::Source, &"head", &"abc", 0.1).await.unwrap();
    first.remember(Step::Build, &"abc", &42, 9.5).await.unwrap();

    let mut second = unfinished(&place.store()).await;
    assert_eq!((second.deploy(), second.steps()), ("d1", vec![Step::Source, Step::Build]));
    assert_eq!(second.recall::<u32>(Step::Build, &"abc").unwrap(), Some(42));
    second.rename("d2".to_owned()).await.unwrap();
    second.remember(Step::Publish, &42, &"there", 0.1).await.unwrap();
    assert_eq!(unfinished(&place.store()).await.steps(), [Step::Source, Step::Build, Step::Publish]);
    second.end().await.unwrap();
    assert!(matches!(Journal::find(&place.store(), ENVIRONMENT).await.unwrap(), Found::Nothing));
}

pub async fn a_deploy_that_lost_its_lease_cannot_write_into_the_next_ones_journal(place: &Place) {
    let mut lost = Journal::begin(&place.store(), ENVIRONMENT, Kind::Deploy, "d1").await.unwrap();
    let mut next = Journal::begin(&place.store(), ENVIRONMENT, Kind::Rollback, "d2").await.unwrap();
    let error = lost.remember(Step::Build, &"abc", &42, 9.5).await.unwrap_err().to_string();
    assert!(error.contains("lost its lease"), "{error}");
    lost.end().await.unwrap();
    next.remember(Step::Source, &"head", &"abc", 0.1).await.unwrap();
    let found = unfinished(&place.store()).await;
    assert_eq!((found.deploy(), found.kind(), found.steps()), ("d2", Kind::Rollback, vec![Step::Source]));
}
