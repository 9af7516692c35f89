//! Secrets are in OpenTofu's environment and in encrypted files, and nowhere else.

use std::cell::RefCell;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::site::{SENTINEL, Site};
use testkit::{Ran, machine, until};

#[test]
fn a_secret_is_in_no_output_argument_or_file() {
    let Some(site) = Site::open("a_secret_is_in_no_output_argument_or_file") else { return };
    site.runs("touch ../.deploy/here; until test -e ../.deploy/go; do sleep 0.05; done");
    let page = site.project.root.join("page.md");
    let said = RefCell::new(String::new());
    let keep = |ran: Ran, code| {
        let ran = ran.expect(code);
        said.borrow_mut().push_str(&(ran.stdout + &ran.stderr));
    };
    keep(site.run(&["validate", "production"]), 0);
    keep(site.run(&["init", "production"]), 0);
    keep(site.run(&["plan", "production", "--markdown", page.to_str().unwrap()]), 10);
    keep(site.run(&["plan", "production", "--json"]), 10);
    let approval = site.approval();
    let applying = site.start(&["apply", "production", "--approve", &approval]);
    until("it is under way", || site.project.root.join(".deploy/here").exists());
    let arguments = machine::all_command_lines();
    assert!(arguments.contains("plan.tfplan"), "{arguments}");
    // Processes that OpenTofu starts inherit only the environment that was passed to it.
    let names = environment_of(&site, "until test -e");
    site.project.write(".deploy/go", "");
    let ended = applying.end().expect(0);
    said.borrow_mut().push_str(&format!("{}{:#?}", ended.stderr, ended.events));
    keep(site.run(&["output", "production"]), 0);
    keep(site.run(&["output", "production", "--json"]), 0);
    keep(site.run(&["output", "production", "secret", "--json"]), 21);
    keep(site.run(&["plan", "production"]), 0);
    assert!(names.contains(&"TF_VAR_secret".to_owned()), "{names:?}");
    for name in ["TF_STATE_PASSPHRASE", "TF_CLI_ARGS", "CARGO_MANIFEST_DIR", "TF_LOG"] {
        assert!(!names.contains(&name.to_owned()), "{name}");
    }

    for text in [said.into_inner(), arguments] {
        assert!(!text.contains("sentinel"), "{text}");
    }
    let mut looked_at = 0;
    files(&site.project.root, &mut |path| {
        // The stack's source and the user's own file have it.
        if !path.ends_with(".env.production") && !path.components().any(|part| part.as_os_str() == ".git") {
            looked_at += 1;
            let text = String::from_utf8_lossy(&fs_err::read(path).unwrap()).into_owned();
            assert!(!text.contains("sentinel"), "{}", path.display());
        }
    });
    files(&site.storage.bucket("states"), &mut |path| {
        looked_at += 1;
        let text = String::from_utf8_lossy(&fs_err::read(path).unwrap()).into_owned();
        assert!(!text.contains("sentinel"), "{}", path.display());
    });
    assert!(looked_at > 10, "{looked_at}");
    assert_eq!(fs_err::metadata(site.folder()).unwrap().permissions().mode() & 0o777, 0o700);

    // By its name it is printed.
    assert_eq!(site.run(&["output", "production", "secret"]).expect(0).stdout, format!("{SENTINEL}\n"));
}

/// The names of the variables of the process with this in its command line.
fn environment_of(site: &Site, command: &str) -> Vec<String> {
    let mut processes = machine::processes_below(&site.project.root).into_iter();
    let process = processes.find(|process| process.command.contains(command)).expect("it runs");
    let environment = fs_err::read(format!("/proc/{}/environ", process.pid)).unwrap();
    let environment = String::from_utf8_lossy(&environment).into_owned();
    environment.split('\0').filter_map(|variable| Some(variable.split_once('=')?.0.to_owned())).collect()
}

pub fn files(folder: &Path, look: &mut dyn FnMut(&Path)) {
    for entry in fs_err::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, look) } else { look(&path) }
    }
}
