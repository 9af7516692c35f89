//! `history show`: everything that a record says, by its id or its version.

use testkit::Project;

#[test]
fn a_record_is_shown_by_its_id_or_version_with_the_log_of_a_release_that_failed() {
    let project = Project::fixture();
    project.run(&["history", "show", "2026"]).expect(2).says(&["no record's id and no version", "cargo xtask history"]);
    let good = project.head();
    project.ok(&["deploy"]);
    project.gate(1);
    project.write(".env.local", "API_TOKEN=sentinel-token\n");
    fs_err::set_permissions(project.root.join(".env.local"), std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .unwrap();
    let bad = project.commit_behaviour("tells-secrets");
    project.run(&["deploy"]).expect(30);

    let records = project.records();
    let id = records[0]["id"].as_str().unwrap();
    let shown = project.ok(&["history", "show", id]).stdout;
    for said in [id, "restored", &bad, "gate", "toolkit", "log         ", "fingerprints only"] {
        assert!(shown.contains(said), "{said}: {shown}");
    }
    assert!(shown.contains(&format!("{bad} candidate | ")), "{shown}");
    assert!(!shown.contains(&format!("{good} | ")), "the log of the other release is not its own: {shown}");
    assert!(shown.contains("API_TOKEN is ") && !shown.contains("sentinel"), "{shown}");
    // By the beginning of its id, and by its version.
    assert_eq!(project.ok(&["history", "show", &id[..id.len() - 1]]).stdout, shown);
    assert_eq!(project.ok(&["history", "show", &bad[..8]]).stdout, shown);
    assert_eq!(project.results(&["history", "show", id])[0], records[0]);
    let live = project.ok(&["history", "show", &good]).stdout;
    assert!(live.contains("live") && live.contains("http://localhost") && !live.contains("log  "), "{live}");
    // The time alone begins several ids.
    project.run(&["history", "show", "20"]).expect(2).says(&["2 records begin with", id]);
}
