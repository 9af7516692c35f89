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

/// The containers of one panel. They and their images go with the last of its clones.
#[derive(Clone)]
pub struct Docker(Arc<Containers>);

struct Containers {
    registry: String,
    /// By service: its container's name.
    running: Mutex<BTreeMap<String, String>>,
}

impl Docker {
    /// None yet. The images come from this registry.
    pub fn new(registry: &str) -> Self {
        Self(Arc::new(Containers { registry: registry.to_owned(), running: Mutex::default() }))
    }

    /// The services that have a container.
    pub fn running(&self) -> Vec<String> {
        self.0.running.lock().unwrap().keys().cloned().collect()
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

impl Drop for Containers {
    fn drop(&mut self) {
        for name in self.running.lock().unwrap().values() {
            drop(docker(&["rm", "--force", name]).output());
        }
        let images = Ran::of(&mut docker(&["images", "--quiet", &format!("{}/shop/fixture", self.registry)])).stdout;
        for image in images.split_whitespace() {
            drop(docker(&["rmi", "--force", image]).output());
        }
    }
}
