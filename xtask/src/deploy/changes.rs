//! What a release changes, compared with what is live. The same for every target.

use std::collections::BTreeMap;

use anyhow::anyhow;

use crate::failure::Failure;
use crate::release::{Migration, Release, Trial, WayBack};
use crate::report::Summary;
use crate::secrets;
use crate::sqlx::migrations;
use crate::state::history::Record;
use crate::targets::Planned;

/// What a deploy changes of the stack of the media.
pub struct MediaPlan {
    /// It has changes.
    pub planned: Planned,
    /// Whether the user has given its digest.
    pub is_approved: bool,
}

/// What a release changes.
pub struct Plan {
    /// For people, a line each.
    pub lines: Vec<String>,
    /// Why it must not be done.
    pub refusals: Vec<String>,
    /// What the stack of the media changes before; none if that is nothing.
    pub media: Option<MediaPlan>,
    /// What the target's stack changes; none for a target without one.
    pub stack: Option<Planned>,
    /// Whether the release that serves can start again; none where no migration asks for it.
    pub way_back: Option<WayBack>,
}

impl Plan {
    /// Compares a release with what was live before, oldest first: the last of these serves.
    pub fn compare(release: &Release, live_records: &[Record], stack: Option<Planned>) -> Self {
        let mut plan = Self { lines: Vec::new(), refusals: Vec::new(), media: None, stack, way_back: None };
        let Some(live) = live_records.last() else {
            plan.lines.push(format!("first release: {}", release.version()));
            return plan;
        };
        plan.lines.push(format!("{} → {}", live.version(), release.version()));
        if live.digest.as_deref() == Some(&release.published.digest) {
            plan.lines.push("the same program".to_owned());
        }
        let new = &release.published.migrations;
        let compared = migrations::compare(new, live_records);
        for migration in compared.pending {
            let mark = if migration.irreversible { ", irreversible" } else { "" };
            plan.lines.push(format!("migration {}{mark}", migration.name));
        }
        plan.refusals.extend(compared.refusals);
        let is_here = |name: &str| new.iter().any(|migration| migration.name == name);
        for gone in live.migrations.iter().filter(|migration| !is_here(&migration.name)) {
            if gone.irreversible {
                plan.refusals.push(format!(
                    "migration {} of {} cannot be undone, and {} does not have it; deploy a commit that has it",
                    gone.name,
                    live.version(),
                    release.version()
                ));
            } else {
                plan.lines.push(format!("migration {} is not in this version", gone.name));
            }
        }
        plan.lines.extend(changed_names("setting", &live.settings, &release.settings, |_, _| "changed"));
        plan.lines.extend(changed_names("secret", &live.secrets, &release.secrets, changed_secret));
        plan
    }

    /// Adds what was found of the way back. Where there is none, that refuses the plan unless `accepted`.
    pub fn with_way_back(mut self, way_back: Option<WayBack>, accepted: bool, environment: &str) -> Self {
        if let Some(WayBack { version, across, trial: Trial::Fails(why) }) = &way_back {
            self.lines.push(format!("no way back: {version} does not start on the new schema"));
            if !accepted {
                self.refusals.push(refusal(version, across, why, environment));
            }
        } else if let Some(way_back) = &way_back {
            self.lines.push(format!("way back: {}", way_back.summary()));
        }
        self.way_back = way_back;
        self
    }

    /// A rollback from one version to another.
    pub fn back(from: &str, to: &str) -> Self {
        let lines = vec![format!("{from} → {to}")];
        Self { lines, refusals: Vec::new(), media: None, stack: None, way_back: None }
    }

    /// The media's alone: the service is planned with what their stack gives when it is applied.
    pub fn of_media(media: MediaPlan) -> Self {
        Self { lines: Vec::new(), refusals: Vec::new(), media: Some(media), stack: None, way_back: None }
    }

    /// Adds what the stack of the media changes with the release, and what it has changed already.
    pub fn with_media(mut self, media: Option<MediaPlan>, applied: Option<&String>) -> Self {
        let planned = media.iter().map(|media| media.planned.summary());
        self.lines.extend(applied.cloned().into_iter().chain(planned).map(|counts| format!("media: {counts}")));
        self.media = media;
        self
    }

    /// Names the kept plans to those who approve them: one digest, or that of the media's plan, `-` and that of the service's. None if
    /// there is nothing to apply.
    pub fn approval(&self) -> Option<String> {
        let plans = self.media.iter().map(|media| &media.planned).chain(&self.stack);
        let digests: Vec<String> = plans.filter_map(Planned::approval).collect();
        (!digests.is_empty()).then(|| digests.join("-"))
    }

    /// Fails where the plan must not be done.
    pub fn guard(&self) -> Result<(), Failure> {
        self.stack.as_ref().map_or(Ok(()), Planned::guard)?;
        if self.refusals.is_empty() {
            return Ok(());
        }
        Err(Failure::Refused(anyhow!("refused:\n  {}", self.refusals.join("\n  "))))
    }
}

impl Summary for Plan {
    fn summary(&self) -> String {
        let stack = self.stack.iter().map(Summary::summary);
        self.lines.iter().cloned().chain(stack).collect::<Vec<_>>().join("\n")
    }
}

/// The irreversible ones of these migrations that the code of an older record does not know.
pub fn crossed<'m>(migrations: &'m [Migration], older: &Record) -> Vec<&'m str> {
    let known = |name: &str| older.migrations.iter().any(|migration| migration.name == name);
    let crossed = migrations.iter().filter(|migration| migration.irreversible && !known(&migration.name));
    crossed.map(|migration| migration.name.as_str()).collect()
}

/// What keeps an older release from starting where this one may have been started: its irreversible migrations, and those that the older
/// one did not start on when that was tried.
pub fn no_way_back<'m>(migrations: &'m [Migration], way_back: Option<&'m WayBack>, older: &Record) -> Vec<&'m str> {
    let mut across = crossed(migrations, older);
    if let Some(WayBack { across: tried, trial: Trial::Fails(_), .. }) = way_back {
        across.extend(tried.iter().map(String::as_str));
        across.sort_unstable();
        across.dedup();
    }
    across
}

fn refusal(version: &str, across: &[String], why: &str, environment: &str) -> String {
    // As sqlx says it, and as Rust shows its error.
    let remedy = if ["previously applied but is missing", "VersionMissing("].iter().any(|text| why.contains(text)) {
        format!(
            "\n  sqlx refuses migrations that a program does not know: call `set_ignore_missing(true)` on its migrator, and \
             deploy that without {} first",
            across.join(", ")
        )
    } else {
        String::new()
    };
    format!(
        "{version} does not start on the schema that {} leaves, so it could not serve again after a failure or a rollback: \
         {}{remedy}\n  to deploy without a way back, mark the migration `-- irreversible`, or type: \
         cargo xtask deploy {environment} --no-way-back",
        across.join(", "),
        why.replace('\n', "\n  ")
    )
}

fn changed_secret(before: &str, after: &str) -> &'static str {
    match secrets::comparable(before, after) {
        true => "changed",
        false => "counts as changed this once, because its fingerprint has a new key",
    }
}

fn changed_names(
    what: &str,
    before: &BTreeMap<String, String>,
    after: &BTreeMap<String, String>,
    changed: impl Fn(&str, &str) -> &'static str,
) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, value) in after {
        match before.get(name) {
            None => lines.push(format!("{what} {name}: new")),
            Some(old) if old != value => lines.push(format!("{what} {name}: {}", changed(old, value))),
            Some(_) => {}
        }
    }
    lines.extend(before.keys().filter(|name| !after.contains_key(*name)).map(|name| format!("{what} {name}: gone")));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_of_an_early_toolkit_counts_as_changed_and_that_is_said() {
        let early = BTreeMap::from([("A".to_owned(), "0123abcd".to_owned()), ("B".to_owned(), "0123abcd".to_owned())]);
        let now = BTreeMap::from([("A".to_owned(), format!("0123abcd-{}", "0".repeat(32)))]);
        let lines = changed_names("secret", &early, &now, changed_secret);
        let once = "secret A: counts as changed this once, because its fingerprint has a new key";
        assert_eq!(lines, [once, "secret B: gone"]);
        let next = BTreeMap::from([("A".to_owned(), format!("0123abcd-{}", "1".repeat(32)))]);
        assert_eq!(changed_names("secret", &now, &next, changed_secret), ["secret A: changed"]);
    }
}
