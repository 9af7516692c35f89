//! The container: made, shown and ended by this process.

use std::io::Write as _;

use anyhow::{Context as _, Result, anyhow};
use futures_util::TryStreamExt as _;
use tokio::signal::unix::{SignalKind, signal};

use super::SuperviseImage;
use crate::clients::docker::Engine;
use crate::clients::docker::kept::{Port, Spec};
use crate::failure::Failure;
use crate::supervisor::identity;
use crate::targets::host::containers::{ID, INSIDE};
use crate::targets::local::{FOLDER, PROCESS, has_process};

/// Seconds that the container has to end; the supervisor kills this process somewhat later.
const DRAIN: i32 = 35;

impl SuperviseImage {
    /// Runs the container to its end, and ends it on SIGTERM. Fails with its exit code.
    pub async fn run(self) -> Result<(), Failure> {
        let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
        let engine = Engine::connect(Some(&self.engine)).await.context("connect to the Docker engine")?;
        if !self.id.is_empty() {
            // A process that was killed has left its container. The same release may still serve from another one.
            for left in engine.kept(ID, &self.id).await? {
                if !has_process(&left) {
                    engine.discard(&left.id).await?;
                }
            }
        }
        let container = engine.make(&self.spec()).await?;
        let asked = async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        let ended = match engine.begin(&container).await {
            Ok(()) => {
                let mut shown = Box::pin(show(&engine, &container));
                tokio::select! {
                    ended = &mut shown => ended,
                    // What it writes until then is shown.
                    () = asked => tokio::try_join!(shown, engine.end(&container, DRAIN)).map(|(code, ())| code),
                }
            }
            Err(error) => Err(error),
        };
        engine.discard(&container).await?;
        match ended? {
            0 => Ok(()),
            code => {
                let failure = anyhow!("the container ended with exit code {code}");
                Err(Failure::Ended(u8::try_from(code).unwrap_or(1), failure))
            }
        }
    }

    fn spec(&self) -> Spec {
        let outside = std::env::var(&self.port_variable).ok().and_then(|port| port.parse().ok());
        let port = |outside: u16| Port { inside: INSIDE, address: Some("127.0.0.1"), outside: Some(outside) };
        let value = |name: &String| Some(format!("{name}={}", std::env::var(name).ok()?));
        let mut env: Vec<String> = self.pass.iter().filter_map(value).collect();
        env.push(format!("{}={INSIDE}", self.port_variable));
        let moment = jiff::Timestamp::now().as_millisecond();
        let mut labels = std::collections::BTreeMap::from([(FOLDER.to_owned(), self.folder.clone())]);
        let process = std::process::id();
        labels.extend(identity(process).map(|identity| (PROCESS.to_owned(), format!("{process} {identity}"))));
        if !self.id.is_empty() {
            labels.insert(ID.to_owned(), self.id.clone());
        }
        let place = |volume: &String| volume.split_once(':').map(|(name, place)| (name.to_owned(), place.to_owned()));
        Spec {
            name: format!("{}-{}-{moment:x}", self.prefix, self.id.to_lowercase()),
            image: self.image.clone(),
            args: Some(self.args.clone()).filter(|args| !args.is_empty()),
            env,
            labels,
            network: "bridge".to_owned(),
            ports: outside.map(port).into_iter().collect(),
            volumes: self.volume.iter().filter_map(place).collect(),
            ..Spec::default()
        }
    }
}

/// Shows what the container writes until it has ended. Its exit code.
async fn show(engine: &Engine, container: &str) -> Result<i64> {
    let mut written = Box::pin(engine.written(container, None, true));
    while let Some(part) = written.try_next().await? {
        // What no one reads is lost, and ends nothing.
        std::io::stdout().write_all(&part).and_then(|()| std::io::stdout().flush()).ok();
    }
    engine.ended(container).await
}
