//! The proxy, Caddy: it sends requests to the container of the release that serves. There are two slots, blue and green, with a route
//! each, and a file for each that says whether requests go there. Caddy looks for the file with each request: a release takes over
//! without a new configuration, with which Caddy would cancel requests that are in progress.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::Host;
use super::containers::{ENVIRONMENT, INSIDE, PROXY, ROLE, SLOT};
use crate::clients::docker::Engine;
use crate::clients::docker::kept::{Kept, Port, Spec};
use crate::failure::Failure;

/// Where Caddy writes the configuration that it was given last.
const KEPT: &str = "/config/caddy/autosave.json";
/// The folder of the slots' files, in a volume.
const SLOTS: &str = "/config";
/// The port of the host's loopback address, in its container.
const LOOPBACK: u16 = 8080;
/// How long Caddy may take until it can be given its configuration.
const START: Duration = Duration::from_secs(10);

/// A name of the network that one release has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    Blue,
    Green,
}

impl Slot {
    pub fn name(self) -> &'static str {
        match self {
            Self::Blue => "blue",
            Self::Green => "green",
        }
    }

    pub fn other(self) -> Self {
        match self {
            Self::Blue => Self::Green,
            Self::Green => Self::Blue,
        }
    }

    fn file(self) -> String {
        format!("{SLOTS}/{}", self.name())
    }
}

impl Host<'_> {
    /// Starts the proxy, if it does not run; another one, if deploy.yaml names another image or other ports.
    pub(super) async fn start_proxy(&self) -> Result<(), Failure> {
        let engine = self.engine().await?;
        let (spec, there) = (self.proxy_spec(), self.proxies().await?);
        // A container has those of its image, too.
        let is_same = |kept: &&Kept| spec.labels.iter().all(|(name, value)| kept.labels.get(name) == Some(value));
        if let Some(same) = there.iter().find(is_same) {
            if !same.is_running {
                engine.begin(&same.id).await?;
            }
            return Ok(self.configure(engine, &same.id).await?);
        }
        engine.pull(self.proxy, None).await?;
        engine.make_network(&self.prefix(), (ENVIRONMENT, &self.env.store_prefix())).await?;
        for other in there {
            // Its ports are needed.
            engine.discard(&other.id).await?;
        }
        let made = engine.make(&spec).await?;
        if let Err(error) = engine.begin(&made).await {
            engine.discard(&made).await?;
            return Err(error.into());
        }
        Ok(self.configure(engine, &made).await?)
    }

    /// The container that the proxy sends requests to, running or not; none before the first deploy.
    pub(super) async fn container_that_serves(&self) -> Result<Option<Kept>, Failure> {
        let Some(slot) = self.slot_that_serves().await? else { return Ok(None) };
        let in_slot = |kept: &Kept| kept.labels.get(SLOT).is_some_and(|name| name == slot.name());
        Ok(self.services().await?.into_iter().find(in_slot))
    }

    /// The slot that the proxy sends requests to. In the order of its routes: a run may have been killed between two files.
    pub(super) async fn slot_that_serves(&self) -> Result<Option<Slot>, Failure> {
        let Some(proxy) = self.proxies().await?.into_iter().next() else { return Ok(None) };
        for slot in [Slot::Green, Slot::Blue] {
            if self.engine().await?.file_in(&proxy.id, &slot.file()).await?.is_some() {
                return Ok(Some(slot));
            }
        }
        Ok(None)
    }

    /// Has the proxy send new requests to this slot; with none, it answers that there is no release. It finishes the requests that it has.
    pub(super) async fn send_to(&self, slot: Option<Slot>) -> Result<()> {
        let Some(proxy) = self.proxies().await.map_err(Failure::into_error)?.into_iter().next() else {
            bail!("there is no proxy on the host");
        };
        let engine = self.engine().await?;
        if let Some(slot) = slot {
            engine.run_in(&proxy.id, &["touch", &slot.file()], b"").await?;
        }
        for other in [Slot::Green, Slot::Blue].into_iter().filter(|other| slot != Some(*other)) {
            engine.run_in(&proxy.id, &["rm", "-f", &other.file()], b"").await?;
        }
        Ok(())
    }

    /// Gives Caddy its configuration, unless it has it. Its API listens in its own container only.
    async fn configure(&self, engine: &Engine, proxy: &str) -> Result<()> {
        let configuration = configuration(self.target.domain.as_deref());
        let kept = engine.file_in(proxy, KEPT).await?;
        if kept.is_some_and(|kept| serde_json::from_slice::<Value>(&kept).is_ok_and(|kept| kept == configuration)) {
            return Ok(());
        }
        let (text, deadline) = (configuration.to_string(), Instant::now() + START);
        loop {
            match engine.run_in(proxy, &["caddy", "reload", "--config", "-"], text.as_bytes()).await {
                Ok(()) => return Ok(()),
                Err(error) if Instant::now() >= deadline => return Err(error).context("configure the proxy"),
                // It does not listen yet.
                Err(_) => sleep(Duration::from_millis(100)).await,
            }
        }
    }

    fn proxy_spec(&self) -> Spec {
        let prefix = self.prefix();
        let mut ports = vec![Port { inside: LOOPBACK, address: Some("127.0.0.1"), outside: Some(self.target.port) }];
        if self.target.domain.is_some() {
            ports.extend([80, 443].map(|port| Port { inside: port, address: None, outside: Some(port) }));
        }
        let label = |name: &str, value: String| (name.to_owned(), value);
        let made_of = format!("{} {} {}", self.proxy, self.target.port, self.target.domain.is_some());
        Spec {
            name: format!("{prefix}-proxy"),
            image: self.proxy.to_owned(),
            args: Some(["caddy", "run", "--resume"].map(str::to_owned).into()),
            env: ["XDG_CONFIG_HOME=/config", "XDG_DATA_HOME=/data"].map(str::to_owned).into(),
            labels: [
                label(ENVIRONMENT, self.env.store_prefix()),
                label(ROLE, PROXY.to_owned()),
                label("xtask.made_of", made_of),
            ]
            .into(),
            network: prefix.clone(),
            ports,
            volumes: [("proxy-config", "/config"), ("proxy-data", "/data")]
                .map(|(name, place)| (format!("{prefix}-{name}"), place.to_owned()))
                .into(),
            keeps: Some("NET_BIND_SERVICE"),
            restarts: true,
            ..Spec::default()
        }
    }
}

/// Caddy's configuration: a route for each slot, and one for none.
fn configuration(domain: Option<&str>) -> Value {
    let route = |slot: Slot| {
        json!({
            "match": [{ "file": { "root": SLOTS, "try_files": [format!("/{}", slot.name())] } }],
            // A connection is tried again where none could be made, such as while the host starts.
            "handle": [{
                "handler": "reverse_proxy",
                "upstreams": [{ "dial": format!("{}:{INSIDE}", slot.name()) }],
                "load_balancing": { "try_duration": "5s" },
                // A service that drains need not wait for connections without a request.
                "transport": { "protocol": "http", "keep_alive": { "idle_timeout": "2s" } },
                "flush_interval": -1,
            }],
            "terminal": true,
        })
    };
    let none = json!({ "handle": [{ "handler": "static_response", "status_code": 503 }] });
    let routes = json!([route(Slot::Green), route(Slot::Blue), none]);
    let mut servers = json!({
        "loopback": { "listen": [format!(":{LOOPBACK}")], "automatic_https": { "disable": true }, "routes": routes },
    });
    if let Some(domain) = domain {
        let of_domain = json!({
            "match": [{ "host": [domain] }],
            "handle": [{ "handler": "subroute", "routes": routes }],
            "terminal": true,
        });
        servers["public"] = json!({ "listen": [":443"], "routes": [of_domain] });
    }
    json!({ "admin": { "listen": "localhost:2019" }, "apps": { "http": { "servers": servers } } })
}
