//! Containers behind the gateway.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicBool, Ordering};

use hickory_proto::rr::{RData, RecordType};

use super::docker::{IMAGE, container, docker_stdout};
use super::edge::{Https, dns, get, start};

const STACK: &str = include_str!("stacks/container.tf");

#[test]
fn a_container_is_served_by_its_name_on_the_platform_and_across_restarts() {
    let Some(provider) = start(|builder| builder) else { return };
    let stack = provider.stack(STACK);
    let result = stack.apply();
    assert_eq!(result.code, 0, "{}", result.output);
    let app = stack.values("scaleway_container.app");
    let host = app["domain_name"].as_str().unwrap().to_owned();
    assert_eq!(app["public_endpoint"], format!("https://{host}"));
    let namespace = stack.values("scaleway_container_namespace.main")["id"].as_str().unwrap().to_owned();
    let digits = &namespace.split('/').nth(1).unwrap()[..8];
    assert_eq!(host, format!("media{digits}-app.functions.fnc.fr-par.scw.cloud"));
    assert_eq!(stack.changes(), []);

    // The DNS server has the name, and the certificate is for it.
    let answer = dns(provider.cloud.dns().unwrap(), &host, RecordType::A, true);
    let RData::A(address) = &answer.answers[0].data else { panic!("{answer:?}") };
    assert_eq!(address.0, provider.cloud.gateway().unwrap().ip());
    assert_eq!(get(&provider.cloud, &host, "/version").unwrap(), (200, "1".to_owned()));
    let (status, _) = get(&provider.cloud, &host, "/nowhere").unwrap();
    assert_eq!(status, 404, "the container's own answer");
    // A name that no container has, and one that the platform has no certificate of.
    let mut other = Https::connect(&provider.cloud, "other-app.functions.fnc.fr-par.scw.cloud").unwrap();
    let (status, body) = other.get("other-app.functions.fnc.fr-par.scw.cloud", "/").unwrap();
    assert_eq!((status, body.as_str()), (404, "no container has this host name"));
    assert!(Https::connect(&provider.cloud, "media.example.org").is_err());

    let (ca, key) = (provider.cloud.ca().unwrap(), provider.cloud.ca().unwrap().with_file_name("ca-key.pem"));
    let mode = |file: &std::path::Path| fs_err::metadata(file).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&ca), mode(&key)), (0o644, 0o600));
    let authority = fs_err::read_to_string(&ca).unwrap();
    let (folder, first) = (stack.into_folder(), container(&provider)["Id"].clone());
    let provider = provider.restart();
    let stack = provider.stack_at(folder);
    assert_eq!(fs_err::read_to_string(provider.cloud.ca().unwrap()).unwrap(), authority);
    assert_eq!(get(&provider.cloud, &host, "/version").unwrap(), (200, "1".to_owned()));
    assert_eq!(container(&provider)["Id"], first);
    assert_eq!(stack.changes(), []);

    // A process that crashed while it stopped the previous version has left the new one under another name.
    let folder = stack.into_folder();
    let name = container(&provider)["Name"].as_str().unwrap().trim_start_matches('/').to_owned();
    docker_stdout(&["rename", &name, &format!("{name}-next")]);
    let provider = provider.restart();
    let stack = provider.stack_at(folder);
    assert_eq!(get(&provider.cloud, &host, "/version").unwrap(), (200, "1".to_owned()));
    assert_eq!(container(&provider)["Name"], format!("/{name}"));
    stack.ok(&["destroy", "-auto-approve", "-input=false"]);
    assert_eq!(get(&provider.cloud, &host, "/version").unwrap().0, 404);
}

#[test]
fn a_load_through_the_gateway_loses_no_request_during_an_update() {
    let Some(provider) = start(|builder| builder) else { return };
    let stack = provider.stack(STACK);
    // A first version that does not come up.
    let exits = "-var=command=[\"/bin/sh\", \"-c\", \"exit 3\"]";
    stack.ok(&["apply", "-auto-approve", "-input=false", exits]);
    let host = stack.values("scaleway_container.app")["domain_name"].as_str().unwrap().to_owned();
    assert_eq!(get(&provider.cloud, &host, "/").unwrap(), (503, "no version of the container is up".to_owned()));
    stack.ok(&["apply", "-auto-approve", "-input=false"]);
    assert_eq!(get(&provider.cloud, &host, "/version").unwrap(), (200, "1".to_owned()));

    let done = AtomicBool::new(false);
    let (cloud, host) = (&provider.cloud, host.as_str());
    let load = |fresh: bool| {
        let (mut kept, mut count, mut seen) = (Https::connect(cloud, host).unwrap(), 0, Vec::new());
        while !done.load(Ordering::SeqCst) {
            let answer = if fresh { get(cloud, host, "/version") } else { kept.get(host, "/version") };
            let (status, body) = answer.unwrap();
            assert_eq!(status, 200, "{body}");
            if seen.last() != Some(&body) {
                seen.push(body);
            }
            count += 1;
        }
        (count, seen)
    };
    std::thread::scope(|scope| {
        let clients: Vec<_> = [true, false].into_iter().map(|fresh| scope.spawn(move || load(fresh))).collect();
        let version = |version: u8| format!("-var=image={IMAGE}:{version}");
        let results = [
            stack.run(&["apply", "-auto-approve", "-input=false", &version(2)]),
            // A version that fails does not get a request.
            stack.run(&["apply", "-auto-approve", "-input=false", "-var=path=/nowhere", &version(1)]),
        ];
        done.store(true, Ordering::SeqCst);
        for result in results {
            assert_eq!(result.code, 0, "{}", result.output);
        }
        for client in clients {
            let (count, seen) = client.join().unwrap();
            assert!(count > 10, "{count}");
            assert_eq!(seen, ["1", "2"]);
        }
    });
    stack.ok(&["destroy", "-auto-approve", "-input=false"]);
}
