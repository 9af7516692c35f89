//! The Docker engine of a machine, and what `logs` and `run` do with its containers: at a Docker host, and at an Easypanel.

use anyhow::{Context as _, Result, anyhow};
use camino::Utf8PathBuf;
use futures_util::TryStreamExt as _;
use serde_json::json;
use tokio::sync::Mutex;

use crate::clients::docker::Engine;
use crate::clients::docker::kept::Spec;
use crate::clients::registry::reference::Reference;
use crate::env::Env;
use crate::failure::Failure;
use crate::image::{ServiceImage, docker_credentials};
use crate::tools::platform::variable;
use crate::tools::ssh::Remote;

/// Where the engine of another machine listens.
const SOCKET: &str = "/var/run/docker.sock";

/// What is shown as one line although its end has not come, in bytes.
const LONGEST_LINE: usize = 1 << 20;
/// Seconds that a program has to end when it is stopped.
const GRACE: i32 = 10;

/// A machine with a Docker engine.
pub struct Machine {
    /// The way to it; none for this machine.
    pub remote: Option<Remote>,
    /// The address of this machine's engine, if it is not that of `DOCKER_HOST`.
    address: Option<String>,
    /// With the folder of the connection that leads to it.
    engine: Mutex<Option<(Option<Utf8PathBuf>, Engine)>>,
}

/// The key in JSON and the name that are shown with each line, where there are several containers.
pub type Source<'s> = (&'static str, &'s str);

impl Machine {
    /// Another machine, or this one. Nothing is asked yet.
    pub fn new(remote: Option<Remote>) -> Self {
        Self { remote, address: None, engine: Mutex::default() }
    }

    /// This machine, whose engine is at this address: `unix:///var/run/docker.sock`.
    pub fn with_engine_at(address: String) -> Self {
        Self { remote: None, address: Some(address), engine: Mutex::default() }
    }

    /// Its name, for people: `ssh://user@host`.
    pub fn name(&self) -> String {
        self.remote.as_ref().map_or_else(|| "this machine".to_owned(), Remote::address)
    }

    /// Its engine.
    pub async fn engine(&self) -> Result<Engine> {
        let connection = match &self.remote {
            Some(remote) => Some(remote.folder().await?),
            None => None,
        };
        let mut kept = self.engine.lock().await;
        if let Some((of, engine)) = &*kept
            && *of == connection
        {
            return Ok(engine.clone());
        }
        let address = match &self.remote {
            Some(remote) => Some(format!("unix://{}", remote.forward_socket(SOCKET).await?)),
            None => self.address.clone().or_else(|| variable("DOCKER_HOST")),
        };
        let engine = Engine::connect(address.as_deref()).await.context("connect to the Docker engine of the host")?;
        *kept = Some((connection, engine.clone()));
        Ok(engine)
    }
}

/// Makes sure that an engine has an image of a registry, `name@sha256:…`.
pub async fn pull(engine: &Engine, image: &ServiceImage<'_>, name: &str) -> Result<(), Failure> {
    let reference: Reference = name.parse().context("read the name of the released image")?;
    let credentials = image.credentials(reference.host()).await?;
    Ok(engine.pull(name, docker_credentials(&credentials).as_ref()).await?)
}

/// Shows what a container writes, line by line. Without a number, from the first one; with `follow` also what comes. `source` is put before
/// each.
pub async fn show(
    env: &Env<'_>,
    engine: &Engine,
    container: &str,
    lines: Option<usize>,
    follow: bool,
    source: Option<Source<'_>>,
) -> Result<(), Failure> {
    let show = |line: &[u8]| {
        let line = String::from_utf8_lossy(line);
        match source {
            Some((key, name)) => env.report.excerpt(json!({ key: name, "line": line }), &format!("{name} | {line}")),
            None => env.report.excerpt(json!({ "line": line }), &line),
        }
    };
    let mut written = Box::pin(engine.written(container, lines, follow));
    let mut begun = Vec::new();
    while let Some(part) = written.try_next().await? {
        begun.extend_from_slice(&part);
        while let Some(end) = begun.iter().position(|byte| *byte == b'\n') {
            show(begun[..end].trim_ascii_end());
            begun.drain(..=end);
        }
        if begun.len() > LONGEST_LINE {
            show(&begun);
            begun.clear();
        }
        if env.report.is_unread() {
            return Ok(());
        }
    }
    if !begun.is_empty() {
        show(&begun);
    }
    Ok(())
}

/// Runs a container to its end, shows what it writes, and removes it, also when a stop is requested. Fails with its exit code.
pub async fn run_once(env: &Env<'_>, machine: &Machine, spec: &Spec) -> Result<(), Failure> {
    let engine = machine.engine().await?;
    let container = engine.make(spec).await?;
    let run = async {
        engine.begin(&container).await?;
        show(env, &engine, &container, None, true, None).await?;
        Ok::<_, Failure>(engine.ended(&container).await?)
    };
    let ended = env.stop.cancels("the program was stopped", run).await;
    let remove = async {
        // The connection may have been cut meanwhile: this one may be another.
        let engine = machine.engine().await?;
        if matches!(ended, Err(Failure::Aborted(_))) {
            engine.end(&container, GRACE).await?;
        }
        engine.discard(&container).await
    };
    if let Err(error) = remove.await {
        let (name, machine) = (&spec.name, machine.name());
        env.report.warn(&format!("{error:#}\n  {name} may be left on {machine}; type there: docker rm --force {name}"));
    }
    match ended? {
        0 => Ok(()),
        code => {
            let failure = anyhow!("the program ended with exit code {code}");
            Err(Failure::Ended(u8::try_from(code).unwrap_or(1), failure))
        }
    }
}
