//! The service and its web UI under development: both run, and what is changed is built again.

mod sources;

use std::future::pending;
use std::pin::Pin;
use std::time::{Duration, SystemTime};

use anyhow::{Result, bail};
use camino::Utf8Path;
use rustix::process::Signal;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::env::Env;
use crate::failure::Failure;
use crate::targets::Development;
use crate::tools::cargo::{self, Profile};
use crate::tools::cmd::{Cmd, Followed, Inherited};
use crate::tools::npm;

/// Between two looks at the sources.
const POLL: Duration = Duration::from_millis(500);
/// How long a program that was told to end may take. A proxy's idle connections would keep the service for longer.
const GRACE: Duration = Duration::from_secs(3);

/// Runs both until a stop is requested, and ends them then. `web` is the folder of the web UI, if it is served with reload. `show`
/// gets who has written a line, and the line. Fails only where nothing can be done before another command: what does not
/// compile, and a service that ends, wait for the next change.
pub async fn develop(
    env: &Env<'_>,
    development: &Development,
    web: Option<&Utf8Path>,
    show: impl Fn(&str, &str),
) -> Result<(), Failure> {
    let mut programs = Programs { env, development, show: &show, service: None, web: None, started: None };
    let ended = tokio::select! {
        ended = programs.run(web) => ended,
        _ = env.stop.requested() => Ok(()),
    };
    let Programs { service, web, .. } = programs;
    tokio::join!(end(service, |line| show("service", line)), end(web, |line| show("web", line)));
    Ok(ended?)
}

struct Programs<'a, S> {
    env: &'a Env<'a>,
    development: &'a Development,
    show: &'a S,
    service: Option<Followed>,
    web: Option<Followed>,
    /// When the program was compiled that was started last.
    started: Option<SystemTime>,
}

type Building<'b> = Pin<Box<dyn Future<Output = Result<camino::Utf8PathBuf>> + 'b>>;

impl<S: Fn(&str, &str)> Programs<'_, S> {
    async fn run(&mut self, web: Option<&Utf8Path>) -> Result<()> {
        let (env, show) = (self.env, self.show);
        let (root, service, hidden) = (env.root(), &env.config.service, env.config.secret_names());
        if let Some(web) = web {
            let folder = root.join(web);
            npm::install(&folder, &hidden, |line| show("web", line)).await?;
            self.web = Some(npm::dev(&folder, &hidden, &self.development.url()).follow()?);
        }
        let build = cargo::Build {
            root,
            package: &service.package,
            binary: &service.binary,
            profile: Profile::Dev,
            locked: false,
            database: None,
            hidden: &hidden,
        };
        let (mut building, mut seen): (Option<Building<'_>>, _) = (None, None);
        let mut looks = interval(POLL);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = looks.tick(), if building.is_none() => {
                    let now = sources::fingerprint(root, service.web.as_deref()).await?;
                    if seen.as_ref() != Some(&now) {
                        seen = Some(now);
                        show("cargo", "building");
                        building = Some(Box::pin(cargo::build(&build, |_| {}, |line| show("cargo", line))));
                    }
                }
                built = built(&mut building) => {
                    building = None;
                    match built {
                        Ok(program) => self.start(&program).await?,
                        Err(_) => show("cargo", "this does not compile; the next change is tried again"),
                    }
                }
                line = line(&mut self.service) => match line? {
                    Some(line) => show("service", &line),
                    None => {
                        let status = ended(&mut self.service).await?;
                        show("service", &format!("it has ended ({status}); the next change starts it again"));
                        self.started = None;
                    }
                },
                line = line(&mut self.web) => match line? {
                    Some(line) => show("web", &line),
                    None => bail!("the script `dev` of the web UI has ended ({})", ended(&mut self.web).await?),
                },
            }
        }
    }

    /// Puts a program in the place of the one that runs, unless that is the same.
    async fn start(&mut self, program: &Utf8Path) -> Result<()> {
        let (env, show) = (self.env, self.show);
        let compiled = fs_err::metadata(program)?.modified()?;
        if self.started == Some(compiled) {
            show("cargo", "nothing of the service has changed");
            return Ok(());
        }
        end(self.service.take(), |line| show("service", line)).await;
        let mut command = Cmd::new(program.as_str())
            .args(env.config.service.args.iter().cloned())
            .dir(env.root())
            .inherits(Inherited::Named(&[]));
        for (name, value) in &self.development.settings.plain {
            command = command.env(name, value);
        }
        for (name, value) in self.development.settings.secrets.iter() {
            command = command.secret(name, value);
        }
        show("service", &format!("starting at {}", self.development.url()));
        (self.service, self.started) = (Some(command.follow()?), Some(compiled));
        Ok(())
    }
}

async fn built(building: &mut Option<Building<'_>>) -> Result<camino::Utf8PathBuf> {
    match building {
        Some(building) => building.await,
        None => pending().await,
    }
}

async fn line(program: &mut Option<Followed>) -> Result<Option<String>> {
    match program {
        Some(program) => program.next().await,
        None => pending().await,
    }
}

/// How a program has ended whose output has.
async fn ended(program: &mut Option<Followed>) -> Result<String> {
    match program.take() {
        Some(program) => Ok(program.wait().await?.to_string()),
        None => pending().await,
    }
}

/// Ends a program with its children, and shows what it says until then.
async fn end(program: Option<Followed>, show: impl Fn(&str)) {
    let Some(mut program) = program else { return };
    program.signal(Signal::TERM);
    let last_lines = async {
        while let Ok(Some(line)) = program.next().await {
            show(&line);
        }
    };
    let is_gone = timeout(GRACE, last_lines).await.is_ok();
    if !is_gone {
        program.signal(Signal::KILL);
    }
    // It was killed, or has closed its output.
    timeout(GRACE, program.wait()).await.ok();
}
