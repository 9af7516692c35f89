//! Failures during a build or a push: exit code 1, an error with the next command, no leftovers, and a next run that
//! continues.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use rustix::process::Signal;

use crate::shop::{Shop, runs};
use devservers::registry::PASSWORD;
use testkit::{Ran, Running, until};

#[test]
fn a_registry_that_is_unreachable_or_refuses_the_credentials_is_reported() {
    let Some(shop) = Shop::open("a_registry_that_is_unreachable_or_refuses_the_credentials_is_reported") else {
        return;
    };
    let wrong = Ran::of(shop.command(&["image", "push", "production"]).env("REGISTRY_PASSWORD", "wrong-password"));
    let wrong = wrong.expect(1).says(&[&shop.registry.address, "REGISTRY_PASSWORD"]);
    assert!(!wrong.stderr.contains("wrong-password"), "{}", wrong.stderr);
    let anonymous = Ran::of(
        shop.command(&["image", "push", "production"]).env_remove("REGISTRY_USERNAME").env_remove("REGISTRY_PASSWORD"),
    );
    anonymous.expect(1).says(&[&shop.registry.address, "docker login"]);

    // A registry that is not running: no server listens on its port.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let registry = format!("registry: {}/shop", shop.registry.address);
    shop.project.edit("deploy.yaml", &registry, &format!("registry: {free}/shop"));
    shop.project.commit("A registry that is away");
    // Nothing is sent there before the user says that the password is for it.
    let own = shop.registry.address.as_str();
    let unsent = Ran::of(shop.command(&["image", "push", "production"]).env("REGISTRY_HOST", own)).expect(1);
    unsent.says(&[own, &free.to_string(), "the password was not sent"]);
    shop.run(&["image", "push", "production"]).expect(1).says(&[&free.to_string(), "refused"]);
    shop.run(&["doctor", "production"]).expect(1).says(&["must be fixed"]);
}

#[test]
fn a_machine_without_an_engine_is_told_how_to_get_one() {
    let Some(shop) = Shop::open("a_machine_without_an_engine_is_told_how_to_get_one") else { return };
    let nowhere = format!("unix://{}/no.sock", shop.project.root.display());
    let ran = Ran::of(shop.command(&["image", "build", "production"]).env("DOCKER_HOST", &nowhere));
    ran.expect(1).says(&["no.sock", "cargo xtask setup --docker"]);
    let ran = Ran::of(shop.command(&["image", "build", "production"]).env("BUILDKIT_HOST", "ftp://x"));
    ran.expect(1).says(&["BUILDKIT_HOST"]);
}

#[test]
fn doctor_reports_what_an_image_lacks_and_the_next_command() {
    let Some(shop) = Shop::open("doctor_reports_what_an_image_lacks_and_the_next_command") else { return };
    let good = shop.run(&["doctor", "production"]).expect(0);
    assert!(
        good.stdout.contains("accepts the credentials") && good.stdout.contains("image push production"),
        "{}",
        good.stdout
    );

    // A socket without access, a socket of another program, and a web site instead of a registry.
    let socket = shop.project.root.join("docker.sock");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let host = format!("unix://{}", socket.display());
    if rustix::process::geteuid().is_root() {
        let closed = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs_err::set_permissions(&socket, closed).unwrap();
        fs_err::set_permissions(
            shop.project.root.parent().unwrap(),
            std::os::unix::fs::PermissionsExt::from_mode(0o755),
        )
        .unwrap();
        let mut doctor = shop.command(&["doctor", "production"]);
        std::os::unix::process::CommandExt::uid(&mut doctor, 65534);
        let git = [("GIT_CONFIG_COUNT", "1"), ("GIT_CONFIG_KEY_0", "safe.directory"), ("GIT_CONFIG_VALUE_0", "*")];
        let denied = Ran::of(doctor.env("DOCKER_HOST", &host).envs(git)).expect(1);
        assert!(
            denied.stdout.contains("permission denied") && denied.stdout.contains("--groups docker"),
            "{}",
            denied.stdout
        );
    }
    let site = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = site.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut client in site.incoming().map_while(Result::ok) {
            // The server need not read the whole request.
            drop(client.read(&mut [0; 4096]));
            let page = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 12\r\nConnection: close\r\n\r\n<h1>Hi!</h1>";
            client.write_all(page.as_bytes()).ok();
        }
    });
    let registry = format!("registry: {}/shop", shop.registry.address);
    shop.project.edit("deploy.yaml", &registry, &format!("registry: {address}/shop"));
    let odd = shop.run(&["doctor", "production"]).expect(1);
    assert!(
        odd.stdout.contains(&address.to_string()) && odd.stdout.contains("does not respond as an image registry"),
        "{}",
        odd.stdout
    );
}

#[test]
fn an_interrupted_build_is_cancelled_in_the_engine() {
    let Some(shop) = Shop::open("an_interrupted_build_is_cancelled_in_the_engine") else { return };
    // A duration that no other process of this machine sleeps for.
    let nap = 100_000 + std::process::id();
    shop.project.edit("Dockerfile", "RUN echo \"compiling the service\"", &format!("RUN sleep {nap}"));
    shop.project.commit("A slow build");
    let sleeps = format!("sleep {nap}");
    let building = Running::start(shop.command(&["image", "build", "production"]).arg("--json"));
    until("the step runs", || runs(&sleeps));
    building.signal(Signal::INT);
    let ended = building.end().expect(1);
    assert!(ended.texts("error").contains("run the command again"), "{:#?}", ended.events);
    until("the step has ended in the engine", || !runs(&sleeps));

    shop.project.edit("Dockerfile", &format!("RUN sleep {nap}"), "RUN true");
    shop.project.commit("A fast build");
    let next = shop.run(&["image", "build", "production"]).expect(0);
    let dependencies = next.stderr.lines().find(|line| line.contains("[dependencies 3/3]")).unwrap();
    assert!(dependencies.contains("cached"), "what was finished is kept: {}", next.stderr);
}

#[test]
fn an_interrupted_push_is_retried_and_leaves_no_tag() {
    let Some(shop) = Shop::open("an_interrupted_push_is_retried_and_leaves_no_tag") else { return };
    let way = Way::to(&shop.registry.address);
    let registry = format!("registry: {}/shop", shop.registry.address);
    shop.project.edit("deploy.yaml", &registry, &format!("registry: {}/shop", way.address));
    shop.project.edit(
        "Dockerfile",
        "ARG SERVICE_VERSION",
        "RUN dd if=/dev/urandom of=/bytes bs=1048576 count=8\nARG SERVICE_VERSION",
    );
    shop.project.commit("By a way that breaks");
    shop.run(&["image", "build", "production"]).expect(0);

    // At most two megabytes per connection: none of the engine's attempts succeeds.
    way.cut_after(2_000_000, usize::MAX);
    let cut = shop.run(&["image", "push", "production"]).expect(1);
    let cut = cut.says(&["run the command again", &way.address]);
    assert!(!cut.stderr.contains(PASSWORD));
    assert_eq!(shop.digest(&shop.commit()), None);
    assert_eq!(shop.digest("latest"), None);

    // One connection is cut. The registry keeps the layers that arrived, and the same command pushes the rest.
    way.cut_after(2_000_000, 1);
    let pushed = shop.run(&["image", "push", "production"]).expect(0);
    let digest = pushed.stdout.trim().rsplit_once('@').unwrap().1.to_owned();
    assert_eq!(shop.digest(&shop.commit()), Some(digest));
    Ran::of(&mut crate::shop::docker(&["images", "--quiet", &way.address])).expect(0);
}

/// A proxy before a registry that cuts connections.
struct Way {
    address: String,
    /// Bytes that a connection may send before the proxy cuts it.
    bytes: Arc<AtomicI64>,
    /// The number of connections that the proxy will still cut.
    cuts: Arc<AtomicUsize>,
}

impl Way {
    fn to(registry: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (bytes, cuts) = (Arc::new(AtomicI64::new(i64::MAX)), Arc::new(AtomicUsize::new(0)));
        let way = Self { address, bytes: Arc::clone(&bytes), cuts: Arc::clone(&cuts) };
        let registry = registry.to_owned();
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(&registry) else { return };
                let (bytes, cuts) = (Arc::clone(&bytes), Arc::clone(&cuts));
                let (from, to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                std::thread::spawn(move || carry(from, to, |_| true));
                std::thread::spawn(move || {
                    let mut sent = 0;
                    carry(client, server, |length| {
                        sent += i64::try_from(length).unwrap();
                        let cut = sent > bytes.load(Ordering::SeqCst)
                            && cuts
                                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
                                .is_ok();
                        !cut
                    });
                });
            }
        });
        way
    }

    fn cut_after(&self, bytes: i64, cuts: usize) {
        self.bytes.store(bytes, Ordering::SeqCst);
        self.cuts.store(cuts, Ordering::SeqCst);
    }
}

/// Copies bytes in one direction until one end is closed or the limit is reached, then closes both.
fn carry(mut from: TcpStream, mut to: TcpStream, mut goes_on: impl FnMut(usize) -> bool) {
    let mut piece = vec![0; 64 << 10];
    while let Ok(length @ 1..) = from.read(&mut piece) {
        if !goes_on(length) || to.write_all(&piece[..length]).is_err() {
            break;
        }
    }
    from.shutdown(Shutdown::Both).ok();
    to.shutdown(Shutdown::Both).ok();
}
