//! What a panel does with its swarm, done with containers of this machine's engine.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use devservers::easypanel::Engine;
use serde_json::{Value, json};
use testkit::Ran;

use crate::shop::docker;

/// The port that the panel's domain leads to.
const INSIDE: &str = "8080";

/// The containers of one panel.
#[derive(Clone)]
pub struct Docker(Arc<Containers>);

struct Containers {
    registry: String,
    /// The network that the panel gives a project, in which services have their names.
    network: String,
    /// By service: its container's name.
    running: Mutex<BTreeMap<String, String>>,
}

impl Docker {
    /// None yet. The images come from this registry.
    pub fn new(registry: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let network = format!("panel-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::SeqCst));
        Ran::of(&mut docker(&["network", "create", &network])).expect(0);
        Self(Arc::new(Containers { registry: registry.to_owned(), network, running: Mutex::default() }))
    }

    /// Has the program of a service end (SIGTERM). Its container is kept.
    pub fn terminate(&self, service: &str) {
        let name = self.0.running.lock().unwrap()[service].clone();
        Ran::of(&mut docker(&["kill", "--signal", "TERM", &name])).expect(0);
    }

    /// The services that have a container.
    pub fn running(&self) -> Vec<String> {
        self.0.running.lock().unwrap().keys().cloned().collect()
    }

    /// Removes them, their network, volumes and images. The panel has a clone as long as this process lives.
    pub fn remove(&self) {
        for name in self.0.running.lock().unwrap().values() {
            drop(docker(&["rm", "--force", name]).output());
        }
        for service in self.0.running.lock().unwrap().keys() {
            drop(docker(&["volume", "rm", &format!("{}-{service}", self.0.network)]).output());
        }
        drop(docker(&["network", "rm", &self.0.network]).output());
        let images = Ran::of(&mut docker(&["images", "--quiet", &format!("{}/shop/fixture", self.0.registry)])).stdout;
        for image in images.split_whitespace() {
            drop(docker(&["rmi", "--force", image]).output());
        }
    }

    /// Where the container of a service is reached.
    pub fn port(&self, service: &str) -> Option<u16> {
        let name = self.0.running.lock().unwrap().get(service)?.clone();
        let said = Ran::of(&mut docker(&["port", &name, INSIDE])).stdout;
        said.trim().rsplit_once(':')?.1.parse().ok()
    }
}

impl Engine for Docker {
    fn deploy(&self, service: &str, image: &str, env: &[String]) -> Result<(), String> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("panel-{}-{service}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::SeqCst));
        let mut running = self.0.running.lock().unwrap();
        // The old one ends first, as without the panel's zero downtime.
        if let Some(old) = running.remove(service) {
            Ran::of(&mut docker(&["rm", "--force", &old]));
        }
        let mut run = docker(&["run", "--detach", "--name", &name, "--publish", &format!("127.0.0.1::{INSIDE}")]);
        run.args(["--network", &self.0.network, "--network-alias", service]);
        run.args(["--mount", &format!("type=volume,source={}-{service},target=/data/data", self.0.network)]);
        for variable in env {
            run.args(["--env", variable]);
        }
        let ran = Ran::of(run.arg(image));
        if ran.code != Some(0) {
            return Err(ran.stderr);
        }
        running.insert(service.to_owned(), name);
        Ok(())
    }

    fn containers(&self, service: &str) -> Vec<Value> {
        let Some(name) = self.0.running.lock().unwrap().get(service).cloned() else { return Vec::new() };
        let format = "{{.ID}}\t{{.Image}}\t{{.State}}\t{{.Status}}";
        let filter = format!("name=^{name}$");
        let listed =
            Ran::of(&mut docker(&["ps", "--all", "--no-trunc", "--filter", &filter, "--format", format])).stdout;
        let container = |line: &str| {
            let mut parts = line.split('\t');
            let mut next = || parts.next().unwrap_or_default().to_owned();
            json!({ "Id": next(), "Image": next(), "State": next(), "Status": next() })
        };
        listed.lines().map(container).collect()
    }
}
