//! The checks of a commit: check runs, as Actions and apps report them, and statuses, as others do.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::{GitHub, Result};
use crate::release::short_commit;

/// One check of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Its name, as a rule of a branch names it.
    pub name: String,
    /// How it ended.
    pub conclusion: Conclusion,
    /// Its page, if it has one.
    pub url: Option<String>,
}

/// How a check ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conclusion {
    /// Well, or it was not needed (`neutral`, `skipped`).
    Passed,
    /// It has not ended.
    Pending,
    /// In any other way, as GitHub names it.
    Failed(String),
}

impl GitHub {
    /// The last run of each check of a commit, by name. Without the jobs of one workflow, which is named by its file: GitHub lists them
    /// as checks of the commit that they run for.
    pub async fn checks(&self, commit: &str, without: &str) -> Result<Vec<Check>> {
        #[derive(Deserialize)]
        struct Run {
            name: String,
            check_suite: Option<Suite>,
            status: String,
            conclusion: Option<String>,
            html_url: Option<String>,
        }
        #[derive(Deserialize)]
        struct Suite {
            id: u64,
        }
        #[derive(Deserialize)]
        struct Status {
            context: String,
            state: String,
            target_url: Option<String>,
        }
        let what = format!("reading the checks of {}", short_commit(commit));
        let paths = [format!("/commits/{commit}/check-runs"), format!("/commits/{commit}/status")];
        let (runs, statuses, workflows) = tokio::try_join!(
            self.list::<Run>(&paths[0], Some("check_runs"), &what),
            self.list::<Status>(&paths[1], Some("statuses"), &what),
            self.workflow_runs_of(commit),
        )?;
        // The jobs of a run are one suite of checks.
        let left_out: BTreeSet<u64> =
            workflows.iter().filter(|run| run.file() == without).filter_map(|run| run.check_suite_id).collect();
        let is_left_out = |run: &Run| run.check_suite.as_ref().is_some_and(|suite| left_out.contains(&suite.id));
        let runs = runs.into_iter().filter(|run| !is_left_out(run)).map(|run| {
            let conclusion = match run.conclusion.as_deref() {
                _ if run.status != "completed" => Conclusion::Pending,
                Some("success" | "neutral" | "skipped") => Conclusion::Passed,
                other => Conclusion::Failed(other.unwrap_or("unknown").to_owned()),
            };
            Check { name: run.name, conclusion, url: run.html_url }
        });
        let statuses = statuses.into_iter().map(|status| {
            let conclusion = match status.state.as_str() {
                "success" => Conclusion::Passed,
                "pending" => Conclusion::Pending,
                other => Conclusion::Failed(other.to_owned()),
            };
            Check { name: status.context, conclusion, url: status.target_url }
        });
        let mut worst = BTreeMap::<String, Check>::new();
        // Two apps may use one name. The worse one counts.
        for check in runs.chain(statuses) {
            let known = worst.get(&check.name).map(|known| badness(&known.conclusion));
            if known.is_none_or(|known| known < badness(&check.conclusion)) {
                worst.insert(check.name.clone(), check);
            }
        }
        Ok(worst.into_values().collect())
    }
}

fn badness(conclusion: &Conclusion) -> u8 {
    match conclusion {
        Conclusion::Passed => 0,
        Conclusion::Pending => 1,
        Conclusion::Failed(_) => 2,
    }
}
