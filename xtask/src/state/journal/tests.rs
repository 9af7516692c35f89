use super::*;
use crate::state::store::scratch;

async fn journal() -> (tempfile::TempDir, Store, std::path::PathBuf) {
    let (folder, store) = scratch();
    let mut journal = Journal::begin(&store, "local", Kind::Deploy, "d1").await.unwrap();
    journal.remember(Step::Source, &"head", &"abc", 0.1).await.unwrap();
    journal.remember(Step::Build, &"abc", &42, 9.5).await.unwrap();
    let path = folder.path().join(KEY);
    (folder, store, path)
}

async fn unfinished(store: &Store) -> Journal {
    match Journal::find(store, "local").await.unwrap() {
        Found::Unfinished(journal) => *journal,
        Found::Nothing => panic!("nothing was found"),
        Found::Unusable(why) => panic!("{why}"),
    }
}

#[tokio::test]
async fn a_finished_step_is_recalled_by_its_inputs_only() {
    let (_folder, store, _) = journal().await;
    let journal = unfinished(&store).await;
    assert_eq!(journal.deploy(), "d1");
    assert_eq!(journal.recall::<u32>(Step::Build, &"abc").unwrap(), Some(42));
    assert_eq!(journal.recall::<u32>(Step::Build, &"other").unwrap(), None);
    assert_eq!(journal.recall::<String>(Step::Build, &"abc").unwrap(), None);
}

#[tokio::test]
async fn a_journal_that_is_cut_anywhere_keeps_only_whole_entries() {
    let (_folder, store, path) = journal().await;
    let whole = fs_err::read(&path).unwrap();
    let lines: Vec<usize> =
        whole.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1).collect();
    for length in lines[0]..whole.len() {
        fs_err::write(&path, &whole[..length]).unwrap();
        let steps = unfinished(&store).await.steps().len();
        assert_eq!(steps, usize::from(length >= lines[1]), "cut at {length}");
    }
    for length in 0..lines[0] - 1 {
        fs_err::write(&path, &whole[..length]).unwrap();
        assert!(matches!(Journal::find(&store, "local").await.unwrap(), Found::Unusable(_)), "cut at {length}");
    }
}

#[tokio::test]
async fn a_damaged_entry_voids_itself_and_what_follows() {
    let (_folder, store, path) = journal().await;
    let text = fs_err::read_to_string(&path).unwrap();
    fs_err::write(&path, text.replace("\"abc\"", "\"abd\"")).unwrap();
    let mut journal = unfinished(&store).await;
    assert!(journal.steps().is_empty());
    journal.remember(Step::Source, &"head", &"abc", 0.1).await.unwrap();
    assert_eq!(unfinished(&store).await.steps(), [Step::Source]);
}

#[tokio::test]
async fn what_follows_a_damaged_entry_is_written_in_its_place() {
    let (_folder, store, path) = journal().await;
    let text = fs_err::read_to_string(&path).unwrap();
    fs_err::write(&path, &text[..text.len() - 20]).unwrap();
    let mut journal = unfinished(&store).await;
    assert_eq!(journal.steps(), [Step::Source]);
    journal.remember(Step::Build, &"abc", &42, 9.5).await.unwrap();
    journal.remember(Step::Publish, &42, &"there", 0.1).await.unwrap();
    assert_eq!(unfinished(&store).await.steps(), [Step::Source, Step::Build, Step::Publish]);
}

#[tokio::test]
async fn another_environment_or_toolkit_is_not_believed() {
    let (_folder, store, path) = journal().await;
    assert!(matches!(Journal::find(&store, "production").await.unwrap(), Found::Unusable(_)));
    let text = fs_err::read_to_string(&path).unwrap();
    fs_err::write(&path, text.replacen("\"schema\":1", "\"schema\":9", 1)).unwrap();
    let Found::Unusable(why) = Journal::find(&store, "local").await.unwrap() else { panic!("it was believed") };
    assert!(why.contains("schema 9"), "{why}");
}
#[tokio::test]
async fn a_deploy_that_lost_its_lease_does_not_touch_the_next_ones_journal() {
    let (_folder, store, path) = journal().await;
    let mut lost = unfinished(&store).await;
    let mut next = Journal::begin(&store, "local", Kind::Deploy, "d2").await.unwrap();
    let refused = lost.remember(Step::Publish, &42, &"there", 0.1).await.unwrap_err();
    assert!(refused.to_string().contains("lost its lease"), "{refused}");
    assert_eq!(lost.steps(), [Step::Source, Step::Build]);
    lost.end().await.unwrap();
    assert_eq!(unfinished(&store).await.deploy(), "d2");
    next.rename("d3".to_owned()).await.unwrap();
    next.end().await.unwrap();
    assert!(!path.exists());
    next.end().await.unwrap();
}
