//! A release on several Docker hosts. It comes to the first one as to a single host. Once it serves there, it comes to the others, a
//! batch at a time. When one fails, those that have it go back to the previous release before anything else happens: a request to
//! stop waits for that.

use anyhow::anyhow;
use futures_util::future::join_all;

use super::asked::Asked;
use super::gate::until_ready;
use super::run::Run;
use crate::failure::Failure;
use crate::release::{Release, Settings};
use crate::report::{Ongoing, Step, Summary};
use crate::signals::Stop;
use crate::state::history::Record;
use crate::targets::Target;
use crate::targets::host::{Fleet, Host};

/// How many hosts serve a release.
struct Hosts(usize);

impl Summary for Hosts {
    fn summary(&self) -> String {
        format!("it serves on {} {}", self.0, if self.0 == 1 { "host" } else { "hosts" })
    }
}

/// Brings the release that the first host serves to the others.
pub async fn follow(run: &Run<'_>, release: &Release, settings: &Settings, asked: &Asked<'_>) -> Result<(), Failure> {
    let Some(fleet) = fleet(run.target) else { return Ok(()) };
    let all = fleet.all().count();
    let follow = async |step: &Ongoing, _: &Stop| {
        let mut serve = 1;
        for batch in fleet.batches() {
            run.verify_lease().await.map_err(|lost| {
                let left = format!("{} serves on {serve} of {all} hosts, and stays there", release.version());
                Failure::Aborted(lost.into_error().context(left))
            })?;
            let names: Vec<String> = batch.iter().map(Host::name).collect();
            step.progress(&format!("{}, after {serve} of {all} hosts", names.join(", ")));
            // All are awaited: one that is cut off may serve, or not.
            let ended = batch.iter().map(|host| bring(run, host, run.id(), release, settings, asked, step));
            let ended = join_all(ended).await;
            let failed = names.iter().zip(ended).find_map(|(name, ended)| Some((name, ended.err()?.into_error())));
            if let Some((name, error)) = failed {
                if let Some(previous) = run.live() {
                    step.progress("the hosts that have it go back");
                    // The step that restores looks at all hosts again.
                    if let Err(failure) = back(run, fleet, previous, settings, step).await {
                        run.env.report.warn(&format!("not all hosts went back: {:#}", failure.into_error()));
                    }
                }
                return Err(error.context(format!("{name}, after {serve} of {all} hosts")).into());
            }
            serve += batch.len();
        }
        Ok(Hosts(serve))
    };
    Box::pin(run.critical(Step::Hosts, follow)).await.map(drop)
}

/// Makes sure that every host that can be asked serves a release that was live. None where there are not several hosts.
pub async fn go_back(run: &Run<'_>, previous: &Record, settings: &Settings) -> Option<Result<(), Failure>> {
    let fleet = fleet(run.target)?;
    let back = async |step: &Ongoing, _: &Stop| back(run, fleet, previous, settings, step).await.map(Hosts);
    Some(Box::pin(run.critical(Step::Restore, back)).await.map(drop))
}

/// Puts into the record what each host has now.
pub async fn note(run: &Run<'_>) {
    let Some(fleet) = fleet(run.target) else { return };
    let versions = fleet.versions().await;
    run.note(|record| record.hosts = versions);
}

fn fleet<'t, 'a>(target: &'t Target<'a>) -> Option<&'t Fleet<'a>> {
    match target {
        Target::Host(fleet) if fleet.has_several() => Some(fleet),
        Target::Host(_) | Target::Local(_) | Target::Stack(_) | Target::Easypanel(_) => None,
    }
}

/// How many hosts serve the release of this record afterwards. One that cannot be asked is a warning: nothing can be done there.
async fn back(
    run: &Run<'_>,
    fleet: &Fleet<'_>,
    previous: &Record,
    settings: &Settings,
    step: &Ongoing,
) -> Result<usize, Failure> {
    let (version, settings) = (previous.version(), settings.with_plain(&previous.settings));
    let asked = Asked::new(&run.env.report);
    let (mut serve, mut failed) = (0, Vec::new());
    for (place, host) in fleet.all().enumerate() {
        let name = host.name();
        let serving = match host.serving().await {
            Ok(serving) => serving,
            Err(failure) => {
                let error = failure.into_error();
                run.env.report.warn(&format!("{name} cannot be asked, and stays as it is: {error:#}"));
                continue;
            }
        };
        if serving.is_none() && !had_any(previous, &name, place == 0) {
            run.env.report.note(&format!("{name} had no release before, and has none now"));
            continue;
        }
        if let Some(serving) = serving.filter(|serving| serving.id == previous.id)
            && serving.ready_as(version).await.is_some()
        {
            serve += 1;
            continue;
        }
        step.progress(&format!("{version} on {name}"));
        let start = async {
            let release = Release::new(host.published(previous).await?, &settings)?;
            bring(run, host, previous.id.clone(), &release, &settings, &asked, step).await
        };
        match start.await {
            Ok(()) => serve += 1,
            Err(failure) => failed.push(format!("{name}: {:#}", failure.into_error())),
        }
    }
    match (failed.is_empty(), serve) {
        (true, 1..) => Ok(serve),
        (true, 0) => Err(anyhow!("no host can be asked").into()),
        (false, _) => Err(anyhow!(failed.join("\n")).into()),
    }
}

/// Whether a host had a release when this record was written. With one host, the record names none.
fn had_any(record: &Record, name: &str, is_first: bool) -> bool {
    match record.hosts.get(name) {
        Some(version) => version.is_some(),
        None => record.hosts.is_empty() && is_first,
    }
}

/// Starts a release on one host, and lets it take over once it is ready.
async fn bring(
    run: &Run<'_>,
    host: &Host<'_>,
    id: String,
    release: &Release,
    settings: &Settings,
    asked: &Asked<'_>,
    step: &Ongoing,
) -> Result<(), Failure> {
    let mut candidate = host.apply(id, release, settings).await?;
    until_ready(&mut candidate, release.version(), &run.env.environment.gate, asked, step).await?;
    // Requests to stop wait for the end of all of it.
    let (_, never) = Stop::channel();
    host.switch(candidate, step, &never).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::history::Kind;

    #[test]
    fn a_host_that_was_added_since_has_nothing_to_go_back_to() {
        let mut record = Record::begin("1".to_owned(), Kind::Deploy, "prod", 1);
        // It was one host then.
        assert!(had_any(&record, "this machine", true) && !had_any(&record, "ssh://two", false));
        record.hosts.insert("ssh://one".to_owned(), Some("3f9c2d1a4b7e".to_owned()));
        record.hosts.insert("ssh://two".to_owned(), None);
        assert!(had_any(&record, "ssh://one", true));
        assert!(!had_any(&record, "ssh://two", false) && !had_any(&record, "ssh://three", false));
    }
}
