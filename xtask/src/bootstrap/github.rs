//! The repository at GitHub that a stack is deployed from: who approves, what a branch and a tag allow, what workflows may do.
//! Only settings that are named here, and rulesets of the toolkit's names, are changed.

mod actions;
mod checklist;
mod environments;
mod releases;
mod rules;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::BTreeMap;

use anyhow::anyhow;

use super::Prerequisite;
use super::item::Item;
use crate::clients::github::{ActionsPermissions, GitHub, GitHubError, Reviewer, Ruleset};
use crate::env::Env;
use crate::failure::Failure;
use crate::release::tag::TAGS;

/// The repository at GitHub.
pub struct GitHubRepository<'a> {
    env: &'a Env<'a>,
    github: GitHub,
    /// The items that GitHub has refused to fix because it does not offer them, with its words. Only an attempt tells.
    refused: RefCell<BTreeMap<String, String>>,
}

/// What fixing an item takes.
#[derive(Clone, Debug, PartialEq)]
pub enum Fix {
    MakeEnvironment(String),
    Reviewers { environment: String, reviewers: Vec<Reviewer> },
    Refs(String),
    MakeRuleset(Ruleset),
    PutRuleset(u64, Ruleset),
    AllowedActions(ActionsPermissions),
    PinnedActions,
    WorkflowToken,
    ForkApproval,
    ImmutableReleases,
}

impl<'a> GitHubRepository<'a> {
    /// The repository that deploy.yaml, the environment or the remote `origin` names. Fails without a stack or a token. No
    /// request is made yet.
    pub async fn find(env: &'a Env<'a>) -> Result<Self, Failure> {
        env.stack()?;
        Ok(Self { env, github: env.github().await?, refused: RefCell::default() })
    }

    /// The failure, with what to type where the token lacks a permission.
    fn explain(&self, error: GitHubError) -> Failure {
        let (repository, name) = (self.github.repository(), self.env.name());
        match error {
            GitHubError::Denied { what, response } => Failure::Failed(anyhow!(
                "GitHub refuses {what}: {response}\n  the token needs the permissions administration: write and actions: read on \
                 {repository}: make a fine-grained one as an administrator of it, put it into .env.{name} (mode 0600) as GH_TOKEN, \
                 and type: {}",
                self.command()
            )),
            other => Failure::Failed(other.into()),
        }
    }

    /// The item that GitHub has refused to fix because it does not offer it.
    fn refused(&self, about: &str, should: &str, instead: &str) -> Option<Item<Fix>> {
        let refused = self.refused.borrow();
        Some(not_offered(about, refused.get(about)?, should, instead))
    }

    /// Keeps that GitHub does not offer what a fix needs. Any other failure fails the fix.
    fn keep_refusal(&self, about: &str, fixed: Result<(), GitHubError>) -> Result<(), Failure> {
        let Err(error) = fixed else { return Ok(()) };
        match error.not_offered() {
            Some(response) => {
                self.refused.borrow_mut().insert(about.to_owned(), response.to_owned());
                Ok(())
            }
            None => Err(self.explain(error)),
        }
    }
}

impl Prerequisite for GitHubRepository<'_> {
    type Fix = Fix;

    fn title(&self) -> String {
        format!("repository at GitHub: {}", self.github.repository())
    }

    fn command(&self) -> String {
        format!("cargo xtask bootstrap github {}", self.env.name())
    }

    /// All subjects are asked for at the same time.
    async fn inspect(&self) -> Result<Vec<Item<Fix>>, Failure> {
        let (environments, rules, actions, releases) =
            tokio::try_join!(self.environments(), self.rules(), self.actions(), self.releases())?;
        let subjects = [environments, rules, actions, vec![releases], self.checklist()?];
        Ok(subjects.into_iter().flatten().collect())
    }

    async fn fix(&self, fix: &Fix) -> Result<(), Failure> {
        match fix {
            Fix::MakeEnvironment(name) => self.make_environment(name).await,
            Fix::Reviewers { environment, reviewers } => self.set_reviewers(environment, reviewers).await,
            Fix::Refs(environment) => self.set_refs(environment).await,
            Fix::MakeRuleset(ruleset) => self.github.create_ruleset(ruleset).await.map_err(|error| self.explain(error)),
            Fix::PutRuleset(id, ruleset) => {
                self.github.put_ruleset(*id, ruleset).await.map_err(|error| self.explain(error))
            }
            Fix::AllowedActions(before) => self.allow_actions(before).await,
            Fix::PinnedActions => self.pin_actions().await,
            Fix::WorkflowToken => self.set_workflow_token().await,
            Fix::ForkApproval => self.set_fork_approval().await,
            Fix::ImmutableReleases => self.make_releases_immutable().await,
        }
    }
}

fn not_offered(about: &str, response: &str, should: &str, instead: &str) -> Item<Fix> {
    Item::lacks(about, format!("not offered here ({response})"), should, instead)
}
