//! `logs` and `run`, which the panel's API does not offer: by the Docker engine on which the panel runs its services.

use anyhow::{Context as _, Result, anyhow};
use futures_util::future::join_all;

use super::{Panel, image, variables};
use crate::check::Check;
use crate::clients::docker::Engine;
use crate::clients::docker::beside::Neighbour;
use crate::clients::docker::kept::Spec;
use crate::clients::easypanel::{App, Container};
use crate::failure::Failure;
use crate::image::ServiceImage;
use crate::settings;
use crate::state::history::{self, Record};
use crate::targets::docker::{self, Machine};
use crate::targets::host::containers::{RUN, named};
use crate::targets::host::settings::{resolved, variables as of_release};

impl Panel<'_> {
    /// Shows the last lines that the containers of each service have written, of several services with their names, and with `follow` what
    /// comes. A service without a container is a warning while another one has one.
    pub async fn show_log(&self, lines: usize, follow: bool) -> Result<(), Failure> {
        let machine = self.machine("`logs`", "Logs")?;
        let engine = machine.engine().await?;
        let has_several = self.target.services.len() > 1;
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for app in self.apps() {
            let containers = self.latest(&app).await?;
            if containers.is_empty() {
                missing.push(format!("{} has no container", app.service));
            }
            found.extend(containers.into_iter().map(|container| (app.clone(), container.id)));
        }
        if found.is_empty() {
            let name = self.env.name();
            return Err(anyhow!("no service of {name} has a container; type: cargo xtask deploy {name}").into());
        }
        let show = async |app: &App, id: &str| {
            neighbour(machine, &engine, app, id).await?;
            let source = has_several.then_some(("service", app.service.as_str()));
            docker::show(self.env, &engine, id, Some(lines), follow, source).await
        };
        let shown = join_all(found.iter().map(|(app, id)| show(app, id))).await;
        let failed: Vec<String> =
            shown.into_iter().filter_map(|shown| Some(format!("{:#}", shown.err()?.into_error()))).collect();
        if failed.len() == found.len() {
            return Err(anyhow!(failed.join("\n  ")).into());
        }
        missing.iter().chain(&failed).for_each(|why| self.env.report.warn(why));
        Ok(())
    }

    /// Runs the program of a record's release to its end in a container beside that of the first service, and shows what it writes. Fails
    /// with its exit code.
    pub async fn run(&self, record: &Record, args: &[String]) -> Result<(), Failure> {
        let machine = self.machine("`run`", "Console")?;
        let prepare = Box::pin(self.one_off(machine, record, args));
        let spec = self.env.stop.cancels("nothing was started", prepare).await?;
        docker::run_once(self.env, machine, &spec).await
    }

    /// Whether the engine answers and has the containers that the panel lists; none without `host`. None of these checks changes anything.
    pub(super) async fn engine_checks(&self) -> Vec<Check> {
        let Some(machine) = &self.machine else { return Vec::new() };
        let fix = "correct `host` in deploy.yaml: the machine on which the panel runs its services";
        let engine = match machine.engine().await {
            Ok(engine) => engine,
            Err(error) => return vec![Check::bad("engine", format!("{error:#}"), fix)],
        };
        let mut checks = vec![Check::good("engine", format!("Docker {} of {}", engine.version(), machine.name()))];
        for app in self.apps() {
            // A panel that cannot be asked is told by its own check.
            let Ok(containers) = self.latest(&app).await else { return checks };
            for Container { id, .. } in containers {
                let found = neighbour(machine, &engine, &app, &id).await;
                checks.push(Check::of(
                    "container",
                    found,
                    |_| format!("{} has that of {}", machine.name(), app.service),
                    fix,
                ));
            }
        }
        checks
    }

    /// The program of a record's release with these arguments.
    async fn one_off(&self, machine: &Machine, record: &Record, args: &[String]) -> Result<Spec, Failure> {
        let settings = resolved(self.env, None)?.with_plain(&record.settings);
        let values = of_release(self.env, record.version(), &settings)?;
        let table = settings::table(self.env)?;
        let declared: Vec<&str> = table.settings.iter().map(|setting| setting.name.as_str()).collect();
        let image = image::of_record(self.env, record)?.image().context("an Easypanel runs images")?;
        let engine = machine.engine().await?;
        let app = self.apps().next().context("the environment has no service")?;
        let is_released = |one: &Container| record.digest.as_ref().is_some_and(|digest| one.runs(digest));
        // While a deploy goes on, there may be one of another release.
        let running = self.latest(&app).await?.into_iter().rev().filter(Container::is_running).max_by_key(is_released);
        let running = running.with_context(|| format!("{} has no container that runs", app.service))?;
        let neighbour = neighbour(machine, &engine, &app, &running.id).await?;
        docker::pull(&engine, &ServiceImage::find(self.env)?, &image).await?;
        let spec = Spec {
            image,
            args: Some(args.to_vec()),
            env: variables::with_values(neighbour.env.iter().map(String::as_str), &declared, &values),
            beside: Some(Box::new(neighbour)),
            ..named(self.env, RUN, &history::new_id()?, record.version())
        };
        Ok(spec)
    }

    /// The containers of a service that run; where none does, the newest one.
    async fn latest(&self, app: &App) -> Result<Vec<Container>> {
        let all = self.api().await?.containers(app).await?;
        // As Docker lists them: the newest first.
        let (mut latest, ended): (Vec<_>, Vec<_>) = all.into_iter().partition(Container::is_running);
        if latest.is_empty() {
            // The next one of a service that ends again and again is made before it starts, and has written nothing.
            latest.extend(ended.into_iter().find(|one| one.state != "created"));
        }
        Ok(latest)
    }

    /// The machine on which the panel runs its services. Without `host`, the failure of a command that the panel's API does not offer;
    /// `page` is where the panel shows the same.
    fn machine(&self, what: &str, page: &str) -> Result<&Machine, Failure> {
        let name = self.env.name();
        self.machine.as_ref().ok_or_else(|| {
            Failure::Usage(anyhow!(
                "{what} needs the panel's Docker engine, because the panel's API does not offer it\n  add `host: ssh://USER@HOST` to \
                 environments.{name}: the machine on which the panel runs its services\n  or see {}, {page}",
                self.place()
            ))
        })
    }
}

/// A container that the panel lists. Fails where the engine has none of this id.
async fn neighbour(machine: &Machine, engine: &Engine, app: &App, id: &str) -> Result<Neighbour> {
    let found = engine.neighbour(id).await?;
    found.with_context(|| {
        format!("{} has no container {id}, which runs {} by the panel's word", machine.name(), app.service)
    })
}
