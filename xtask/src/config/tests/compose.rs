//! An environment on a Docker host.

use insta::assert_snapshot;

use super::{SMALLEST, refused};
use crate::config::{Config, Container, Target};

/// A deploy.yaml whose environment `prod` has these lines too.
fn with(lines: &str) -> String {
    format!("{SMALLEST}  prod:\n    target: compose\n    registry: ghcr.io/shop\n    port: 8000\n{lines}")
}

#[test]
fn a_container_has_limits_by_default() {
    let text = with(
        "    service: { health: [app, health] }\n    worker: { args: [worker], health: [app, status], cpus: 2, memory: 512M }\n",
    );
    let config = Config::parse(&text).unwrap();
    let Target::Compose(compose) = &config.environments["prod"].target else { panic!("{config:?}") };
    let health = |last: &str| vec!["app".to_owned(), last.to_owned()];
    assert_eq!(compose.service, Container { health: health("health"), cpus: "1".to_owned(), memory: 1024 });
    let worker = Container { health: health("status"), cpus: "2".to_owned(), memory: 512 };
    assert_eq!(compose.worker, Some((vec!["worker".to_owned()], worker)));
}

#[test]
fn wrong_values_are_problems() {
    let wrong = [
        "    service: { health: [] }\n    worker: { health: [app] }\n",
        "    service: { health: [app], cpus: 0, memory: 5M }\n",
        "    service: { health: [app], cpus: many, memory: 1T, args: [serve] }\n",
        "    service: { health: [app], memory: 4194304G }\n    verify: provenance\n    stack: infra\n",
    ];
    assert_snapshot!(wrong.map(|lines| refused(&with(lines))).join("\n"), @r"
    deploy.yaml:14:24: environments.prod.service.health: found a list, expected a command of the image
      for example `health: [app, health]`
    deploy.yaml:15:5: environments.prod.worker.args: missing
      add `args: [worker]`
    deploy.yaml:14:37: environments.prod.service.cpus: found the number `0`, expected a number of processors from 0.01 to 1024
      for example `cpus: 1`
    deploy.yaml:14:48: environments.prod.service.memory: found the text `5M`, expected an amount of memory from 6M on, such as 512M or 2G
      for example `memory: 1G`
    deploy.yaml:14:37: environments.prod.service.cpus: found the text `many`, expected a number of processors from 0.01 to 1024
      for example `cpus: 1`
    deploy.yaml:14:51: environments.prod.service.memory: found the text `1T`, expected an amount of memory from 6M on, such as 512M or 2G
      for example `memory: 1G`
    deploy.yaml:14:55: environments.prod.service.args: unknown key
      known keys: cpus, health, memory
    deploy.yaml:14:39: environments.prod.service.memory: found the text `4194304G`, expected an amount of memory from 6M on, such as 512M or 2G
      for example `memory: 1G`
    deploy.yaml:15:5: environments.prod.verify: unknown key
      known keys: gate, keep_releases, port, registry, service, settings, target, worker
    deploy.yaml:16:5: environments.prod.stack: unknown key
      known keys: gate, keep_releases, port, registry, service, settings, target, worker
    ");
}
