//! Whose token promotes a release.

use devservers::GitHub;
use testkit::{Project, Ran};

/// The token of a job is known by its owner, whatever variable it is in; an app's begins as it does, and starts workflows.
#[test]
fn a_release_is_promoted_by_no_token_of_a_job() {
    if !cfg!(feature = "cloud") {
        return;
    }
    let github = GitHub::start();
    github.repository("owner", "name");
    let project = Project::of("fixture", |project| {
        project.edit("deploy.yaml", "environments:", "github: { repository: owner/name }\nenvironments:");
    });
    let promote = |name: &str, token: &str| {
        let mut command = project.command(&["release", "promote", "build-20261129-0123456789ab", "local", "--yes"]);
        command.env("GITHUB_ACTIONS", "true").env("GITHUB_API_URL", github.url()).env(name, token);
        Ran::of(&mut command)
    };
    let of_job = github.workflow_token(&["contents:write"]);
    for name in ["RELEASE_TOKEN", "GH_TOKEN", "GITHUB_TOKEN"] {
        promote(name, &of_job).expect(21).says(&[name, "GitHub starts no workflow"]);
    }
    for token in [github.app_token(&["contents:write"]), github.personal_token(&["contents:write"])] {
        promote("RELEASE_TOKEN", &token).expect(2).says(&["there is no release build-20261129-0123456789ab"]);
    }
    promote("RELEASE_TOKEN", "ghs_unknown").expect(1).says(&["ask GitHub whose token it is"]);
}
