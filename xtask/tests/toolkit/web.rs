//! The web UI: built by npm, published beside the program, and included in the release's digest.

use std::process::Command;

use testkit::Project;

const BUILD: &str = r"const fs = require('fs');
fs.mkdirSync('dist/assets', { recursive: true });
fs.writeFileSync('dist/index.html', 'one');
fs.writeFileSync('dist/assets/a.js', '1');
";

#[test]
fn its_files_are_published_and_are_part_of_the_digest() {
    if Command::new("npm").arg("--version").output().is_err() {
        eprintln!("SKIPPED its_files_are_published_and_are_part_of_the_digest: takes npm");
        return;
    }
    let project = Project::fixture();
    project.edit("deploy.yaml", "  readiness: /ready", "  web: web\n  readiness: /ready");
    project
        .write("web/package.json", r#"{ "name": "web", "version": "1.0.0", "scripts": { "build": "node build.js" } }"#);
    project.write("web/build.js", BUILD);
    project.write("web/.gitignore", "dist\nnode_modules\n");
    let published = |version: &str, file: &str| {
        let path = project.deployed(&format!("releases/{version}/web/{file}"));
        fs_err::read_to_string(path).unwrap()
    };
    let digest = || project.records()[0]["digest"].as_str().unwrap().to_owned();

    let first = project.commit("A web UI");
    project.ok(&["deploy"]);
    assert_eq!((published(&first, "index.html"), published(&first, "assets/a.js")), ("one".into(), "1".into()));
    let before = digest();

    // The same program with a changed page is a new release.
    project.edit("web/build.js", "'one'", "'two'");
    let second = project.commit("Another page");
    project.ok(&["deploy"]);
    assert_eq!(published(&second, "index.html"), "two");
    assert_ne!(digest(), before);

    project.edit("web/build.js", "const fs", "throw new Error('no page today');\nconst fs");
    project.commit("A page that does not build");
    project.run(&["deploy"]).expect(1).says(&["build the web UI", "no page today"]);
    assert_eq!(project.serves().as_deref(), Some(second.as_str()));
}
