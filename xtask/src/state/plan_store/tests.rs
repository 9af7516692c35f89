use std::os::unix::fs::PermissionsExt as _;

use camino::Utf8PathBuf;

use super::*;
use crate::state::store::scratch;

const ENCRYPTED: &str =
    r#"{"meta":{"key_provider.pbkdf2.key":"e30="},"encrypted_data":"c2VjcmV0","encryption_version":"v0"}"#;

fn plan(folder: &Utf8Path, content: &str) -> (PlanRecord, PlanFile) {
    let path = folder.join("made.tfplan");
    fs_err::write(&path, content).unwrap();
    let file = PlanFile::read(&path).unwrap();
    let record = PlanRecord {
        environment: "production".to_owned(),
        version: "3f9c2d1a4b7e".to_owned(),
        commit: "0123456789abcdef0123456789abcdef01234567".to_owned(),
        release: Some("r".to_owned()),
        plan: file.sha256(),
        state: StateVersion { lineage: "abc".to_owned(), serial: 7 },
        made: Timestamp::UNIX_EPOCH,
        destroy: false,
    };
    (record, file)
}

fn here() -> (tempfile::TempDir, Utf8PathBuf, PlanStore) {
    let (folder, store) = scratch();
    let path = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
    (folder, path, PlanStore::new(store))
}

#[tokio::test]
async fn a_kept_plan_is_fetched_as_it_was_and_only_this_user_can_read_it() {
    let (_folder, path, plans) = here();
    assert_eq!(plans.find().await.unwrap(), None);
    let (old, file) = plan(&path, "PK old");
    plans.keep(&old, &file).await.unwrap();
    let (record, file) = plan(&path, ENCRYPTED);
    plans.keep(&record, &file).await.unwrap();
    plans.keep(&record, &file).await.unwrap();
    assert_eq!(plans.find().await.unwrap(), Some(record.clone()));
    let to = path.join("plan.tfplan");
    plans.fetch(&record, &to).await.unwrap();
    assert_eq!(fs_err::read_to_string(&to).unwrap(), ENCRYPTED);
    assert_eq!(fs_err::metadata(&to).unwrap().permissions().mode() & 0o777, 0o600);
    let Err(Failure::Refused(error)) = plans.fetch(&old, &to).await else { panic!("it was replaced") };
    assert!(error.to_string().contains("no longer"), "{error}");
    plans.take(&record, &to).await.unwrap();
    assert_eq!(plans.find().await.unwrap(), None);
    assert!(matches!(plans.take(&record, &to).await, Err(Failure::Refused(_))));
    plans.clear().await.unwrap();
}

#[tokio::test]
async fn another_file_than_the_records_is_neither_kept_nor_fetched() {
    let (_folder, path, plans) = here();
    let (record, file) = plan(&path, ENCRYPTED);
    let (other, _) = plan(&path, "PK");
    assert!(plans.keep(&other, &file).await.is_err());
    plans.keep(&record, &file).await.unwrap();
    fs_err::write(path.join(key(&record).unwrap()), "PK").unwrap();
    let to = path.join("plan.tfplan");
    let Err(Failure::Refused(error)) = plans.fetch(&record, &to).await else { panic!("it is another file") };
    assert!(error.to_string().contains("another plan file") && !to.exists(), "{error}");
    assert!(key(&PlanRecord { plan: "../../secrets".to_owned(), ..record }).is_err());
}

/// Between the question and the answer, by another machine or another writer of the bucket.
#[tokio::test]
async fn a_plan_whose_record_was_replaced_after_it_was_shown_is_not_taken() {
    let (_folder, path, plans) = here();
    let (shown, file) = plan(&path, ENCRYPTED);
    plans.keep(&shown, &file).await.unwrap();
    let other = PlanRecord { destroy: true, ..shown.clone() };
    plans.keep(&other, &file).await.unwrap();
    let taken = plans.take(&shown, &path.join("plan.tfplan")).await;
    let Err(Failure::Refused(error)) = taken else { panic!("it was replaced") };
    assert!(error.to_string().contains("the plan is no longer"), "{error}");
    assert_eq!(plans.find().await.unwrap(), Some(other));
}

#[test]
fn what_is_encrypted_is_told_by_the_file() {
    let (_folder, path, _) = here();
    let is_encrypted = |content: &str| plan(&path, content).1.is_encrypted;
    assert!(is_encrypted(ENCRYPTED));
    for content in ["PK\u{3}\u{4}", "", "{}", r#"{"encrypted_data":""}"#, r#"{"format_version":"1.2"}"#] {
        assert!(!is_encrypted(content), "{content}");
    }
}

#[test]
fn an_approval_stands_for_every_part_of_the_plan() {
    let (_folder, path, _) = here();
    let (record, _) = plan(&path, ENCRYPTED);
    let others = [
        PlanRecord { environment: "staging".to_owned(), ..record.clone() },
        PlanRecord { version: "other".to_owned(), ..record.clone() },
        PlanRecord { commit: "0123456789ab0000000000000000000000000000".to_owned(), ..record.clone() },
        PlanRecord { state: StateVersion { serial: 8, ..record.state.clone() }, ..record.clone() },
        PlanRecord { made: Timestamp::now(), ..record.clone() },
        PlanRecord { destroy: true, ..record.clone() },
        PlanRecord { release: None, ..record.clone() },
    ];
    for other in others {
        assert_ne!(other.approval(), record.approval(), "{other:?}");
    }
}
