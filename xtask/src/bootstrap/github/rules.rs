//! The toolkit's two rulesets: for the main branch, and for the tags of builds. Rulesets of other names stay.

use futures_util::future::try_join_all;

use super::{Fix, GitHubRepository, TAGS, not_offered};
use crate::bootstrap::item::Item;
use crate::clients::github::{
    Conditions, GitHubError, ListedRuleset, RefNames, RequiredCheck, RequiredChecks, Rule, Ruleset,
};
use crate::failure::Failure;

const UPGRADE: &str = "no replacement: another plan, or a public repository, has rulesets";

/// A ruleset as it should be.
struct Wanted {
    about: &'static str,
    /// For people.
    should: String,
    ruleset: Ruleset,
}

impl GitHubRepository<'_> {
    /// The items of the rulesets.
    pub(super) async fn rules(&self) -> Result<Vec<Item<Fix>>, Failure> {
        let wanted = [self.main_branch(), build_tags()];
        let listed = match self.github.rulesets().await {
            Ok(listed) => listed,
            Err(GitHubError::NotFound { what }) => return Err(self.explain(GitHubError::NotFound { what })),
            Err(error) => {
                let Some(response) = error.not_offered() else { return Err(self.explain(error)) };
                let item = |wanted: &Wanted| not_offered(wanted.about, response, &wanted.should, UPGRADE);
                return Ok(wanted.iter().map(item).collect());
            }
        };
        try_join_all(wanted.into_iter().map(|wanted| self.rule(wanted, &listed))).await
    }

    async fn rule(&self, wanted: Wanted, listed: &[ListedRuleset]) -> Result<Item<Fix>, Failure> {
        let Wanted { about, should, ruleset } = wanted;
        let Some(found) = listed.iter().find(|listed| listed.name == ruleset.name) else {
            let how = format!("make the ruleset {:?}", ruleset.name);
            return Ok(Item::differs(about, "no ruleset of the toolkit", should, how, Fix::MakeRuleset(ruleset)));
        };
        let is = self.github.ruleset(found).await.map_err(|error| self.explain(error))?;
        let differs = differences(is, &ruleset);
        if differs.is_empty() {
            return Ok(Item::good(about, should));
        }
        let is = format!("the ruleset {:?} has other {}", ruleset.name, differs.join(", "));
        Ok(Item::differs(about, is, should, "set the ruleset", Fix::PutRuleset(found.id, ruleset)))
    }

    /// A pull request is not required: deploy.yaml says nothing of it.
    fn main_branch(&self) -> Wanted {
        let branch = &self.env.config.source.main_branch;
        let checks: Vec<&String> = self.env.config.github.iter().flat_map(|github| &github.required_checks).collect();
        let mut rules = vec![Rule::Deletion, Rule::NonFastForward];
        let mut should = format!("{branch} without deletion and forced pushes");
        if !checks.is_empty() {
            let names: Vec<&str> = checks.iter().map(|name| name.as_str()).collect();
            should.push_str(&format!(", with the checks {}", names.join(", ")));
            rules.push(Rule::RequiredStatusChecks {
                parameters: RequiredChecks {
                    required_status_checks: checks
                        .into_iter()
                        .map(|name| RequiredCheck { context: name.clone() })
                        .collect(),
                    strict_required_status_checks_policy: false,
                    do_not_enforce_on_create: true,
                },
            });
        }
        let ruleset = ruleset("xtask: main branch", "branch", format!("refs/heads/{branch}"), rules);
        Wanted { about: "main branch", should, ruleset }
    }
}

/// Deleting stays allowed: `release prune` deletes old tags.
fn build_tags() -> Wanted {
    let ruleset = ruleset("xtask: build tags", "tag", format!("refs/tags/{TAGS}"), vec![Rule::Update]);
    Wanted { about: "build tags", should: format!("{TAGS} without moves"), ruleset }
}

fn ruleset(name: &str, target: &str, include: String, rules: Vec<Rule>) -> Ruleset {
    Ruleset {
        name: name.to_owned(),
        target: target.to_owned(),
        enforcement: "active".to_owned(),
        bypass_actors: Vec::new(),
        conditions: Some(Conditions { ref_name: RefNames { include: vec![include], exclude: Vec::new() } }),
        rules,
    }
}

/// The parts in which a ruleset differs. The order of rules and checks says nothing.
fn differences(is: Ruleset, should: &Ruleset) -> Vec<&'static str> {
    let sorted = |rules: &[Rule]| {
        let mut rules = rules.to_vec();
        for rule in &mut rules {
            if let Rule::RequiredStatusChecks { parameters } = rule {
                parameters.required_status_checks.sort();
            }
        }
        rules.sort();
        rules
    };
    let parts = [
        ("enforcement", is.enforcement != should.enforcement),
        (
            "names",
            is.target != should.target
                || is.conditions.unwrap_or_default() != should.conditions.clone().unwrap_or_default(),
        ),
        ("rules", sorted(&is.rules) != sorted(&should.rules)),
        ("exceptions", is.bypass_actors != should.bypass_actors),
    ];
    parts.into_iter().filter(|(_, differs)| *differs).map(|(part, _)| part).collect()
}
