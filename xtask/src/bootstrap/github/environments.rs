//! The environments at GitHub: `ENV`, whose jobs change what is deployed, and `ENV-plan`, whose jobs need no approval.

use std::collections::BTreeSet;

use futures_util::future::try_join_all;

use super::{Fix, GitHubRepository, TAGS};
use crate::bootstrap::item::Item;
use crate::clients::github::{DeployableRef, GitHubError, Protection, RefKind, RefPolicy, Reviewer, ReviewerKind};
use crate::config::Environment;
use crate::failure::Failure;
use crate::needs::{approved_at_github, planned_at_github};

/// GitHub deploys only what is named.
const NAMED: RefPolicy = RefPolicy { protected_branches: false, custom_branch_policies: true };
const OF_THE_PLAN: &str = "no replacement: another plan, or a public repository, has it";

/// The reviewers of deploy.yaml.
struct Found {
    reviewers: Vec<Reviewer>,
    /// What is wrong with the others.
    wrong: Vec<String>,
}

impl GitHubRepository<'_> {
    /// The items of the environments of every environment with a stack.
    pub(super) async fn environments(&self) -> Result<Vec<Item<Fix>>, Failure> {
        let found = self.reviewers().await?;
        let of = |environment: &Environment| {
            let (approved, planned) = (approved_at_github(&environment.name), planned_at_github(&environment.name));
            let found = &found;
            async move { tokio::try_join!(self.approved(approved, found), self.planned(planned)) }
        };
        let items = try_join_all(self.stacks().map(of)).await?;
        Ok(items.into_iter().flat_map(|(approved, planned)| [approved, planned].concat()).collect())
    }

    /// The environments with a stack.
    pub(super) fn stacks(&self) -> impl Iterator<Item = &Environment> {
        self.env.config.environments.values().filter(|environment| environment.has_own_stack())
    }

    /// `ENV`.
    async fn approved(&self, name: String, found: &Found) -> Result<Vec<Item<Fix>>, Failure> {
        let (about, refs) = (format!("{name} approval"), format!("{name} refs"));
        let Some(is) = self.find_environment(&name).await? else {
            let mut items = vec![self.without(&name)];
            if !self.refused.borrow().contains_key(&name) {
                items.push(Item::waits(about, "not set yet", self.approval(found)));
                items.push(Item::waits(refs, "not set yet", self.allowed_refs()));
            }
            return Ok(items);
        };
        let approval = self.approval_item(&name, about, &is, found);
        let refs = self.refs_item(&name, refs, &is).await?;
        Ok(vec![Item::good(name, "there"), approval, refs])
    }

    /// `ENV-plan`. Its jobs run on pull requests too, so any branch may use it.
    async fn planned(&self, name: String) -> Result<Vec<Item<Fix>>, Failure> {
        let Some(is) = self.find_environment(&name).await? else { return Ok(vec![self.without(&name)]) };
        if is.reviewers.is_empty() {
            return Ok(vec![Item::good(name, "there, without an approval")]);
        }
        let fix = Fix::Reviewers { environment: name.clone(), reviewers: Vec::new() };
        let is = format!("{} has to approve each plan", names(&is.reviewers));
        Ok(vec![Item::differs(name, is, "without an approval", "remove the reviewers", fix)])
    }

    fn without(&self, name: &str) -> Item<Fix> {
        let make = Fix::MakeEnvironment(name.to_owned());
        self.refused(name, "there", OF_THE_PLAN)
            .unwrap_or_else(|| Item::differs(name, "not there", "there", "make it", make))
    }

    fn approval_item(&self, name: &str, about: String, is: &Protection, found: &Found) -> Item<Fix> {
        let should = self.approval(found);
        if !found.wrong.is_empty() {
            let next = "correct `github.reviewers` in deploy.yaml, or give them access to the repository";
            return Item::by_hand(about, found.wrong.join("; "), "people and teams who can read the repository", next);
        }
        if found.reviewers.is_empty() {
            return match is.reviewers.is_empty() {
                true => Item::unknown(
                    about,
                    "no one has to approve a deployment",
                    should,
                    "name who has to, in deploy.yaml: github: { reviewers: [login, org/team] }",
                ),
                false => Item::good(about, format!("by {}, as it was set at GitHub", names(&is.reviewers))),
            };
        }
        let instead = "no one has to approve at GitHub; `approval: required` in deploy.yaml asks for the plan's digest";
        if let Some(refused) = self.refused(&about, &should, instead) {
            return refused;
        }
        let ids = |reviewers: &[Reviewer]| -> BTreeSet<_> { reviewers.iter().map(|one| (one.kind, one.id)).collect() };
        let is_strict = is.prevent_self_review || found.reviewers.len() < 2;
        if ids(&is.reviewers) == ids(&found.reviewers) && is_strict {
            return Item::good(about, should);
        }
        let actual = match (is.reviewers.is_empty(), is_strict) {
            (true, _) => "no one has to approve a deployment".to_owned(),
            (false, true) => format!("by {}", names(&is.reviewers)),
            (false, false) => format!("by {}, of their own deployments too", names(&is.reviewers)),
        };
        let fix = Fix::Reviewers { environment: name.to_owned(), reviewers: found.reviewers.clone() };
        Item::differs(about, actual, should, "set the reviewers", fix)
    }

    async fn refs_item(&self, name: &str, about: String, is: &Protection) -> Result<Item<Fix>, Failure> {
        let should = self.allowed_refs();
        if let Some(refused) = self.refused(&about, &should, OF_THE_PLAN) {
            return Ok(refused);
        }
        let fix = Fix::Refs(name.to_owned());
        let how = "allow only these";
        if is.refs != Some(NAMED) {
            let actual = if is.refs.is_none() { "any branch and tag" } else { "every protected branch" };
            return Ok(Item::differs(about, actual, should, how, fix));
        }
        let allowed = self.github.deployable_refs(name).await.map_err(|error| self.explain(error))?;
        if allowed.len() == 2 && self.wanted_refs().iter().all(|wanted| allowed.iter().any(|one| is_same(one, wanted)))
        {
            return Ok(Item::good(about, should));
        }
        let listed: Vec<String> = allowed
            .iter()
            .map(|one| match one.kind {
                RefKind::Branch => format!("the branch {}", one.name),
                RefKind::Tag => format!("the tag {}", one.name),
            })
            .collect();
        let actual = if listed.is_empty() { "none".to_owned() } else { listed.join(", ") };
        Ok(Item::differs(about, actual, should, how, fix))
    }

    pub(super) async fn make_environment(&self, name: &str) -> Result<(), Failure> {
        self.keep_refusal(name, self.github.put_environment(name, &Protection::default()).await)
    }

    /// Keeps what else the environment has.
    pub(super) async fn set_reviewers(&self, name: &str, reviewers: &[Reviewer]) -> Result<(), Failure> {
        let before = self.find_environment(name).await?.unwrap_or_default();
        let prevent_self_review = reviewers.len() >= 2 || (before.prevent_self_review && !reviewers.is_empty());
        let after = Protection { reviewers: reviewers.to_vec(), prevent_self_review, ..before };
        self.keep_refusal(&format!("{name} approval"), self.github.put_environment(name, &after).await)
    }

    /// What is allowed is added before the rest is removed.
    pub(super) async fn set_refs(&self, name: &str) -> Result<(), Failure> {
        let set = async {
            let before = self.github.environment(name).await?.unwrap_or_default();
            if before.refs != Some(NAMED) {
                self.github.put_environment(name, &Protection { refs: Some(NAMED), ..before }).await?;
            }
            let (allowed, wanted) = (self.github.deployable_refs(name).await?, self.wanted_refs());
            for missing in wanted.iter().filter(|wanted| !allowed.iter().any(|one| is_same(one, wanted))) {
                self.github.add_deployable_ref(name, missing.0, missing.1).await?;
            }
            for other in allowed.iter().filter(|one| !wanted.iter().any(|wanted| is_same(one, wanted))) {
                self.github.remove_deployable_ref(name, other).await?;
            }
            Ok(())
        };
        self.keep_refusal(&format!("{name} refs"), set.await)
    }

    /// Releases are deployed from their tags, and by hand from the main branch.
    fn wanted_refs(&self) -> [(&str, RefKind); 2] {
        [(&self.env.config.source.main_branch, RefKind::Branch), (TAGS, RefKind::Tag)]
    }

    fn allowed_refs(&self) -> String {
        format!("only the branch {} and the tags {TAGS}", self.env.config.source.main_branch)
    }

    fn approval(&self, found: &Found) -> String {
        match &found.reviewers[..] {
            [] => "by a person".to_owned(),
            [one] => format!("by {}", one.name),
            several => format!("by {}, not by the one who deploys", names(several)),
        }
    }

    async fn find_environment(&self, name: &str) -> Result<Option<Protection>, Failure> {
        self.github.environment(name).await.map_err(|error| self.explain(error))
    }

    /// The reviewers of deploy.yaml. Each needs access to the repository, else GitHub does not take it.
    async fn reviewers(&self) -> Result<Found, Failure> {
        let wanted: Vec<&String> = self.env.config.github.iter().flat_map(|github| &github.reviewers).collect();
        let teams = match wanted.iter().any(|name| name.contains('/')) {
            true => self.github.teams().await.map_err(|error| self.explain(error))?,
            false => Vec::new(),
        };
        let found = try_join_all(wanted.into_iter().map(|name| self.reviewer(name, &teams))).await;
        let mut all = Found { reviewers: Vec::new(), wrong: Vec::new() };
        for one in found.map_err(|error| self.explain(error))? {
            match one {
                Ok(reviewer) => all.reviewers.push(reviewer),
                Err(wrong) => all.wrong.push(wrong),
            }
        }
        Ok(all)
    }

    async fn reviewer(&self, name: &str, teams: &[Reviewer]) -> Result<Result<Reviewer, String>, GitHubError> {
        if let Some((owner, slug)) = name.split_once('/') {
            let own = self.github.repository().split('/').next().unwrap_or_default();
            let team = teams.iter().find(|team| team.name.eq_ignore_ascii_case(slug));
            let team = team.filter(|_| owner.eq_ignore_ascii_case(own));
            return Ok(team.cloned().ok_or_else(|| format!("the team {name} has no access to the repository")));
        }
        let access = self.github.access(name).await?;
        Ok(match access.as_ref().and_then(|access| Some((access, access.reviewer()?))) {
            None => Err(format!("GitHub knows no one as {name}")),
            Some((access, _)) if access.permission == "none" => Err(format!("{name} has no access to the repository")),
            Some((_, reviewer)) => Ok(reviewer),
        })
    }
}

fn is_same(one: &DeployableRef, (name, kind): &(&str, RefKind)) -> bool {
    one.name == *name && one.kind == *kind
}

fn names(reviewers: &[Reviewer]) -> String {
    let name = |one: &Reviewer| match one.kind {
        ReviewerKind::User => one.name.clone(),
        ReviewerKind::Team => format!("the team {}", one.name),
    };
    let names: Vec<String> = reviewers.iter().map(name).collect();
    names.join(" or ")
}
