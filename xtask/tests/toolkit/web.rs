//! The web UI: built by npm, published beside the program, and included in the release's digest.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use testkit::{Project, Ran, or_skip, test_name};

const MANIFEST: &str = r#"{ "name": "web", "version": "1.0.0",
  "scripts": { "build": "node build.js", "postinstall": "echo installed >> ran.txt" } }"#;

const LOCK: &str = r#"{ "name": "web", "version": "1.0.0", "lockfileVersion": 3, "requires": true,
  "packages": { "": { "name": "web", "version": "1.0.0", "hasInstallScript": true } } }"#;

const BUILD: &str = r"const fs = require('fs');
fs.appendFileSync('ran.txt', 'built\n');
fs.mkdirSync('dist/assets', { recursive: true });
fs.writeFileSync('dist/index.html', 'one');
fs.writeFileSync('dist/assets/a.js', '1');
";

const FOLDER: &str = r#""settings": [
    { "name": "STATIC_DIR", "help": "The web UI's folder", "kind": "path", "values": [], "default": null, "required": false,
      "secret": false, "supplied_by": "web-folder" },"#;

#[test]
fn its_files_are_published_and_are_part_of_the_digest() {
    let Some(project) = project() else { return };
    let digest = || project.records()[0]["digest"].as_str().unwrap().to_owned();

    let first = project.commit("A web UI");
    project.ok(&["deploy"]);
    assert_eq!(
        (published(&project, &first, "index.html"), published(&project, &first, "assets/a.js")),
        ("one".into(), "1".into())
    );
    assert_eq!(folder(&project), Some(format!("releases/{first}/web")));
    let before = digest();

    // The same program with a changed page is a new release.
    project.edit("web/build.js", "'one'", "'two'");
    let second = project.commit("Another page");
    project.ok(&["deploy"]);
    assert_eq!(published(&project, &second, "index.html"), "two");
    assert_ne!(digest(), before);

    project.edit("web/build.js", "const fs", "throw new Error('no page today');\nconst fs");
    project.commit("A page that does not build");
    project.run(&["deploy"]).expect(1).says(&["build the web UI", "no page today"]);
    assert_eq!((project.serves(), folder(&project)), (Some(second.clone()), Some(format!("releases/{second}/web"))));

    // The earlier release has the earlier page.
    project.ok(&["rollback"]);
    assert_eq!((project.serves(), folder(&project)), (Some(first.clone()), Some(format!("releases/{first}/web"))));
    assert_eq!(published(&project, &first, "index.html"), "one");
}

#[test]
fn what_did_not_change_is_neither_installed_nor_built_again() {
    let Some(project) = project() else { return };
    let ran = || project.read("web/ran.txt");
    project.write("web/package-lock.json", LOCK);
    project.commit("A web UI");
    project.ok(&["deploy"]);
    assert_eq!(ran(), "installed\nbuilt\n");

    project.write("notes.txt", "nothing of the web UI");
    let second = project.commit("Notes");
    project.ok(&["deploy"]);
    assert_eq!((ran().as_str(), published(&project, &second, "index.html").as_str()), ("installed\nbuilt\n", "one"));

    // A page that is not committed is another one.
    project.edit("web/build.js", "'one'", "'two'");
    project.ok(&["deploy"]);
    assert_eq!(ran(), "installed\nbuilt\nbuilt\n");
    assert!(project.serves().unwrap().contains("-dirty-"));
    let third = project.commit("Another page");
    project.ok(&["deploy"]);
    assert_eq!(
        (ran().as_str(), published(&project, &third, "index.html").as_str()),
        ("installed\nbuilt\nbuilt\n", "two")
    );

    // What is in the way of the built files is replaced; nobody can deploy what was edited there.
    project.write("web/dist/index.html", "three");
    let fourth = project.commit("The same page");
    project.ok(&["deploy"]);
    assert_eq!((ran().lines().count(), published(&project, &fourth, "index.html").as_str()), (4, "two"));

    // Bundlers read these files, and no version names one that git ignores.
    project.write("web/.env.local", "VITE_TITLE=x");
    project.commit("The same page with another title");
    project.ok(&["deploy"]).says(&["files that git ignores", "web/.env.local"]);
    assert_eq!(ran().lines().count(), 5);

    project.edit("web/package-lock.json", "\"requires\": true", "\"requires\":  true");
    project.commit("Other packages");
    project.ok(&["deploy"]);
    assert_eq!(ran().lines().skip(5).collect::<Vec<_>>(), ["installed", "built"]);
}

#[test]
fn without_a_fitting_node_nothing_is_changed_unless_it_is_a_feature() {
    let Some(project) = project() else { return };
    let nothing_was_made = || !project.deployed("releases").exists() && !project.deployed("secrets.env").exists();
    let hidden = tempfile::tempdir().unwrap();
    let Some(path) = or_skip(&test_name(), path_without_node(hidden.path())) else { return };
    let without_node = |args: &[&str]| Ran::of(project.command(args).env("PATH", &path));

    project.commit("A web UI");
    without_node(&["deploy"]).expect(1).says(&["missing: nodejs, npm", "before anything is changed"]);
    assert!(nothing_was_made());

    project.edit(
        "web/package.json",
        "\"version\": \"1.0.0\",",
        "\"version\": \"1.0.0\", \"engines\": { \"node\": \">=99\" },",
    );
    project.commit("A web UI for another Node.js");
    let refused = project.run(&["deploy"]).expect(1);
    refused.says(&["this machine has Node.js", "web/package.json asks for `>=99`", "→ install another one"]);
    assert!(nothing_was_made());

    project.edit("web/package.json", ">=99", ">=1");
    project.edit(
        "deploy.yaml",
        "  readiness: /ready",
        "  readiness: /ready\n  programs:\n    - { name: node, package: nodejs, feature: web }\n    - { name: npm, package: npm, feature: web }",
    );
    let version = project.commit("A web UI that may be missing");
    let missing = format!("{version} has no web UI");
    without_node(&["deploy"]).expect(0).says(&["web is off without node (Debian package nodejs)", &missing]);
    assert_eq!(folder(&project), None);

    // Once Node.js is there, the same commit is deployed with it.
    let complete = project.ok(&["deploy"]);
    assert!(!complete.stderr.contains("no web UI"), "{}", complete.stderr);
    assert_eq!(folder(&project), Some(format!("releases/{version}/web")));
    project.ok(&["deploy"]).says(&["unchanged"]);
}

#[test]
fn whoever_comes_first_is_shown_the_way_in_and_no_secret() {
    let Some(project) = project() else { return };
    project.edit(
        "deploy.yaml",
        "  readiness: /ready",
        "  first_visit: { page: '/register#bootstrap={SIGNING_KEY}', open: /open }\n  readiness: /ready",
    );
    project.commit("A web UI");
    let said = project.ok(&["deploy"]).stderr;
    let line = said.lines().find(|line| line.contains("(prints a link)")).unwrap_or_else(|| panic!("{said}"));
    let command = line.trim().trim_start_matches("first").trim_end_matches("(prints a link)").trim();
    let link = Command::new("sh").args(["-c", command]).current_dir(&project.root).output().unwrap();
    let secrets = fs_err::read_to_string(project.deployed("secrets.env")).unwrap();
    let key = secrets.lines().find_map(|line| line.strip_prefix("SIGNING_KEY=")).unwrap();
    assert_eq!(
        String::from_utf8(link.stdout).unwrap(),
        format!("http://localhost:{}/register#bootstrap={key}\n", project.port)
    );
    assert!(!said.contains(key), "{said}");

    // Somebody came.
    fs_err::write(project.deployed("data/data/came"), "").unwrap();
    project.commit("The same page");
    let said = project.ok(&["deploy"]).stderr;
    assert!(!said.contains("(prints a link)"), "{said}");

    project.edit("deploy.yaml", "open: /open", "open: /opne");
    project.commit("A page that is not there");
    project.ok(&["deploy"]).says(&["whether the first account exists was not answered", "/opne answered 404"]);

    project.edit("deploy.yaml", "{SIGNING_KEY}", "{SIGNING_KEI}");
    project.commit("Another name");
    project
        .run(&["deploy"])
        .expect(1)
        .says(&["`service.first_visit` names SIGNING_KEI", "did you mean `SIGNING_KEY`?"]);
}

/// The fixture with a web UI, where this machine has npm.
fn project() -> Option<Project> {
    let npm = Command::new("npm").arg("--version").output().map_err(|error| anyhow::anyhow!("takes npm: {error}"));
    or_skip(&test_name(), npm)?;
    let project = Project::fixture();
    project.edit("deploy.yaml", "  readiness: /ready", "  web: web\n  readiness: /ready");
    project.edit("settings.json", "\"settings\": [", FOLDER);
    project.write("web/package.json", MANIFEST);
    project.write("web/build.js", BUILD);
    project.write("web/.gitignore", "dist\nnode_modules\nran.txt\n.env.local\n");
    Some(project)
}

fn published(project: &Project, version: &str, file: &str) -> String {
    fs_err::read_to_string(project.deployed(&format!("releases/{version}/web/{file}"))).unwrap()
}

/// The folder of the web UI that the service was given, from that of the environment.
fn folder(project: &Project) -> Option<String> {
    let services = project.services();
    let environment = fs_err::read(format!("/proc/{}/environ", services.last().unwrap().pid)).unwrap();
    let folder = String::from_utf8(environment).unwrap();
    let folder = folder.split('\0').find_map(|variable| variable.strip_prefix("STATIC_DIR="))?;
    assert!(Path::new(folder).join("index.html").is_file(), "{folder}");
    let (_, below) = folder.split_once("/releases/").unwrap();
    Some(format!("releases/{below}"))
}

/// A `PATH` with every program of this one but Node.js, npm and what installs them.
fn path_without_node(into: &Path) -> anyhow::Result<String> {
    let hidden = ["node", "nodejs", "npm", "npx", "apt-get"];
    for folder in std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()) {
        let Ok(programs) = std::fs::read_dir(folder) else { continue };
        for program in programs.filter_map(Result::ok).filter(|it| !hidden.iter().any(|name| it.file_name() == *name)) {
            // An earlier folder comes first.
            symlink(program.path(), into.join(program.file_name())).ok();
        }
    }
    let seen = ["/usr/local/bin", "/usr/sbin", "/sbin"].iter().find(|folder| Path::new(folder).join("node").exists());
    anyhow::ensure!(seen.is_none(), "the toolkit finds Node.js in {} without a PATH, too", seen.unwrap_or(&""));
    Ok(into.to_str().unwrap().to_owned())
}
