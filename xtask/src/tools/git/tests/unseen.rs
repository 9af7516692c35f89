//! What git does not see, or does not look at, is never a clean tree.

use super::*;

#[tokio::test]
async fn what_git_overlooks_or_cannot_be_hashed_is_an_error() {
    let repository = Repository::new().await;
    repository.write("it's a file", "one");
    repository.commit().await;
    for flag in ["assume-unchanged", "skip-worktree"] {
        repository.git(&["update-index", &format!("--{flag}"), "it's a file"]).await;
        let error = source(&repository.root, Filters::Run).await.unwrap_err();
        assert!(error.to_string().contains("told to overlook"), "{error}");
        type_hint(&repository.root, &error).await;
        assert!(repository.is_clean().await);
    }
    repository.write("another file", "one");
    repository.commit().await;
    for flag in ["assume-unchanged", "skip-worktree"] {
        repository.git(&["update-index", &format!("--{flag}"), "it's a file", "another file"]).await;
        let error = source(&repository.root, Filters::Run).await.unwrap_err();
        assert!(error.to_string().contains("another file and of 1 other file"), "{error}");
        type_hint(&repository.root, &error).await;
        assert!(repository.is_clean().await);
    }
    // What a sparse checkout leaves out is not there to be built.
    repository.git(&["update-index", "--skip-worktree", "it's a file"]).await;
    fs_err::remove_file(repository.root.join("it's a file")).unwrap();
    assert!(repository.is_clean().await);
    repository.git(&["update-index", "--no-skip-worktree", "it's a file"]).await;
    rustix::fs::mkfifoat(rustix::fs::CWD, repository.root.join("it's a file").as_std_path(), 0o600.into()).unwrap();
    let error = source(&repository.root, Filters::Run).await.unwrap_err();
    assert!(error.to_string().contains("is no file, link or folder"), "{error}");
    type_hint(&repository.root, &error).await;
    assert!(!repository.is_clean().await, "the file is gone");
}

#[tokio::test]
async fn an_edit_is_seen_whatever_git_compares() {
    let repository = Repository::new().await;
    let file = repository.root.join("file");
    let write = |text: &str| {
        // Another inode, with the same size and date.
        let new = repository.root.join("ignored");
        fs_err::write(&new, text).unwrap();
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_600_000_000);
        fs_err::File::options().write(true).open(&new).unwrap().file().set_modified(time).unwrap();
        fs_err::rename(new, &file).unwrap();
    };
    write("one");
    repository.commit().await;
    repository.git(&["config", "core.checkStat", "minimal"]).await;
    repository.git(&["config", "core.trustctime", "false"]).await;
    assert!(repository.is_clean().await);
    write("two");
    repository.differs(&mut BTreeSet::new(), "the same size and date").await;
}

#[tokio::test]
async fn a_name_in_other_letters_is_another_file() {
    let repository = Repository::new().await;
    repository.write("text", "one");
    repository.commit().await;
    repository.git(&["config", "core.ignoreCase", "true"]).await;
    let mut seen = BTreeSet::new();
    for text in ["one", "two"] {
        repository.write("Text", text);
        repository.differs(&mut seen, text).await;
    }
}

#[tokio::test]
async fn a_working_tree_in_another_folder_is_an_error() {
    let repository = Repository::new().await;
    let away = tempfile::tempdir().unwrap();
    fs_err::copy(repository.root.join(".gitignore"), away.path().join(".gitignore")).unwrap();
    repository.git(&["config", "core.worktree", away.path().to_str().unwrap()]).await;
    repository.write("file", "one");
    for error in
        [source(&repository.root, Filters::Run).await.unwrap_err(), changes(&repository.root).await.unwrap_err()]
    {
        assert!(error.to_string().contains("has its working tree in another folder"), "{error}");
    }
    type_hint(&repository.root, &source(&repository.root, Filters::Run).await.unwrap_err()).await;
    assert!(!repository.is_clean().await);
}

#[tokio::test]
async fn a_repository_that_ignores_the_project_is_not_the_projects() {
    for (project, rules) in [("shop", "*"), ("shop", "/shop/"), ("", "*.yaml")] {
        let repository = Repository::new().await;
        let root = repository.root.join(project);
        repository.write(".gitignore", rules);
        repository.git(&["commit", "--quiet", "--all", "--message", "Rules"]).await;
        fs_err::create_dir_all(&root).unwrap();
        fs_err::write(root.join(FILE), "project: shop").unwrap();
        let error = source(&root, Filters::Run).await.unwrap_err();
        assert!(error.to_string().contains("which ignores deploy.yaml"), "{error}");
        type_hint(&root, &error).await;
        assert!(changes(&root).await.unwrap().is_none());
        fs_err::write(root.join(FILE), "project: another").unwrap();
        assert!(changes(&root).await.unwrap().is_some());
    }
}
