//! What workflows may use, and what the token of their jobs may do.

use std::collections::BTreeSet;

use serde_yaml::Value;

use super::{Fix, GitHubRepository, not_offered};
use crate::bootstrap::item::Item;
use crate::clients::github::{ActionsPermissions, ForkApproval, GitHubError, SelectedActions, WorkflowToken};
use crate::failure::Failure;
use crate::render::actions::ACTIONS;

const ALLOWED: &str = "allowed actions";
const PINNED: &str = "pinned actions";
const TOKEN: &str = "workflow token";
const FORKS: &str = "forks";

/// The accounts of GitHub's own actions.
const OF_GITHUB: [&str; 2] = ["actions", "github"];
/// Where only some actions may be used.
const SELECTED: &str = "selected";
/// The strictest of the policies for pull requests from forks.
const ALL_OUTSIDE: &str = "all_external_contributors";

impl GitHubRepository<'_> {
    /// The items of GitHub Actions.
    pub(super) async fn actions(&self) -> Result<Vec<Item<Fix>>, Failure> {
        let permissions = async {
            let permissions = self.github.actions_permissions().await?;
            let selected = match permissions.allowed_actions.as_deref() {
                Some(SELECTED) => Some(self.github.selected_actions().await?),
                _ => None,
            };
            Ok((permissions, selected))
        };
        let forks = async {
            match self.github.fork_approval().await {
                Err(error) if error.not_offered().is_some() => Ok(Err(error)),
                answer => answer.map(Ok),
            }
        };
        let asked = tokio::try_join!(permissions, self.github.workflow_token(), forks);
        let ((permissions, selected), token, forks) = asked.map_err(|error: GitHubError| self.explain(error))?;
        let pinned = self.pinned(&permissions);
        Ok(vec![self.allowed(permissions, selected), pinned, token_item(&token), self.forks(forks)])
    }

    fn allowed(&self, is: ActionsPermissions, selected: Option<SelectedActions>) -> Item<Fix> {
        let wanted = self.wanted_actions();
        let others = wanted.patterns_allowed.iter().map(|pattern| pattern.trim_end_matches("@*"));
        let should = std::iter::once("GitHub's own").chain(others).collect::<Vec<_>>().join(", ");
        let instead = "every action may be used; `render` pins its own to commits";
        if let Some(refused) = self.refused(ALLOWED, &should, instead) {
            return refused;
        }
        let patterns =
            |selected: &SelectedActions| -> BTreeSet<String> { selected.patterns_allowed.iter().cloned().collect() };
        let actual = match (&is.allowed_actions, selected) {
            _ if !is.enabled => "workflows are turned off".to_owned(),
            (_, Some(selected)) => {
                let is_same = selected.github_owned_allowed
                    && !selected.verified_allowed
                    && patterns(&selected) == patterns(&wanted);
                if is_same {
                    return Item::good(ALLOWED, should);
                }
                let mut parts = Vec::new();
                parts.extend(selected.github_owned_allowed.then(|| "GitHub's own".to_owned()));
                parts.extend(selected.verified_allowed.then(|| "those of verified authors".to_owned()));
                parts.extend(patterns(&selected));
                parts.join(", ")
            }
            (Some(policy), None) if policy == "local_only" => "the repository's own only".to_owned(),
            (_, None) => "all".to_owned(),
        };
        Item::differs(ALLOWED, actual, should, "allow only these", Fix::AllowedActions(is))
    }

    fn pinned(&self, is: &ActionsPermissions) -> Item<Fix> {
        let (should, instead) = ("required", "`render` pins its own to commits");
        match is.sha_pinning_required {
            _ if !is.enabled => Item::waits(PINNED, "workflows are turned off", should),
            Some(true) => Item::good(PINNED, "required"),
            Some(false) => {
                let how = "require that an action is pinned to a commit";
                Item::differs(PINNED, "not required", should, how, Fix::PinnedActions)
            }
            None => not_offered(PINNED, "GitHub's answer does not have it", should, instead),
        }
    }

    fn forks(&self, answer: Result<ForkApproval, GitHubError>) -> Item<Fix> {
        let should = "approved by a person before their workflows run";
        let instead = "no workflow with secrets runs for a fork: the rendered ones ask";
        match answer {
            Err(error) => not_offered(FORKS, error.not_offered().unwrap_or_default(), should, instead),
            Ok(ForkApproval { approval_policy }) if approval_policy == ALL_OUTSIDE => Item::good(FORKS, should),
            Ok(ForkApproval { approval_policy }) => self.refused(FORKS, should, instead).unwrap_or_else(|| {
                let is = format!("approved for {} only", approval_policy.replace('_', " "));
                Item::differs(FORKS, is, should, "require the approval", Fix::ForkApproval)
            }),
        }
    }

    /// Where GitHub does not take single actions, those of the rendered workflows would be refused: all are allowed again then.
    pub(super) async fn allow_actions(&self, before: &ActionsPermissions) -> Result<(), Failure> {
        let wanted = self.wanted_actions();
        let set = async {
            let selected = ActionsPermissions {
                enabled: true,
                allowed_actions: Some(SELECTED.to_owned()),
                sha_pinning_required: before.sha_pinning_required,
            };
            self.github.put_actions_permissions(&selected).await?;
            self.github.put_selected_actions(&wanted).await?;
            let taken = self.github.selected_actions().await?;
            if wanted.patterns_allowed.iter().all(|pattern| taken.patterns_allowed.contains(pattern)) {
                return Ok(());
            }
            let all = ActionsPermissions { allowed_actions: Some("all".to_owned()), ..selected };
            self.github.put_actions_permissions(&all).await?;
            let (what, response) = ("setting the allowed actions", "single actions are not taken");
            Err(GitHubError::Unprocessable { what: what.to_owned(), response: response.to_owned() })
        };
        self.keep_refusal(ALLOWED, set.await)
    }

    /// Keeps the rest, which another fix may have changed since the inspection.
    pub(super) async fn pin_actions(&self) -> Result<(), Failure> {
        let set = async {
            let now = self.github.actions_permissions().await?;
            let after = ActionsPermissions { sha_pinning_required: Some(true), ..now };
            self.github.put_actions_permissions(&after).await
        };
        set.await.map_err(|error| self.explain(error))
    }

    pub(super) async fn set_workflow_token(&self) -> Result<(), Failure> {
        self.github.put_workflow_token(&wanted_token()).await.map_err(|error| self.explain(error))
    }

    pub(super) async fn set_fork_approval(&self) -> Result<(), Failure> {
        let approval = ForkApproval { approval_policy: ALL_OUTSIDE.to_owned() };
        self.keep_refusal(FORKS, self.github.put_fork_approval(&approval).await)
    }

    /// GitHub's own actions, those of the rendered workflows, and those that deploy.yaml names.
    fn wanted_actions(&self) -> SelectedActions {
        let mut names: BTreeSet<String> = ACTIONS.iter().map(|action| action.repository.to_owned()).collect();
        if let Some(github) = &self.env.config.github {
            names.extend(github.actions.iter().cloned());
            for hooks in github.workflows.hooks.values() {
                hooks.jobs.values().for_each(|job| add_uses(job, &mut names));
                hooks.steps.values().flatten().for_each(|step| add_uses(step, &mut names));
            }
        }
        let is_other = |name: &String| !OF_GITHUB.contains(&name.split('/').next().unwrap_or_default());
        SelectedActions {
            github_owned_allowed: true,
            verified_allowed: false,
            patterns_allowed: names.into_iter().filter(is_other).map(|name| format!("{name}@*")).collect(),
        }
    }
}

fn token_item(is: &WorkflowToken) -> Item<Fix> {
    let should = "reads only, and cannot approve pull requests";
    if *is == wanted_token() {
        return Item::good(TOKEN, should);
    }
    let access = if is.default_workflow_permissions == "read" { "reads only" } else { "writes" };
    let approves = if is.can_approve_pull_request_reviews { "can approve" } else { "cannot approve" };
    let is = format!("{access}, and {approves} pull requests");
    Item::differs(TOKEN, is, should, "take the rest away", Fix::WorkflowToken)
}

fn wanted_token() -> WorkflowToken {
    WorkflowToken { default_workflow_permissions: "read".to_owned(), can_approve_pull_request_reviews: false }
}

/// The actions and workflows of other repositories that a job or a step uses, without their versions.
fn add_uses(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Mapping(map) => {
            for (key, value) in map {
                let name = value.as_str().filter(|_| key == "uses").and_then(|uses| uses.split('@').next());
                // `./…` is the repository's own, and `docker://…` no action.
                match name.filter(|name| !name.starts_with('.') && !name.contains(':')) {
                    Some(name) => names.extend([name.to_owned()]),
                    None => add_uses(value, names),
                }
            }
        }
        Value::Sequence(values) => values.iter().for_each(|value| add_uses(value, names)),
        _ => {}
    }
}
