//! What a look at a repository does not run.

use std::collections::BTreeSet;
use std::path::Path;

use super::super::*;
use super::{Repository, run};

/// What a repository's configuration names would run here if git did.
#[tokio::test]
async fn a_look_runs_no_program_of_a_repository_and_of_those_inside_it() {
    let (outer, inner) = tokio::join!(Repository::new(), Repository::new());
    let mark = outer.folder.path().join("mark");
    let mark = mark.to_str().unwrap();
    let program = format!("echo ran >> {mark}; cat");
    let add = ["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", inner.root.as_str(), "sub"];
    outer.git(&add).await;
    run(&inner.root, &["init", "--quiet", "embedded"]).await;
    fs_err::rename(inner.root.join("embedded"), outer.root.join("embedded")).unwrap();
    let folders = ["sub", "embedded", ""];
    for folder in folders {
        let folder = &outer.root.join(folder);
        fs_err::write(folder.join(".gitattributes"), "*.txt filter=a.b=c\n").unwrap();
        fs_err::write(folder.join("a.txt"), "one").unwrap();
        run(folder, &["add", ".gitattributes", "a.txt"]).await;
        run(folder, &["commit", "--quiet", "--message", "Files"]).await;
    }
    outer.git(&["add", "sub"]).await;
    outer.git(&["commit", "--quiet", "--message", "The submodule"]).await;
    for folder in folders {
        for (key, value) in [
            ("filter.a.b=c.clean", program.as_str()),
            ("filter.a.b=c.process", program.as_str()),
            ("filter.a.b=c.required", "true"),
            ("core.fsmonitor", program.as_str()),
            ("core.hooksPath", outer.folder.path().to_str().unwrap()),
        ] {
            run(&outer.root.join(folder), &["config", key, value]).await;
        }
    }
    fs_err::remove_file(mark).ok();
    let changed = |folder: &str, text: &str| fs_err::write(outer.root.join(folder).join("a.txt"), text).unwrap();
    let mut seen = BTreeSet::new();
    // The same length and another time, so that git has to read the files.
    for (folder, text) in [("", "two"), ("sub", "two"), ("embedded", "two"), ("", "six"), ("sub", "six")] {
        changed(folder, text);
        let version = source(&outer.root, Filters::Off).await.unwrap().version;
        assert!(version.contains("-dirty-") && seen.insert(version), "{folder} {text}");
    }
    assert!(!Path::new(mark).exists());
    // The filter speaks no protocol, so git fails; that it began is what counts here.
    source(&outer.root, Filters::Run).await.unwrap_err();
    assert!(Path::new(mark).exists());
}

#[tokio::test]
async fn a_look_does_not_enter_a_bare_repository_of_the_tree_and_fetches_nothing() {
    let repository = Repository::new().await;
    let mark = repository.folder.path().join("mark");
    repository.git(&["init", "--quiet", "--bare", "bare"]).await;
    let error = head(&repository.root.join("bare")).await.err().unwrap();
    assert!(format!("{error:#}").contains("safe.bareRepository"), "{error:#}");

    // A partial clone that lacks the content of a file.
    let commit = repository.commit().await;
    let upload = format!("echo ran > {}; false", mark.display());
    for (key, value) in [
        ("remote.origin.url", repository.root.as_str()),
        ("remote.origin.promisor", "true"),
        ("remote.origin.uploadpack", &upload),
        ("extensions.partialClone", "origin"),
        ("protocol.allow", "always"),
        ("protocol.file.allow", "always"),
    ] {
        repository.git(&["config", key, value]).await;
    }
    let blob = repository.git(&["rev-parse", "HEAD:.gitignore"]).await;
    fs_err::remove_file(repository.root.join(format!(".git/objects/{}/{}", &blob[..2], &blob[2..]))).unwrap();
    show(&repository.root, &commit, ".gitignore").await.unwrap_err();
    assert!(!mark.exists());
}
