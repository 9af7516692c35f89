//! What goes wrong around a Docker host: its connection, its disk, its registry, the proxy that it has.

use std::path::Path;
use std::process::Command;

use devservers::registry::{DockerRegistry, Login};
use devservers::{OwnEngine, Sshd};
use rustix::process::Signal;
use testkit::{Ran, Running, machine, or_skip};

use super::Site;
use super::several::{load, served};
use crate::shop::{docker, docker_says};

#[test]
fn a_connection_that_is_cut_in_mid_deploy_leaves_the_previous_release() {
    let test = "a_connection_that_is_cut_in_mid_deploy_leaves_the_previous_release";
    let Some(sshd) = or_skip(test, Sshd::start()) else { return };
    let Some(mut site) = Site::open(test, &format!("    host: ssh://root@127.0.0.1:{}\n", sshd.port)) else { return };
    site.bin = Some(sshd.bin());
    let project = &site.project;
    let first = project.head();
    site.run(&["deploy", "prod"]).expect(0);
    project.edit("deploy.yaml", "timeout: 5", "timeout: 60");
    let second = site.commit("waits");
    let mut deploy = Running::start(site.command(&["deploy", "prod"]).arg("--json"));
    deploy.must("gate", "started");
    cut(deploy.pid());
    // It connects again, and sees that the previous release serves.
    let ended = deploy.end().expect(30);
    assert!(ended.texts("error").contains(&format!("{first} serves as before")), "{ended:#?}");
    assert_eq!(project.serves().as_ref(), Some(&first));
    site.run(&["status", "prod"]).expect(0);
    let volume = docker_says(&["volume", "inspect", "--format", "{{.Mountpoint}}", &format!("{}-data", site.prefix)]);
    fs_err::write(Path::new(&volume).join("go"), "").unwrap();
    site.run(&["deploy", "prod"]).expect(0);
    assert_eq!(project.serves().as_ref(), Some(&second));
    assert_eq!(site.containers().len(), 2, "{:?}", site.containers());
}

#[test]
fn a_host_whose_disk_is_full_serves_on() {
    let test = "a_host_whose_disk_is_full_serves_on";
    const MEGABYTES: u32 = 1600;
    let Some(engine) = or_skip(test, OwnEngine::start(Some(MEGABYTES))) else { return };
    let Some(sshd) = or_skip(test, Sshd::start_beside(&engine, "small")) else { return };
    let Some(mut site) = Site::open(test, "    host: ssh://root@small\n") else { return };
    site.bin = Some(sshd.bin());
    load(&site.proxy, &engine);
    let project = &site.project;
    let folder = docker_says(&["--host", &engine.address(), "info", "--format", "{{.DockerRootDir}}"]);
    let resize = |size: &str| {
        let mut resize = Command::new("nsenter");
        resize.args(["--mount", "--target", &engine.pid().to_string(), "sh", "-c", size, &folder]);
        Ran::of(&mut resize).expect(0);
    };
    let fill = "used=$(df -Pk \"$0\" | tail -n 1 | awk '{print $3}') && mount -o remount,size=$((used + 64))k \"$0\"";
    let make_room = format!("mount -o remount,size={MEGABYTES}m \"$0\"");
    let first = project.head();
    site.run(&["deploy", "prod"]).expect(0);
    assert_eq!(served(&engine, project.port), first);

    // It is full before the deploy, and the next time while the image is built.
    let second = site.commit("ready, and another image");
    resize(fill);
    site.run(&["deploy", "prod"]).expect(1).says(&["0 MB are free on the host", "docker system prune"]);
    resize(&make_room);
    let mut deploy = Running::start(site.command(&["deploy", "prod"]).arg("--json"));
    deploy.must("build", "started");
    resize(fill);
    let ended = deploy.end().expect(1);
    for text in ["bring the image to ssh://root@small", "no space left on device"] {
        assert!(format!("{:?}", ended.events).contains(text), "{text}: {ended:#?}");
    }
    assert_eq!(served(&engine, project.port), first);
    resize(&make_room);
    site.run(&["deploy", "prod"]).expect(0);
    assert_eq!(served(&engine, project.port), second);
}

#[test]
fn without_its_registry_a_host_keeps_its_release_and_goes_back() {
    let test = "without_its_registry_a_host_keeps_its_release_and_goes_back";
    let Some(mut registry) = or_skip(test, DockerRegistry::start(Login::Open)) else { return };
    let Some(site) = Site::open(test, &format!("    registry: {}/shop\n", registry.address)) else { return };
    let project = &site.project;
    let first = project.head();
    site.run(&["deploy", "prod"]).expect(0);
    let second = site.commit("ready, and another image");
    site.run(&["deploy", "prod"]).expect(0);
    let third = site.commit("ready, and one more");
    registry.pause();
    site.run(&["deploy", "prod"]).expect(1).says(&[&registry.address]);
    assert_eq!(project.serves().as_ref(), Some(&second));
    site.run(&["status", "prod"]).expect(0);
    // The host has the image.
    site.run(&["rollback", "prod"]).expect(0);
    assert_eq!(project.serves().as_ref(), Some(&first));
    registry.go_on().unwrap();
    site.run(&["deploy", "prod"]).expect(0);
    assert_eq!(project.serves().as_ref(), Some(&third));
}

#[test]
fn the_proxy_that_a_host_has_is_put_right_or_replaced() {
    let test = "the_proxy_that_a_host_has_is_put_right_or_replaced";
    let Some(mut site) = Site::open(test, "") else { return };
    let first = site.project.head();
    // Another's proxy has the port.
    let port = format!("127.0.0.1:{}:80", site.project.port);
    let foreign = ["run", "--detach", "--name", &format!("{}-foreign", site.prefix), "--publish", &port];
    let responds = [&site.proxy, "caddy", "respond", "--listen", ":80", "another's"];
    docker_says(&[&foreign[..], &responds[..]].concat());
    site.run(&["deploy", "prod"]).expect(1).says(&[&site.project.port.to_string()]);
    assert_eq!(site.containers().len(), 1, "{:?}", site.containers());
    docker_says(&["rm", "--force", &format!("{}-foreign", site.prefix)]);
    site.run(&["deploy", "prod"]).expect(0);
    assert_eq!(site.project.serves().as_ref(), Some(&first));

    // A person has given it another configuration.
    let before = proxy_of(&site);
    let other = "echo '{\"admin\":{\"listen\":\"localhost:2019\"}}' | docker exec -i \"$0\" caddy reload --config -";
    Ran::of(Command::new("sh").args(["-c", other, &before])).expect(0);
    assert_eq!(site.project.serves(), None);
    site.run(&["deploy", "prod"]).expect(0).says(&["unchanged"]);
    assert_eq!((site.project.serves().as_ref(), proxy_of(&site)), (Some(&first), before));

    // deploy.yaml names another image of it.
    let other = devservers::caddy::image().unwrap();
    site.project.edit("deploy.yaml", &site.proxy, &other);
    let old = std::mem::replace(&mut site.proxy, other);
    let second = site.project.commit("Another proxy");
    site.run(&["deploy", "prod"]).expect(0);
    assert_eq!(site.project.serves().as_ref(), Some(&second));
    let now = docker_says(&["inspect", "--format", "{{.Image}}", &proxy_of(&site)]);
    assert_eq!(now, site.proxy);
    assert_eq!(site.containers().len(), 2, "{:?}", site.containers());
    drop(docker(&["rmi", &old]).output());
}

/// The id of the proxy's container.
fn proxy_of(site: &Site) -> String {
    let name = format!("name={}-proxy", site.prefix);
    docker_says(&["ps", "--quiet", "--no-trunc", "--filter", &name])
}

/// Kills the process of ssh(1) that keeps this command's connection.
fn cut(command: u32) {
    let tasks = fs_err::read_dir(format!("/proc/{command}/task")).unwrap();
    let children = tasks.filter_map(|task| fs_err::read_to_string(task.unwrap().path().join("children")).ok());
    let children: String = children.collect();
    let keeps = |child: &&str| {
        let line = fs_err::read_to_string(format!("/proc/{child}/cmdline")).unwrap_or_default();
        line.contains("ssh\0") && line.split('\0').any(|word| word == "-M")
    };
    let child = children.split_whitespace().find(keeps).expect("it has a connection");
    machine::signal(child.parse().unwrap(), Signal::KILL);
}
