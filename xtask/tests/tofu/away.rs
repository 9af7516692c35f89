//! Servers that are away in the middle of a deploy to a stack: for a moment, or for good.

use serde_json::json;

use crate::operations::in_order;
use crate::production::{START, deploy};
use crate::site::Site;
use crate::whole::open;
use devservers::registry::DockerRegistry;
use testkit::{Running, sample};

/// A server of a deploy.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Server {
    /// The registry.
    Registry,
    /// The bucket of state, lease and records.
    State,
}

#[test]
fn a_server_that_is_away_for_a_moment_is_waited_for() {
    let test = "a_server_that_is_away_for_a_moment_is_waited_for";
    let Some((mut site, mut registry, _rest)) = open(test, START) else { return };
    prepare(&mut site);
    deploy(&site, &[]).expect(0);
    let version = next(&site, "waits");
    let update = json!({ "type": "scaleway_container", "during": "update", "times": 1, "fault": { "slow": 1 } });
    site.cloud().faults(&json!([update])).unwrap();
    let mut deploying = Running::start(&mut site.toolkit(&["deploy", "production", "--json"]));
    deploying.must("source", "finished");
    registry.pause();
    told(&mut deploying, &registry.address);
    registry.go_on().unwrap();
    deploying.must("publish", "finished");
    site.storage.pause();
    told(&mut deploying, &site.storage.endpoint());
    site.storage.go_on().unwrap();
    // OpenTofu itself waits for the bucket in which it saves the state.
    deploying.must("apply", "progress");
    site.storage.pause();
    site.platform.set(|answers| answers.away = true);
    deploying.must_tell(|event| event["detail"]["part"] == "done");
    site.storage.go_on().unwrap();
    told(&mut deploying, site.platform.url().trim_start_matches("http://"));
    site.platform.set(|answers| answers.away = false);
    let ended = deploying.end().expect(0);
    assert!(!ended.texts("warning").contains("could not be asked"), "{}", ended.texts("warning"));
    in_order(&site, &version);
}

#[test]
fn a_server_that_is_away_for_good_ends_a_deploy_that_can_be_resumed() {
    let test = "a_server_that_is_away_for_good_ends_a_deploy_that_can_be_resumed";
    let Some((mut site, mut registry, _rest)) = open(test, START) else { return };
    prepare(&mut site);
    // Route 53 is asked by OpenTofu alone.
    let refused = "dial tcp 203.0.113.1:443: connect: connection refused";
    let record = json!({ "type": "aws_route53_record", "during": "create", "times": 1, "fault": { "fail": refused } });
    site.cloud().faults(&json!([record])).unwrap();
    deploy(&site, &[]).expect(31).says(&["aws_route53_record.service", refused, "deploy production --resume"]);
    let resumed = deploy(&site, &["--resume"]).expect(0);
    assert!(resumed.stderr.contains("1 to create") || resumed.stderr.contains("2 to create"), "{}", resumed.stderr);

    let places =
        [("source", Server::Registry), ("publish", Server::State), ("plan", Server::State), ("apply", Server::State)];
    for (step, server) in sample(&places, 1) {
        let version = next(&site, step);
        let mut deploying = Running::start(&mut site.toolkit(&["deploy", "production", "--json"]));
        deploying.must(step, "finished");
        let (what, at) = match server {
            Server::Registry => ("in the registry", registry.address.clone()),
            Server::State => ("fixture/production", site.storage.endpoint()),
        };
        set(&mut site, &mut registry, server, false);
        let ended = deploying.end();
        set(&mut site, &mut registry, server, true);
        let ended = ended.expect(1);
        for said in [what, &at, "cannot", "efused", "cargo xtask deploy production --resume"] {
            assert!(ended.stderr.contains(said), "{step} {server:?}: {said}: {}", ended.stderr);
        }
        deploy(&site, &["--resume"]).expect(0);
        in_order(&site, &version);
    }
}

/// The container's own address, asked without questions and watches.
pub fn prepare(site: &mut Site) {
    site.variables.push(("SCW_SECRET_KEY", "sentinel-of-scaleway".to_owned()));
    site.project.edit("deploy.yaml", "    target: scaleway", "    target: scaleway\n    gate: { watch: 0 }");
    site.project.edit("deploy.yaml", "approval: required", "approval: off");
    site.project.edit("infra/scaleway/outputs.tf", "output \"url\"", "output \"public\"");
    site.project.commit("The container's own address");
}

/// A commit with another image: its version.
pub fn next(site: &Site, name: &str) -> String {
    site.project.edit("start", "trap 'exit 0' TERM", &format!("echo {name}\ntrap 'exit 0' TERM"));
    site.project.commit(name)
}

/// The deploy says that it waits for this server.
fn told(deploying: &mut Running, server: &str) {
    let says = format!("{server} does not answer; trying again for 30 s");
    deploying.must_tell(|event| event["detail"]["text"] == says.as_str());
}

fn set(site: &mut Site, registry: &mut DockerRegistry, server: Server, is_there: bool) {
    match (server, is_there) {
        (Server::Registry, false) => registry.pause(),
        (Server::Registry, true) => registry.go_on().unwrap(),
        (Server::State, false) => site.storage.pause(),
        (Server::State, true) => site.storage.go_on().unwrap(),
    }
}
