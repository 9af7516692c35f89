//! An environment at an Easypanel.

use std::time::Duration;

use insta::assert_snapshot;

use super::{SMALLEST, refused};
use crate::config::{Config, EngineHost, Provider, Target};

/// A deploy.yaml whose environment `prod` has these lines.
fn with(lines: &str) -> String {
    format!("{SMALLEST}  prod:\n    target: easypanel\n{lines}")
}

const WHOLE: &str = "    panel: https://panel.example.org\n    project: shop\n    services: [web, worker]\n    \
                     address: https://shop.example.org\n    registry: ghcr.io/shop\n";

#[test]
fn its_services_have_a_registry_and_may_have_a_bucket_of_records() {
    let config = Config::parse(&with(WHOLE)).unwrap();
    let environment = &config.environments["prod"];
    let Target::Easypanel(easypanel) = &environment.target else { panic!("{config:?}") };
    assert_eq!(easypanel.services, ["web", "worker"]);
    assert_eq!((environment.registry(), environment.state()), (Some("ghcr.io/shop"), None));
    // The panel has yet to pull the image.
    assert_eq!(environment.gate.timeout, Duration::from_secs(300));
    assert_eq!(easypanel.host, None);
    let hosts = ["unix:///var/run/docker.sock", "ssh://deploy@panel.example.org:2222"].map(|host| {
        let config = Config::parse(&with(&format!("{WHOLE}    host: {host}\n"))).unwrap();
        let Target::Easypanel(easypanel) = &config.environments["prod"].target else { panic!("{config:?}") };
        easypanel.host.clone().unwrap()
    });
    let [EngineHost::Socket(socket), EngineHost::Remote(host)] = hosts else { panic!("{hosts:?}") };
    assert_eq!(
        (socket.as_str(), host.destination.as_str()),
        ("unix:///var/run/docker.sock", "deploy@panel.example.org")
    );
    let state = format!("{WHOLE}    state: {{ bucket: records, region: fr-par, provider: scaleway }}\n");
    let config = Config::parse(&with(&state)).unwrap();
    let state = config.environments["prod"].state().unwrap();
    assert_eq!((state.bucket.as_str(), state.provider), ("records", Provider::Scaleway));
    assert_eq!(state.endpoint.as_deref(), Some("https://s3.fr-par.scw.cloud"));
}

#[test]
fn wrong_values_are_problems() {
    let wrong = [
        "    panel: http://panel.example.org\n    project: Shop\n    services: []\n    address: https://a.example.org/b\n".to_owned(),
        WHOLE.replace("worker]", "web]") + "    state: { bucket: records, region: auto, provider: r2, encryption: off }\n",
        format!("{WHOLE}    media: {{}}\n    host: tcp://panel.example.org\n"),
    ];
    assert_snapshot!(wrong.map(|lines| refused(&with(&lines))).join("\n"), @r"
    deploy.yaml:10:3: environments.prod.registry: missing
      add `registry: ghcr.io/my-service`
    deploy.yaml:12:12: environments.prod.panel: found the text `http://panel.example.org`, expected `https://` and a host, without a path; `http://` for this machine
      for example `panel: https://panel.example.org`
    deploy.yaml:13:14: environments.prod.project: found the text `Shop`, expected a name at Easypanel: lower-case letters, digits, `-` and `_`
      for example `project: my-service`
    deploy.yaml:14:15: environments.prod.services: names no service, or more than 20
      name 1 to 20 services
    deploy.yaml:15:14: environments.prod.address: found the text `https://a.example.org/b`, expected `https://` and a host, without a path; `http://` for this machine
      for example `address: https://media.example.org`
    deploy.yaml:14:15: environments.prod.services: a service is repeated
      name each service once
    deploy.yaml:17:55: environments.prod.state.provider: R2 has a different address for each account
      add `endpoint: https://ACCOUNT_ID.r2.cloudflarestorage.com`
    deploy.yaml:17:59: environments.prod.state.encryption: unknown key
      known keys: bucket, endpoint, provider, region
    deploy.yaml:17:5: environments.prod.media: unknown key
      known keys: address, gate, host, keep_releases, panel, project, registry, services, settings, state, target
    deploy.yaml:18:11: environments.prod.host: found the text `tcp://panel.example.org`, expected the address of a host: `ssh://`, a user if needed, a host and a port if needed; or `unix://` and the path of a socket
      for example `host: ssh://root@panel.example.org`
    ");
}
