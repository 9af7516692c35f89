//! The proxy, Caddy: it sends requests to the container of the release that serves. There are two slots, blue and green, with a route
//! each, and a file for each that says whether requests go there. Caddy looks for the file with each request: a release takes over
//! without a new configuration, with which Caddy would cancel requests that are in progress.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::Host;
use super::containers::{ENVIRONMENT, INSIDE, PROXY, ROLE, SLOT};
use crate::clients::docker::Engine;
use crate::clients::docker::kept::{Kept, Port, Spec};
use crate::failure::Failure;
use crate::hash::sha256;

/// Where Caddy writes the configuration that it was given last.
const KEPT: &str = "/config/caddy/autosave.json";
/// The folder of the slots' files, in a volume.
const SLOTS: &str = "/config";
/// The port of the host's loopback address, in its container.
const LOOPBACK: u16 = 8080;
/// How long Caddy may take until it can be given its configuration.
const START: Duration = Duration::from_secs(10);
/// Seconds that a proxy has to finish its requests when another one takes its place.
const DRAIN: i32 = 10;
/// Networks of the host: the addresses from which a proxy of its own sends requests to the port of the loopback address.
const OF_HOST: [&str; 5] = ["127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fd00::/8"];

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
    /// Starts the proxy, if it does not run; another one, if deploy.yaml names another image or other ports. If that cannot be started,
    /// as where another program has a port, the one before goes on.
    pub(super) async fn start_proxy(&self) -> Result<(), Failure> {
        let engine = self.engine().await?;
        let (spec, there) = (self.proxy_spec(), self.proxies().await?);
        // A container has the labels of its image, too.
        let is_same = |kept: &Kept| spec.labels.iter().all(|(name, value)| kept.labels.get(name) == Some(value));
        if let [only] = &there[..]
            && only.is_running
            && is_same(only)
        {
            return Ok(self.configure(&engine, &only.id).await?);
        }
        engine.pull(self.proxy, None).await?;
        engine.make_network(&self.prefix(), (ENVIRONMENT, &self.env.store_prefix())).await?;
        let (same, others): (Vec<_>, Vec<_>) = there.into_iter().partition(is_same);
        // It has the name of the next one, and its network may be gone.
        for same in same {
            engine.discard(&same.id).await?;
        }
        let made = engine.make(&spec).await?;
        // Their ports are needed.
        for other in &others {
            engine.end(&other.id, DRAIN).await?;
        }
        if let Err(error) = engine.begin(&made).await {
            engine.discard(&made).await?;
            for other in others.iter().filter(|other| other.is_running) {
                engine.begin(&other.id).await?;
            }
            return Err(error.into());
        }
        for other in &others {
            engine.discard(&other.id).await?;
        }
        Ok(self.configure(&engine, &made).await?)
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

    /// How many requests the proxy has sent to a slot that are not finished.
    pub(super) async fn in_progress(&self, slot: Slot) -> Result<u64> {
        #[derive(Deserialize)]
        struct Upstream {
            address: String,
            num_requests: u64,
        }
        let Some(proxy) = self.proxies().await.map_err(Failure::into_error)?.into_iter().next() else { return Ok(0) };
        let ask = ["wget", "-q", "-O", "-", "http://127.0.0.1:2019/reverse_proxy/upstreams"];
        let said = self.engine().await?.run_in(&proxy.id, &ask, b"").await?;
        let upstreams: Vec<Upstream> =
            serde_json::from_str(&said).context("read what the proxy says of its upstreams")?;
        let is_of_slot = |upstream: &&Upstream| upstream.address == format!("{}:{INSIDE}", slot.name());
        Ok(upstreams.iter().filter(is_of_slot).map(|upstream| upstream.num_requests).sum())
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
                Ok(_) => return Ok(()),
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
            name: format!("{prefix}-proxy-{}", &sha256(made_of.as_bytes())[..8]),
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
    let route = |slot: Slot, trusted: &[&str]| {
        json!({
            "match": [{ "file": { "root": SLOTS, "try_files": [format!("/{}", slot.name())] } }],
            // A connection is tried again where none could be made, such as while the host starts.
            "handle": [{
                "handler": "reverse_proxy",
                "upstreams": [{ "dial": format!("{}:{INSIDE}", slot.name()) }],
                "load_balancing": { "try_duration": "5s" },
                // What they say of the client in X-Forwarded-For and X-Forwarded-Proto goes on to the service.
                "trusted_proxies": trusted,
                // A service that drains need not wait for connections without a request.
                "transport": { "protocol": "http", "keep_alive": { "idle_timeout": "2s" } },
                "flush_interval": -1,
            }],
            "terminal": true,
        })
    };
    let none = json!({ "handle": [{ "handler": "static_response", "status_code": 503 }] });
    let routes = |trusted: &[&str]| json!([route(Slot::Green, trusted), route(Slot::Blue, trusted), none]);
    let mut servers = json!({
        "loopback": { "listen": [format!(":{LOOPBACK}")], "automatic_https": { "disable": true }, "routes": routes(&OF_HOST) },
    });
    if let Some(domain) = domain {
        let of_domain = json!({
            "match": [{ "host": [domain] }],
            "handle": [{ "handler": "subroute", "routes": routes(&[]) }],
            "terminal": true,
        });
        servers["public"] = json!({ "listen": [":443"], "routes": [of_domain] });
    }
    json!({ "admin": { "listen": "localhost:2019" }, "apps": { "http": { "servers": servers } } })
}
