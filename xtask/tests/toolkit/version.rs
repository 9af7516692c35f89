//! The version names what is built: whatever is edited, the next deploy serves it and is never `unchanged`.

use std::ffi::OsStr;
use std::fs::Permissions;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use testkit::{Project, Ran, git, machine, skipped};

use crate::preflight::as_ordinary_user;

/// Lets the service answer with a file of the project.
fn answer_with(project: &Project, file: &str) {
    let answer = format!("include_str!(\"../{file}\").trim().to_owned()");
    project.edit("src/main.rs", "variable(\"GREETING\")", &answer);
}

/// Each edit of this file is deployed, and then known.
fn edits_are_deployed(project: &Project, file: &Path) {
    for text in ["one", "two"] {
        fs_err::write(file, text).unwrap();
        project.ok(&["deploy"]);
        assert_eq!(project.get("/greeting").as_deref(), Some(text));
    }
    project.ok(&["deploy"]).says(&["unchanged"]);
}

/// A repository with one file, beside the project.
fn other_repository(project: &Project, name: &str) -> String {
    let folder = project.root.parent().unwrap().join(name);
    fs_err::create_dir(&folder).unwrap();
    fs_err::write(folder.join("text.txt"), "first").unwrap();
    let run = |args: &[&str]| {
        let who = ["-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"];
        Ran::of(git(&folder).args(who).args(args)).expect(0);
    };
    run(&["init", "--quiet"]);
    run(&["add", "."]);
    run(&["commit", "--quiet", "--message", "Another project"]);
    folder.to_str().unwrap().to_owned()
}

#[test]
fn edits_in_a_folder_of_a_repository_and_beside_it_are_deployed() {
    let project = Project::of("fixture", |project| answer_with(project, "../shared/text.txt"));
    let repository = project.root.parent().unwrap();
    fs_err::rename(project.root.join(".git"), repository.join(".git")).unwrap();
    fs_err::create_dir(repository.join("shared")).unwrap();
    fs_err::write(repository.join("shared/text.txt"), "first").unwrap();
    project.git(&["add", "--all", ":/"]);
    let version = project.commit("A folder of a repository");
    project.ok(&["deploy"]);
    assert_eq!(project.serves(), Some(version));
    edits_are_deployed(&project, &repository.join("shared/text.txt"));

    answer_with_own(&project);
    edits_are_deployed(&project, &project.root.join("src/text.txt"));
}

/// From a file of the project's own, in place of the shared one.
fn answer_with_own(project: &Project) {
    project.edit("src/main.rs", "../../shared/text.txt", "text.txt");
}

#[test]
fn edits_of_a_submodule_and_of_a_clone_inside_are_deployed() {
    let project = Project::of("fixture", |project| answer_with(project, "texts/text.txt"));
    let texts = other_repository(&project, "texts");
    project.git(&["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", &texts, "texts"]);
    project.git(&["config", "--file", ".gitmodules", "submodule.texts.ignore", "all"]);
    project.git(&["config", "submodule.texts.ignore", "all"]);
    let version = project.commit("A submodule");
    project.ok(&["deploy"]);
    assert_eq!(project.serves(), Some(version));
    edits_are_deployed(&project, &project.root.join("texts/text.txt"));

    project.git(&["submodule", "--quiet", "deinit", "--force", "texts"]);
    project.git(&["rm", "--quiet", "texts"]);
    project.git(&["clone", "--quiet", &texts, "texts"]);
    edits_are_deployed(&project, &project.root.join("texts/text.txt"));
}

#[test]
fn edits_of_a_file_whose_name_is_not_utf_8_are_deployed() {
    let project = Project::fixture();
    let file = project.root.join(OsStr::from_bytes(b"gr\xfc\xdfe.txt"));
    for text in ["one", "two"] {
        fs_err::write(&file, text).unwrap();
        let ran = project.ok(&["deploy"]);
        assert!(!ran.stderr.contains("unchanged"), "{}", ran.stderr);
    }
    project.ok(&["deploy"]).says(&["unchanged"]);
}

#[test]
fn signed_commits_are_deployed_where_git_shows_signatures() {
    let project = Project::fixture();
    project.git(&["config", "log.showSignature", "true"]);
    for subject in ["First", "Second"] {
        project.commit(subject);
        let text = project.git(&["cat-file", "commit", "HEAD"]);
        let mark = "\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n -----END PGP SIGNATURE-----\n\n";
        let file = project.root.parent().unwrap().join("commit");
        fs_err::write(&file, text.replacen("\n\n", mark, 1) + "\n").unwrap();
        let signed = project.git(&["hash-object", "-t", "commit", "-w", file.to_str().unwrap()]);
        project.git(&["update-ref", "HEAD", &signed]);
        project.ok(&["deploy"]).says(&[&format!("{}  {subject}", &signed[..12])]);
        assert_eq!(project.serves().as_deref(), Some(&signed[..12]));
    }
}

#[test]
fn a_repository_that_a_hook_names_is_not_the_one_that_is_deployed() {
    let project = Project::fixture();
    let other = other_repository(&project, "other");
    let hook = |args: &[&str]| {
        let mut command = project.command(args);
        command.env("GIT_DIR", format!("{other}/.git")).env("GIT_WORK_TREE", &other);
        command.env("GIT_INDEX_FILE", format!("{other}/.git/index")).env("GIT_PREFIX", "");
        Ran::of(&mut command)
    };
    let version = project.head();
    assert!(hook(&["--version"]).expect(0).stdout.contains(&version));
    hook(&["deploy"]).expect(0).says(&[&version]);
    assert_eq!(project.serves(), Some(version));
    hook(&["deploy"]).expect(0).says(&["unchanged"]);
}

#[test]
fn a_repository_of_another_user_is_reported_with_gits_own_command() {
    let project = Project::fixture();
    if !machine::is_root() {
        let test = "a_repository_of_another_user_is_reported_with_gits_own_command";
        return skipped(test, "only root can give a folder to another user");
    }
    for folder in [&project.root, &project.root.join(".git")] {
        fs_err::os::unix::fs::lchown(folder, Some(65534), Some(65534)).unwrap();
    }
    let command = format!("git config --global --add safe.directory {}", project.root.display());
    let doctor = project.run(&["doctor"]);
    let said = doctor.stdout + &doctor.stderr;
    assert!(said.contains(&command), "{said}");
    assert!(!said.contains("echo /.deploy") && !said.contains("git init"), "{said}");
    let refused = project.run(&["deploy"]).expect(1).says(&["git refuses it to this user"]);

    // What it says is typed.
    let typed = refused.stderr.lines().find(|line| line.contains("--add safe.directory")).unwrap();
    let typed = &typed[typed.find("git config").unwrap()..];
    let configuration = project.root.parent().unwrap().join("gitconfig");
    let mut shell = std::process::Command::new("sh");
    Ran::of(shell.args(["-c", typed]).env("GIT_CONFIG_GLOBAL", &configuration)).expect(0);
    Ran::of(project.command(&["deploy"]).env("GIT_CONFIG_GLOBAL", &configuration)).expect(0);
    assert_eq!(project.get("/greeting").as_deref(), Some("hello"));
}

#[test]
fn a_folder_that_git_cannot_read_is_an_error() {
    let mut project = Project::fixture();
    project.write("dark/text", "one");
    // root reads every folder.
    let user = machine::is_root().then_some(65534);
    if user.is_some() {
        as_ordinary_user(&mut project);
    }
    let as_user = |mut command: Command| {
        user.map(|user| command.uid(user));
        Ran::of(command.env("HOME", &project.root))
    };
    let plan = || as_user(project.command(&["deploy", "--dry-run"]));
    let version = || {
        let said = plan().expect(0).stderr;
        let (_, version) = said.split_once("-dirty-").unwrap();
        version[..8].to_owned()
    };
    let dark = project.root.join("dark");
    let close = || fs_err::set_permissions(&dark, Permissions::from_mode(0o000)).unwrap();

    close();
    let refused = plan().expect(1).says(&["dark/ cannot be read by this user", "type: chmod u+rwx"]);
    let mut shell = Command::new("sh");
    shell.args(["-ec", &refused.hint("type: ")]);
    as_user(shell).expect(0);
    let one = version();
    fs_err::write(dark.join("text"), "two").unwrap();
    assert_ne!(version(), one);

    close();
    if user.is_some() {
        fs_err::os::unix::fs::lchown(&dark, Some(0), None).unwrap();
        plan().expect(1).says(&["dark/ cannot be read by this user", "type: sudo chown -R $(id -u)"]);
    }
    // What git ignores need not be readable.
    project.write(".git/info/exclude", "/dark\n");
    plan().expect(0);
}

#[test]
fn files_that_a_build_reads_and_no_version_names_are_said() {
    let project = Project::fixture();
    let said = "the version does not name them";
    assert!(!project.ok(&["deploy"]).stderr.contains(said));
    // What the build writes into its own folder is made of what the version names.
    project.write(
        "build.rs",
        "fn main() { std::fs::write(std::env::var(\"OUT_DIR\").unwrap() + \"/made.txt\", \"made\").unwrap(); }",
    );
    let made =
        "concat!(include_str!(concat!(env!(\"OUT_DIR\"), \"/made.txt\")), include_str!(\"a file.txt\")).to_owned()";
    project.edit("src/main.rs", "variable(\"GREETING\")", made);
    project.write("src/a file.txt", " tracked");
    project.commit("Made");
    assert!(!project.ok(&["deploy"]).stderr.contains(said));
    assert_eq!(project.get("/greeting").as_deref(), Some("made tracked"));

    project.write(".git/info/exclude", "a file.txt\nour *.txt\n");
    project.write("src/our file.txt", " ignored");
    fs_err::write(project.root.parent().unwrap().join("beside.txt"), " beside").unwrap();
    let read = "include_str!(\"a file.txt\"), include_str!(\"our file.txt\"), include_str!(\"../../beside.txt\")";
    project.edit("src/main.rs", "include_str!(\"a file.txt\")", read);
    project.commit("Read");
    let deployed = project.ok(&["deploy"]);
    let names = deployed.stderr.split(said).nth(1).unwrap().lines().next().unwrap();
    assert!(names.contains("/beside.txt, src/our file.txt") && !names.contains("a file"), "{names}");
}
