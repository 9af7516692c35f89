//! The stack of the media of a service on a Docker host.

use devservers::versitygw::{ACCESS_KEY, REGION, SECRET_KEY, Versitygw};
use testkit::or_skip;

use super::Site;

/// A bucket that is none.
const STACK: &str = r#"terraform {
  backend "s3" {}
}

variable "bucket" {}
variable "note" {}

resource "terraform_data" "bucket" {
  input = var.bucket
}

resource "terraform_data" "note" {
  input = var.note
}

output "bucket" {
  value = terraform_data.bucket.output
}
"#;

#[test]
fn the_media_of_a_docker_host_are_applied_before_the_service_and_give_it_their_outputs() {
    let test = "the_media_of_a_docker_host_are_applied_before_the_service_and_give_it_their_outputs";
    let Some(tofu) = or_skip(test, devservers::tofu::program()) else { return };
    let Some(storage) = or_skip(test, Versitygw::start()) else { return };
    storage.bucket("states");
    let state = format!("{{ bucket: states, region: {REGION}, provider: other, endpoint: '{}' }}", storage.endpoint());
    let media = format!(
        "    media:\n      stack: infra/media\n      state: {state}\n      variables: {{ bucket: first-media, note: one }}\n      \
         settings: {{ GREETING: bucket }}\n"
    );
    let Some(mut site) = Site::open(test, &media) else { return };
    site.bin = tofu.parent().map(Into::into);
    let project = &site.project;
    project.edit("deploy.yaml", "    settings: { GREETING: moi }\n", "    settings: {}\n");
    project.write("infra/media/main.tf", STACK);
    let keys = format!(
        "AWS_ACCESS_KEY_ID={ACCESS_KEY}\nAWS_SECRET_ACCESS_KEY={SECRET_KEY}\nTF_STATE_PASSPHRASE=a-secret-of-the-docker-host\n"
    );
    project.write(".env.prod", &(project.read(".env.prod") + &keys));
    let first = project.commit("Media");

    // Nothing is started before what the service gets is there.
    site.run(&["deploy", "prod", "--plan-only"]).expect(10).says(&["2 to create"]);
    assert!(site.containers().is_empty());
    site.run(&["deploy", "prod"]).expect(21).says(&["nothing was applied", "--approve"]);
    let planned = site.run(&["deploy", "prod", "--plan-only"]).expect(10);
    planned.type_it("to apply   ", &site.command(&[])).expect(0).says(&["2 created", "gives 1 setting"]);
    assert_eq!((project.serves().as_ref(), project.get("/greeting").as_deref()), (Some(&first), Some("first-media")));
    site.run(&["deploy", "prod"]).expect(0).says(&["unchanged"]);
    assert!(site.run(&["drift", "prod"]).expect(0).stdout.contains("2 resources"));

    // A change of the media that the service does not see, and a release that does not get ready.
    project.edit("deploy.yaml", "note: one", "note: two");
    let broken = site.commit("unready");
    let planned = site.run(&["deploy", "prod", "--plan-only"]).expect(10);
    assert!(planned.stdout.contains("~ update   terraform_data.note"), "{}", planned.stdout);
    planned.type_it("to apply   ", &site.command(&[])).expect(30).says(&["1 changed", &broken]);
    assert_eq!(project.serves().as_ref(), Some(&first));
    site.run(&["tofu", "plan", "prod-media"]).expect(0);

    // What they give is what every release gets, an earlier one too.
    site.commit("ready");
    project.edit("deploy.yaml", "bucket: first-media", "bucket: second-media");
    let second = project.commit("Another bucket");
    let planned = site.run(&["deploy", "prod", "--plan-only"]).expect(10);
    planned.type_it("to apply   ", &site.command(&[])).expect(0).says(&["live", &second]);
    assert_eq!(project.get("/greeting").as_deref(), Some("second-media"));
    site.run(&["rollback", "prod"]).expect(0).says(&["live", &first]);
    assert_eq!(project.get("/greeting").as_deref(), Some("second-media"));
}
