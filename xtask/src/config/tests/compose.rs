//! An environment on a Docker host.

use insta::assert_snapshot;

use super::{SMALLEST, refused};
use crate::config::{Compose, Config, Container, Host, Target};

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
      known keys: gate, keep_releases, media, port, proxy, registry, rehearsal, service, settings, target, worker
    deploy.yaml:16:5: environments.prod.stack: unknown key
      known keys: gate, keep_releases, media, port, proxy, registry, rehearsal, service, settings, target, worker
    ");
}

#[test]
fn a_host_with_a_proxy_needs_no_registry() {
    let digest = "0".repeat(64);
    let parsed = |lines: &str| {
        let text = with(&format!("    service: {{ health: [app] }}\n    proxy: caddy@sha256:{digest}\n{lines}"));
        let config = Config::parse(&text.replace("    registry: ghcr.io/shop\n", "")).unwrap();
        let Target::Compose(compose) = config.environments["prod"].target.clone() else { panic!("{config:?}") };
        compose
    };
    let Compose { registry, hosts, domain, .. } = parsed("");
    assert_eq!((registry, hosts, domain), (None, vec![], None));
    let rehearsed = with(&format!(
        "    service: {{ health: [app] }}\n    proxy: caddy@sha256:{digest}\n    rehearsal: {{ settings: {{ A: 1 }} }}\n"
    ));
    let settings = Config::parse(&rehearsed).unwrap().environments["prod"].rehearsal.settings.clone();
    assert_eq!(settings, [("A".to_owned(), "1".to_owned())].into());
    let at = |host: &str| parsed(&format!("    host: ssh://{host}\n    domain: example.org\n")).hosts;
    let host = |destination: &str, port| vec![Host { destination: destination.to_owned(), port }];
    assert_eq!(at("deploy@host.example.org:2222"), host("deploy@host.example.org", Some(2222)));
    assert_eq!(at("an-alias"), host("an-alias", None));
    let wrong = [
        "    proxy: caddy:2\n    host: ssh://-oProxyCommand=x\n    service: { health: [app] }\n".to_owned(),
        format!(
            "    proxy: caddy@sha256:{digest}\n    host: ssh://a@b@c\n    domain: localhost\n    service: {{ health: [app] }}\n"
        ),
        format!("    proxy: 'a b@sha256:{digest}'\n    host: ssh://host:0\n    service: {{ health: [app] }}\n"),
        "    host: ssh://host\n    domain: shop.example.org\n    service: { health: [app] }\n".to_owned(),
    ];
    assert_snapshot!(wrong.map(|lines| refused(&with(&lines))).join("\n").replace(&digest, "DIGEST"), @r"
    deploy.yaml:14:12: environments.prod.proxy: found the text `caddy:2`, expected the image of Caddy by its digest: `name@sha256:…`, or `sha256:…` of one that the host has
      for example `proxy: caddy:2.10@sha256:DIGEST`
    deploy.yaml:15:11: environments.prod.host: found the text `ssh://-oProxyCommand=x`, expected the address of a host: `ssh://`, a user if needed, a host and a port if needed
      for example `host: ssh://deploy@host.example.org`
    deploy.yaml:15:11: environments.prod.host: found the text `ssh://a@b@c`, expected the address of a host: `ssh://`, a user if needed, a host and a port if needed
      for example `host: ssh://deploy@host.example.org`
    deploy.yaml:16:13: environments.prod.domain: found the text `localhost`, expected a host name of two labels or more, in lower case
      for example `domain: media.example.org`
    deploy.yaml:14:12: environments.prod.proxy: found the text `a b@sha256:00000000000000000000000000000…`, expected the image of Caddy by its digest: `name@sha256:…`, or `sha256:…` of one that the host has
      for example `proxy: caddy:2.10@sha256:DIGEST`
    deploy.yaml:15:11: environments.prod.host: found the text `ssh://host:0`, expected the address of a host: `ssh://`, a user if needed, a host and a port if needed
      for example `host: ssh://deploy@host.example.org`
    deploy.yaml:14:5: environments.prod.host: unknown key
      known keys: gate, keep_releases, media, port, proxy, registry, service, settings, target, worker
    deploy.yaml:15:5: environments.prod.domain: unknown key
      known keys: gate, keep_releases, media, port, proxy, registry, service, settings, target, worker
    ");
}

#[test]
fn several_hosts_are_a_list_with_a_batch() {
    let text = |lines: &str| {
        let digest = "0".repeat(64);
        with(&format!("    service: {{ health: [app] }}\n    proxy: caddy@sha256:{digest}\n{lines}"))
    };
    let config = Config::parse(&text("    host: [ssh://one, ssh://me@two:22]\n    batch: 2\n")).unwrap();
    let Target::Compose(compose) = &config.environments["prod"].target else { panic!("{config:?}") };
    let hosts: Vec<_> = compose.hosts.iter().map(|host| (host.destination.as_str(), host.port)).collect();
    assert_eq!((hosts.as_slice(), compose.batch), (&[("one", None), ("me@two", Some(22))][..], 2));
    let wrong = [
        "    host: ssh://one\n    batch: 2\n",
        "    host: [ssh://one, ssh://two, ssh://one]\n    batch: 0\n",
        "    host: [ssh://one, ssh://two]\n    domain: shop.example.org\n",
        "    host: []\n",
    ];
    assert_snapshot!(wrong.map(|lines| refused(&text(lines))).join("\n"), @r"
    deploy.yaml:17:5: environments.prod.batch: is for several hosts
      remove it, or write a list as `host`
    deploy.yaml:16:11: environments.prod.host: a host is repeated
      name each host once
    deploy.yaml:17:12: environments.prod.batch: found the number `0`, expected a number of hosts from 1 to 50
      for example `batch: 1`
    deploy.yaml:17:5: environments.prod.domain: is for one host: with several, the load balancer before them has the name and its certificate
      remove it
    deploy.yaml:16:11: environments.prod.host: names no host, or more than 50
      name 1 to 50 hosts
    ");
}
