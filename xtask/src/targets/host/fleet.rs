//! The Docker hosts of an environment, in the order in which a release comes to them. Of most environments it is one. The first one
//! keeps lease, journal and records.

use std::collections::BTreeMap;

use anyhow::{Result, anyhow};
use futures_util::future::{join_all, try_join_all};
use jiff::Timestamp;
use serde::Serialize;

use super::{Candidate, Host, checks, image, settings};
use crate::check::Check;
use crate::clients::service::Service;
use crate::config;
use crate::env::Env;
use crate::failure::Failure;
use crate::release::{Artifact, MediaSettings, Published, Release, Settings, Source};
use crate::report::Ongoing;
use crate::signals::Stop;
use crate::state::fingerprint;
use crate::state::history::{Outcome, Record};
use crate::targets::condition::Condition;
use crate::targets::{Serving, Switched, stack};
use crate::tools::ssh::Remote;

/// The hosts of an environment.
pub struct Fleet<'a> {
    env: &'a Env<'a>,
    first: Host<'a>,
    others: Vec<Host<'a>>,
    batch: usize,
}

/// What one of several hosts has.
#[derive(Debug, Serialize)]
pub struct Seen {
    /// Its name.
    pub host: String,
    /// The version that serves there; none where none does, or where the host cannot be asked.
    pub version: Option<String>,
    /// Whether that is ready.
    pub ready: bool,
    /// What it answers, or why it cannot be asked.
    pub health: String,
}

impl<'a> Fleet<'a> {
    /// The target of an environment.
    pub fn new(env: &'a Env<'a>, target: &'a config::Compose, proxy: &'a str) -> Self {
        let others = target.hosts.iter().skip(1).map(|host| Remote::new(host.clone()));
        let others = others.map(|remote| Host::new(env, target, proxy, Some(remote))).collect();
        Self { env, first: Host::new(env, target, proxy, env.remote().cloned()), others, batch: target.batch }
    }

    /// All hosts.
    pub fn all(&self) -> impl Iterator<Item = &Host<'a>> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// Whether there is more than one.
    pub fn has_several(&self) -> bool {
        !self.others.is_empty()
    }

    /// The hosts after the first one, as many at once as deploy.yaml says.
    pub fn batches(&self) -> impl Iterator<Item = &[Host<'a>]> {
        self.others.chunks(self.batch)
    }

    /// Every check of the hosts. None changes anything.
    pub async fn checks(&self) -> Result<Vec<Check>, Failure> {
        let mut checks = checks::of_environment(&self.first).await?;
        let of_hosts = join_all(self.all().map(checks::of_host)).await;
        for (host, of_host) in self.all().zip(of_hosts) {
            let named = |check: Check| Check { found: format!("{}: {}", host.name(), check.found), ..check };
            checks.extend(of_host.into_iter().map(|check| if self.has_several() { named(check) } else { check }));
        }
        Ok(checks)
    }

    /// Fails unless deploy.yaml has an image.
    pub fn runs_the_service(&self) -> Result<(), Failure> {
        crate::image::ServiceImage::find(self.env).map(drop)
    }

    /// Settings, and on each host the network and a proxy that runs.
    pub async fn provision(&self, media: &MediaSettings, step: &Ongoing) -> Result<Settings, Failure> {
        let settings = settings::resolved(self.env, Some(media))?;
        for host in self.all() {
            step.progress(&format!("the proxy of {}", host.name()));
            host.start_proxy().await?;
        }
        let key = Box::pin(fingerprint::key(self.env.store()?)).await?;
        Ok(settings.fingerprinted(&key, &self.env.store_prefix()))
    }

    /// The release that serves. With several hosts it is that of the first one. Where another host has another release, or an unready
    /// one, it is that one, so that a release counts as serving only if all hosts have it.
    pub async fn serving(&self) -> Result<Option<Serving>, Failure> {
        let first = self.first.serving().await?;
        for host in &self.others {
            let (other, known) = (host.serving().await?, first.as_ref().map(|first| &first.id));
            let is_same = other.as_ref().map(|other| &other.id) == known;
            let is_ready = match &other {
                Some(other) => other.ready_as(&other.version).await.is_some(),
                None => true,
            };
            if !is_same || !is_ready {
                // By no record's id, also where it is the release that was live before: not all hosts have it.
                return Ok(other.map(|other| Serving { id: String::new(), ..other }));
            }
        }
        Ok(first)
    }

    /// The release that serves on the first host.
    pub async fn serving_on_first(&self) -> Result<Option<Serving>, Failure> {
        self.first.serving().await
    }

    /// What each host has. None fails this: one that is away is told as such.
    pub async fn seen(&self) -> Vec<Seen> {
        join_all(self.all().map(Host::seen)).await
    }

    /// The version that each of several hosts has, for the record; empty where there is one host.
    pub async fn versions(&self) -> BTreeMap<String, Option<String>> {
        if !self.has_several() {
            return BTreeMap::new();
        }
        self.seen().await.into_iter().map(|seen| (seen.host, seen.version)).collect()
    }

    /// Builds the commit's image, unless the registry or the Docker engine has it.
    pub async fn build(&self, source: &Source, step: &Ongoing) -> Result<Artifact, Failure> {
        stack::image::build(self.env, source, step).await
    }

    /// Whether the image is still there.
    pub async fn has_built(&self, artifact: &Artifact) -> bool {
        stack::image::has_built(self.env, artifact).await
    }

    /// Puts the image where the hosts' engines get it: into the registry, or into these engines.
    pub async fn publish(&self, artifact: &Artifact, step: &Ongoing) -> Result<Published, Failure> {
        Box::pin(image::publish(self.env, &self.all().collect::<Vec<_>>(), artifact, step)).await
    }

    /// Whether the image is still on every host, or in the registry, unchanged.
    pub async fn has_published(&self, published: &Published) -> bool {
        let there = try_join_all(self.all().map(|host| image::is_there(host, published))).await;
        there.is_ok_and(|there| there.into_iter().all(|is_there| is_there))
    }

    /// The image of an earlier deploy. Refused if a host does not keep it any more.
    pub async fn published(&self, record: &Record) -> Result<Published, Failure> {
        for host in &self.others {
            host.published(record).await?;
        }
        self.first.published(record).await
    }

    /// Starts the release's container on the first host, beside the one that serves.
    pub async fn apply(&self, id: String, release: &Release, settings: &Settings) -> Result<Candidate, Failure> {
        self.first.apply(id, release, settings).await
    }

    /// Has the first host's proxy send requests to the release.
    pub async fn switch(&self, candidate: Candidate, step: &Ongoing, stop: &Stop) -> Result<Switched, Failure> {
        self.first.switch(candidate, step, stop).await
    }

    /// Where the readiness of what serves is asked for, on every host.
    pub async fn services(&self) -> Result<Vec<Service>, Failure> {
        let serving = try_join_all(self.all().map(Host::serving)).await?;
        Ok(serving.into_iter().flatten().map(|serving| serving.service).collect())
    }

    /// What the engines say of the containers that have just taken over: the first that is not as it should be.
    pub async fn condition(&self) -> Condition {
        let mut unsure = None;
        for host in self.all() {
            let name = if self.has_several() { format!("{}: ", host.name()) } else { String::new() };
            match host.condition().await {
                Condition::Ready => {}
                Condition::Other(status) => return Condition::Other(format!("{name}{status}")),
                Condition::Error(why) => return Condition::Error(format!("{name}{why}")),
                // Another host may have failed.
                Condition::NotAsked(why) => unsure = Some(Condition::NotAsked(format!("{name}{why}"))),
            }
        }
        unsure.unwrap_or(Condition::Ready)
    }

    /// What the containers of this version have written, host by host. A host that is away is left out.
    pub async fn log_of(&self, version: &str, since: Timestamp) -> Result<Vec<String>, Failure> {
        if !self.has_several() {
            return self.first.log_of(version, since).await;
        }
        let mut lines = Vec::new();
        for host in self.all() {
            let of_host = host.log_of(version, since).await.unwrap_or_default();
            lines.extend(of_host.into_iter().map(|line| format!("{} | {line}", host.name())));
        }
        Ok(lines)
    }

    /// Shows the last lines that the release that serves has written, of several hosts with their names, and with `follow` what comes.
    /// A host that cannot be asked is a warning while another one can.
    pub async fn show_log(&self, lines: usize, follow: bool) -> Result<(), Failure> {
        if !self.has_several() {
            return self.first.show_log(lines, follow, None).await;
        }
        let names: Vec<String> = self.all().map(Host::name).collect();
        let shown = self.all().zip(&names).map(|(host, name)| host.show_log(lines, follow, Some(name)));
        let shown = join_all(shown).await.into_iter().zip(&names);
        let away: Vec<String> =
            shown.filter_map(|(shown, name)| Some(format!("{name}: {:#}", shown.err()?.into_error()))).collect();
        if away.len() == names.len() {
            return Err(anyhow!("no host has a log\n  {}", away.join("\n  ")).into());
        }
        away.iter().for_each(|why| self.env.report.warn(why));
        Ok(())
    }

    /// Stops every container of the environment, on all hosts that can be reached. They and all data are kept. Fails with the hosts
    /// that cannot be.
    pub async fn stop(&self) -> Result<Vec<String>, Failure> {
        if !self.has_several() {
            return self.first.stop().await;
        }
        let (mut stopped, mut away) = (Vec::new(), Vec::new());
        for (host, ended) in self.all().zip(join_all(self.all().map(Host::stop)).await) {
            match ended {
                Ok(names) => stopped.extend(names.into_iter().map(|name| format!("{name} on {}", host.name()))),
                Err(failure) => away.push(format!("{}: {:#}", host.name(), failure.into_error())),
            }
        }
        if away.is_empty() {
            return Ok(stopped);
        }
        let (away, stopped) = (away.join("\n  "), stopped.join(", "));
        Err(anyhow!("not stopped everywhere\n  {away}\n  stopped: {stopped}").into())
    }

    /// Runs the program of a record's release to its end on the first host.
    pub async fn run(&self, record: &Record, args: &[String]) -> Result<(), Failure> {
        if self.has_several() {
            self.env.report.note(&format!("it runs on {}", self.first.name()));
        }
        self.first.run(record, args).await
    }

    /// Removes the images of releases that nothing can go back to any more, on every host.
    pub async fn prune(&self, records: &[Record]) -> Result<()> {
        for host in self.all() {
            let live = records.iter().filter(|record| record.outcome == Outcome::Live);
            Box::pin(image::prune(host, live)).await?;
        }
        Ok(())
    }
}
