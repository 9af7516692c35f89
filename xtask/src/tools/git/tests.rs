mod looks;

use std::collections::BTreeSet;

use camino::Utf8PathBuf;

use super::*;
use crate::hash::sha256_folder;
use crate::tools::cmd::REPOSITORY_VARIABLES;

mod unseen;

/// A repository in a folder of its own, with one commit.
pub struct Repository {
    pub root: Utf8PathBuf,
    folder: tempfile::TempDir,
}

impl Repository {
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(folder.path().canonicalize().unwrap()).unwrap().join("repository");
        fs_err::create_dir(&root).unwrap();
        let repository = Self { root, folder };
        repository.git(&["init", "--quiet", "--initial-branch", "main"]).await;
        repository.write(".gitignore", "ignored\n");
        repository.commit().await;
        repository
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.root.join(path);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    }

    /// Commits everything.
    pub async fn commit(&self) -> String {
        self.git(&["add", "--all"]).await;
        self.git(&["commit", "--quiet", "--allow-empty", "--message", "A commit"]).await;
        self.git(&["rev-parse", "HEAD"]).await
    }

    pub async fn git(&self, args: &[&str]) -> String {
        run(&self.root, args).await
    }

    async fn version(&self) -> String {
        let version = source(&self.root, Filters::Run).await.unwrap().version;
        assert_eq!(source(&self.root, Filters::Off).await.unwrap().version, version);
        version
    }

    async fn is_clean(&self) -> bool {
        changes(&self.root).await.unwrap().is_none()
    }

    /// Each of these changes gives another version than all before.
    async fn differs(&self, seen: &mut BTreeSet<String>, what: &str) {
        let version = self.version().await;
        assert!(version.contains("-dirty-"), "{what}: {version}");
        assert!(seen.insert(version), "{what}: the version is one of before");
    }
}

/// The hash of the uncommitted changes. A look finds the same as git with its filters, where there are none.
async fn changes(root: &Utf8Path) -> Result<Option<String>> {
    let (repository, _) = checked_out(root).await?;
    let changes = Tree::of(&repository, Filters::Run).await?.changes;
    assert_eq!(Tree::of(&repository, Filters::Off).await?.changes, changes);
    Ok(changes)
}

async fn run(folder: &Utf8Path, args: &[&str]) -> String {
    let who = ["-c", "user.name=T", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"];
    git(folder, &[&who[..], args].concat()).env("GIT_ALLOW_PROTOCOL", "file").capture().await.unwrap()
}

/// Types what an error says, in the project's folder.
async fn type_hint(folder: &Utf8Path, error: &anyhow::Error) {
    let said = error.to_string();
    let (_, command) = said.split_once("type: ").unwrap();
    let shell = Cmd::new("sh").args(["-ec", command]).dir(folder).env("GIT_ALLOW_PROTOCOL", "file");
    let shell = ["AUTHOR", "COMMITTER"].iter().fold(shell, |shell, role| {
        shell.env(format!("GIT_{role}_NAME"), "T").env(format!("GIT_{role}_EMAIL"), "t@example.org")
    });
    shell.env("GIT_EDITOR", "echo A commit >").run().await.unwrap();
}

#[tokio::test]
async fn the_hash_of_changes_depends_on_their_content_only() {
    let repository = Repository::new().await;
    let root = &repository.root;
    repository.write("a file.txt", "one");
    repository.commit().await;
    assert_eq!(head(root).await.unwrap().subject, "A commit");
    assert_eq!(source(root, Filters::Run).await.unwrap().branch.as_deref(), Some("main"));
    repository.write("ignored", "x");
    assert_eq!(changes(root).await.unwrap(), None);
    repository.write("a file.txt", "two");
    let two = changes(root).await.unwrap().unwrap();
    repository.git(&["add", "."]).await;
    assert_eq!(changes(root).await.unwrap().as_ref(), Some(&two));
    repository.write("a file.txt", "three");
    assert_ne!(changes(root).await.unwrap().as_ref(), Some(&two));
    fs_err::remove_file(root.join("a file.txt")).unwrap();
    assert!(changes(root).await.unwrap().is_some());
    // A folder in its place, and a file in the place of a folder.
    repository.write("a file.txt/inside", "1");
    assert!(changes(root).await.unwrap().is_some());
    fs_err::remove_dir_all(root.join("a file.txt")).unwrap();
    repository.write("a file.txt", "one");
    repository.git(&["add", "."]).await;
    assert_eq!(changes(root).await.unwrap(), None);
    repository.write("folder/file", "1");
    repository.commit().await;
    fs_err::remove_dir_all(root.join("folder")).unwrap();
    repository.write("folder", "1");
    assert!(changes(root).await.unwrap().is_some());
}

#[tokio::test]
async fn a_project_in_a_folder_of_its_repository_is_hashed_by_its_files() {
    let repository = Repository::new().await;
    repository.write("shop/main.rs", "one");
    repository.write("shared/lib.rs", "one");
    repository.commit().await;
    let shop = repository.root.join("shop");
    assert_eq!(changes(&shop).await.unwrap(), None);
    let mut seen = BTreeSet::new();
    for (path, text) in [("shop/main.rs", "two"), ("shop/main.rs", "three"), ("shared/lib.rs", "two")] {
        repository.write(path, text);
        let version = source(&shop, Filters::Run).await.unwrap().version;
        assert_eq!(version, repository.version().await);
        repository.differs(&mut seen, path).await;
    }
    assert_eq!(show(&shop, "HEAD", "main.rs").await.unwrap().as_deref(), Some("one"));
    assert_eq!(show(&shop, "HEAD", "shared/lib.rs").await.unwrap(), None);
}

#[tokio::test]
async fn names_that_are_not_utf_8_are_hashed() {
    let repository = Repository::new().await;
    let name = repository.root.as_std_path().join(path(b"gr\xfc\xdfe.txt"));
    let mut seen = BTreeSet::new();
    for text in ["one", "two"] {
        fs_err::write(&name, text).unwrap();
        repository.differs(&mut seen, text).await;
    }
    repository.commit().await;
    assert!(repository.is_clean().await);
    for text in ["three", "four"] {
        fs_err::write(&name, text).unwrap();
        repository.differs(&mut seen, text).await;
    }
}

#[tokio::test]
async fn submodules_and_repositories_inside_are_hashed_whatever_their_configuration_says() {
    let (outer, middle, inner) = tokio::join!(Repository::new(), Repository::new(), Repository::new());
    let add = ["-c", "protocol.file.allow=always", "submodule", "--quiet", "add"];
    middle.git(&[&add[..], &[inner.root.as_str(), "inner"]].concat()).await;
    middle.commit().await;
    outer.git(&[&add[..], &[middle.root.as_str(), "middle"]].concat()).await;
    let update = ["-c", "protocol.file.allow=always", "submodule", "--quiet", "update", "--init", "--recursive"];
    outer.git(&update).await;
    outer.commit().await;
    assert!(outer.is_clean().await);
    for file in [".gitmodules", "middle/.gitmodules"] {
        let module = if file.starts_with("middle") { "inner" } else { "middle" };
        let folder = outer.root.join(file).parent().unwrap().to_owned();
        run(&folder, &["config", "--file", ".gitmodules", &format!("submodule.{module}.ignore"), "all"]).await;
        run(&folder, &["config", &format!("submodule.{module}.ignore"), "all"]).await;
    }
    run(&outer.root.join("middle/inner"), &["config", "status.showUntrackedFiles", "no"]).await;
    run(&outer.root.join("middle"), &["commit", "--quiet", "--all", "--message", "Ignore"]).await;
    outer.commit().await;

    let mut seen = BTreeSet::new();
    if !outer.is_clean().await {
        // `git add` obeys `ignore = all`, too: the submodule is at a commit that the outer repository does not name.
        outer.differs(&mut seen, "another commit").await;
        outer.git(&["add", "--force", "middle"]).await;
        outer.git(&["commit", "--quiet", "--message", "Its commit"]).await;
    }
    assert!(outer.is_clean().await);
    for (path, text) in [
        ("middle/.gitignore", "1"),
        ("middle/.gitignore", "2"),
        ("middle/inner/.gitignore", "1"),
        ("middle/inner/.gitignore", "2"),
        ("middle/inner/untracked", "1"),
        ("middle/inner/untracked", "2"),
    ] {
        outer.write(path, text);
        outer.differs(&mut seen, path).await;
    }
    // A commit inside is a change, too.
    run(&outer.root.join("middle/inner"), &["commit", "--quiet", "--all", "--message", "Inside"]).await;
    outer.differs(&mut seen, "a commit inside").await;
    outer.git(&["submodule", "--quiet", "deinit", "--force", "--all"]).await;
    assert!(outer.is_clean().await, "a submodule that is not checked out");
    outer.write("middle/file", "1");
    let error = source(&outer.root, Filters::Run).await.unwrap_err();
    assert!(error.to_string().contains("has files, but no repository"), "{error}");
    type_hint(&outer.root, &error).await;
    assert!(outer.root.join("middle/.git").exists() && !outer.root.join("middle/file").exists());

    // A clone that is no submodule.
    outer.git(&["clone", "--quiet", inner.root.as_str(), "clone"]).await;
    outer.differs(&mut seen, "a clone").await;
    for text in ["1", "2"] {
        outer.write("clone/.gitignore", text);
        outer.differs(&mut seen, "a file of a clone").await;
    }
    // A repository without a commit.
    outer.git(&["init", "--quiet", "new"]).await;
    for text in ["1", "2"] {
        outer.write("new/file", text);
        outer.differs(&mut seen, "a file of a new repository").await;
    }
    // What is broken is no reason to read the repository around it.
    fs_err::remove_file(outer.root.join("clone/.git/HEAD")).unwrap();
    outer.differs(&mut seen, "a broken clone").await;
}

#[tokio::test]
async fn configuration_does_not_change_what_is_read() {
    let repository = Repository::new().await;
    repository.write("file", "one");
    let commit = repository.commit().await;
    let mark = repository.root.parent().unwrap().join("ran");
    let program = format!("touch {mark}; false");
    for [name, value] in [
        ["log.showSignature", "true"],
        ["gpg.program", program.as_str()],
        ["core.fsmonitor", program.as_str()],
        ["format.pretty", "raw"],
        ["color.ui", "always"],
        ["status.showUntrackedFiles", "no"],
        ["status.relativePaths", "true"],
        ["i18n.logOutputEncoding", "UTF-16"],
        ["core.quotePath", "true"],
    ] {
        repository.git(&["config", name, value]).await;
    }
    // A commit that says to be signed.
    let text = repository.git(&["cat-file", "commit", "HEAD"]).await;
    let signed =
        text.replacen("\n\n", "\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n -----END PGP SIGNATURE-----\n\n", 1);
    let signed = git(&repository.root, &["hash-object", "-t", "commit", "-w", "--stdin"]).input(signed + "\n");
    let signed = signed.capture().await.unwrap();
    assert_ne!(signed, commit);
    repository.git(&["update-ref", "HEAD", &signed]).await;
    let source = source(&repository.root, Filters::Run).await.unwrap();
    assert_eq!((source.version.as_str(), source.subject.as_str()), (&signed[..12], "A commit"));
    assert_eq!(commit_time(&repository.root, "HEAD").await.unwrap().as_second().to_string().len(), 10);
    repository.write("untracked", "1");
    assert!(!repository.is_clean().await);
    assert!(!mark.exists(), "a program that the configuration names was run");
}

#[tokio::test]
async fn questions_that_git_cannot_answer_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let root = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
    let error = head(&root).await.err().unwrap();
    assert!(format!("{error:#}").contains("git init"), "{error:#}");
    for error in [ignores(&root, "x").await.unwrap_err(), changes(&root).await.unwrap_err()] {
        assert_eq!(remedy(&error).as_deref(), Some("git init && git add . && git commit"), "{error:#}");
    }
    let repository = Repository::new().await;
    assert!(ignores(&repository.root, "ignored").await.unwrap());
    assert!(!ignores(&repository.root, "file").await.unwrap());
    assert_eq!(origin(&repository.root).await.unwrap(), None);
    repository.git(&["remote", "add", "origin", "https://user:secret@example.org/a.git"]).await;
    assert_eq!(origin(&repository.root).await.unwrap().as_deref(), Some("https://example.org/a.git"));
    repository.git(&["remote", "set-url", "origin", "https://t@example.org/a.git?private_token=secret"]).await;
    assert_eq!(origin(&repository.root).await.unwrap().as_deref(), Some("https://example.org/a.git"));
    fs_err::write(repository.root.join(".git/config"), "[broken").unwrap();
    assert!(origin(&repository.root).await.is_err());
    drop(repository.folder);
}

#[tokio::test]
async fn no_program_inherits_variables_that_name_a_repository() {
    let listed = git(".", &["rev-parse", "--local-env-vars"]).capture().await.unwrap();
    let known: BTreeSet<&str> = REPOSITORY_VARIABLES.into_iter().collect();
    let unknown: Vec<&str> = listed.lines().filter(|name| !known.contains(name)).collect();
    assert!(unknown.is_empty(), "this git knows more: {unknown:?}");
}

/// As a hook that runs the tests would have it: another repository is named by the environment of the test program.
#[tokio::test]
async fn tests_that_a_hook_runs_leave_its_repository_alone() {
    let hooked = Repository::new().await;
    let folder = hooked.root.join(".git");
    let before = sha256_folder(&folder).unwrap();
    let tests = ["tools::git::tests::a_project_in_a_folder", "tools::git::tests::names_that_are_not_utf_8"];
    let mut program = std::process::Command::new(std::env::current_exe().unwrap());
    program.args(tests).env("GIT_DIR", &folder).env("GIT_INDEX_FILE", folder.join("index"));
    let ran = program.env("GIT_WORK_TREE", &hooked.root).output().unwrap();
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(ran.status.success() && said.contains("2 passed"), "{said}");
    assert_eq!(sha256_folder(&folder).unwrap(), before);
}

#[cfg(feature = "cloud")]
#[tokio::test]
async fn a_commit_is_in_the_history_of_those_after_it() {
    let repository = Repository::new().await;
    let first = repository.git(&["rev-parse", "HEAD"]).await;
    repository.write("file", "one");
    let second = repository.commit().await;
    let is = async |commit: &str, of: &str| is_ancestor(&repository.root, commit, of).await.unwrap();
    assert!(is(&first, &second).await && is(&second, &second).await);
    assert!(!is(&second, &first).await);
    assert!(!is(&"0".repeat(40), &second).await, "one that the clone does not have");
    // A file is not a commit.
    let file = repository.git(&["rev-parse", "HEAD:file"]).await;
    assert!(!is(&file, &second).await);
}
