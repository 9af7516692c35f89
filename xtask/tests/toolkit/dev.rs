//! `dev`: the service and the web UI's own server run side by side, and what is changed is built again.

use std::cell::Cell;
use std::process::Command;

use rustix::process::Signal;
use testkit::machine::{Process, lives, signal};
use testkit::{Project, Running, client, or_skip, test_name, until, until_some};

/// Answers with what the service answers.
const SERVER: &str = r"const http = require('http');
http.createServer(async (_, answer) => {
  const version = await fetch(process.env.SERVICE_URL + '/version');
  answer.end('the service is ' + (await version.text()));
}).listen(0, '127.0.0.1', function () { console.log('port ' + this.address().port); });
";

const DATABASE: &str = r#""settings": [
    { "name": "DATABASE_URL", "help": "The database", "kind": "url", "values": [], "default": null, "required": true,
      "secret": true, "supplied_by": "postgres" },"#;

#[test]
fn service_and_web_ui_run_side_by_side_and_changes_are_built() {
    let npm = Command::new("npm").arg("--version").output().map_err(|error| anyhow::anyhow!("takes npm: {error}"));
    if or_skip(&test_name(), npm).is_none() {
        return;
    }
    let project = Project::fixture();
    project.edit("deploy.yaml", "  readiness: /ready", "  web: web\n  readiness: /ready");
    project.edit("settings.json", "\"settings\": [", DATABASE);
    let scripts = r#"{ "build": "mkdir -p dist && echo one > dist/index.html", "dev": "node dev.js" }"#;
    project.write("web/package.json", &format!(r#"{{ "name": "web", "version": "1.0.0", "scripts": {scripts} }}"#));
    project.write("web/dev.js", SERVER);
    project.write("web/.gitignore", "dist\nnode_modules\n");
    let version = project.commit("A web UI");
    project.ok(&["deploy"]);
    let deployed = project.processes();

    let mut dev = project.start(&["dev"]);
    let page = says(&mut dev, "web", "port ").parse().unwrap();
    says(&mut dev, "service", "development begins, ready");
    // Its port is open a moment after that.
    let through_both = || client::get(page, "/").ok().map(|answer| answer.text());
    until("the page answers", || through_both().as_deref() == Some("the service is development"));
    let debug =
        || project.processes().into_iter().find(|process| process.command.contains("debug/fixture serve")).unwrap();
    let first = debug().pid;
    let environment = fs_err::read(format!("/proc/{first}/environ")).unwrap();
    let environment = String::from_utf8(environment).unwrap();
    let variable = |name: &str| environment.split('\0').find_map(|it| it.strip_prefix(name)).unwrap();
    assert!(variable("DATABASE_URL=").contains("/fixture%5Fdevelopment?"), "{}", variable("DATABASE_URL="));
    assert!(variable("DATA_DIR=").ends_with(".deploy/local/development/data"), "{}", variable("DATA_DIR="));
    assert_eq!(project.serves().as_deref(), Some(version.as_str()));

    // What does not compile changes nothing, and is said.
    let source = project.read("src/main.rs");
    project.write("src/main.rs", "fn main() { nonsense }");
    says(&mut dev, "cargo", "this does not compile");
    assert_eq!(debug().pid, first);
    project.write("src/main.rs", &source);
    project.write("src/behaviour.txt", "unready");
    says(&mut dev, "service", "development begins, unready");
    assert!(!lives(first));

    // One that ends is started again after the next change.
    project.write("src/behaviour.txt", "exits");
    says(&mut dev, "service", "it has ended (exit status: ");
    project.write("src/behaviour.txt", "ready");
    says(&mut dev, "service", "development begins, ready");

    // Nothing is left but what was there.
    dev.signal(Signal::INT);
    dev.end().expect(0);
    until("the release that serves is left", || {
        deployed.iter().all(|process| lives(process.pid))
            && !project.processes().iter().any(|process| process.command.contains("debug/fixture"))
    });
    assert_eq!(project.serves().as_deref(), Some(version.as_str()));

    // A PostgreSQL that nothing else needs ends, too; so does everything when the web UI's server ends.
    project.ok(&["stop"]);
    let mut dev = project.start(&["dev"]);
    says(&mut dev, "service", "development begins, ready");
    let is_server = |process: &Process| process.command.starts_with("node dev.js");
    let server = until_some("the web UI's server runs", || project.processes().into_iter().find(is_server));
    signal(server.pid, Signal::KILL);
    let ended = dev.end().expect(1);
    let said = format!("{:#?}", ended.events);
    assert!(said.contains("the script `dev` of the web UI has ended"), "{said}");
    assert_eq!(project.processes(), []);
}

#[test]
fn it_is_for_an_environment_on_this_machine() {
    let project = Project::fixture();
    let stack = "  production: { target: scaleway, registry: rg.fr-par.scw.cloud/shop }\nimage: {}\n";
    let deploy = project.read("deploy.yaml");
    project.write("deploy.yaml", &format!("{deploy}{stack}"));
    project.run(&["dev", "production"]).expect(2).says(&["production", "`dev`"]);
}

/// Waits for a line that begins so, and returns its rest.
#[track_caller]
fn says(dev: &mut Running, from: &str, begin: &str) -> String {
    let rest = Cell::new(None);
    dev.must_tell(|event| {
        let line = event["detail"]["line"].as_str().filter(|_| event["detail"]["from"] == from);
        let found = line.and_then(|line| line.strip_prefix(begin)).map(str::to_owned);
        let is_found = found.is_some();
        rest.set(found);
        is_found
    });
    rest.take().unwrap()
}
