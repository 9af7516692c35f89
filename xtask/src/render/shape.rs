//! The shape of a project, as the templates of workflows see it: what it has decides which jobs there are.

use anyhow::{Context as _, Result};
use camino::Utf8Path;
use serde::Serialize;

use super::toolkit::{Release, Toolkit};
use crate::config::{Config, Environment, Provider, SettingsTable, Stack, StackProgram, Target, Workflow, Workflows};
use crate::fs::project;
use crate::needs::{Ci, Need, Use, needs};
use crate::tools::sqlx::locked_version;

/// The crate of tests and checks of a project that has the toolkit's own.
const CHECKS: &str = "xtask/checks/Cargo.toml";
/// The crate of rehearsals.
const REHEARSAL: &str = "xtask/rehearsal/Cargo.toml";
/// The crate of the toolkit as an installed program.
const CUTOVER: &str = "xtask/cutover/Cargo.toml";
/// The files by which rustup knows the project's version of Rust.
const TOOLCHAIN: [&str; 2] = ["rust-toolchain.toml", "rust-toolchain"];
/// The scripts of a web UI that check it, in the order in which they run.
const WEB_CHECKS: [&str; 5] = ["lint", "check", "typecheck", "test", "test:unit"];
/// The names of the script that tests the served web UI in a browser; the first that there is.
const WEB_BROWSER: [&str; 3] = ["test:browser", "test:e2e", "e2e"];
/// The configuration of its tests in a browser. Without this variable they start what they test, and are no tests of what is deployed.
const BROWSER_CONFIG: (&str, &str) = ("playwright.config.ts", "BASE_URL");
/// The files that say a web UI's version of Node.js.
const NODE_VERSION: [&str; 2] = [".nvmrc", ".node-version"];

/// A project.
#[derive(Serialize)]
pub struct Shape {
    main_branch: String,
    runner: String,
    /// What jobs install before they run the toolkit, where it is no package of the workspace.
    program: Option<Release>,
    /// What installs Rust, where the project or the toolkit is built by it.
    rust: Option<&'static str>,
    schema: bool,
    queries: bool,
    checks: bool,
    /// What runs the tests, where the toolkit knows it.
    test: Option<&'static str>,
    attestations: bool,
    local: Option<Local>,
    web: Option<Web>,
    stacks: Vec<Place>,
    images: Vec<Place>,
    /// Those that a release can be deployed to.
    deployed: Vec<Place>,
    stack_folders: Vec<Folder>,
    rehearsal: bool,
    cutover: bool,
}

#[derive(Serialize)]
struct Local {
    name: String,
    port: u16,
}

#[derive(Serialize)]
struct Web {
    folder: String,
    /// The input of actions/setup-node that chooses the version.
    node: String,
    lock: String,
    locked: bool,
    scripts: Vec<&'static str>,
    browser: Option<&'static str>,
    playwright: bool,
}

/// An environment with a registry.
#[derive(Clone, Serialize)]
struct Place {
    name: String,
    /// The image without tag and digest.
    image: Option<String>,
    /// The region of AWS whose role its jobs take, if they do.
    aws: Option<String>,
    /// Whether its images are packages at GitHub.
    packages: bool,
    /// Whether a release is deployed to it without a request.
    released: bool,
    /// Whether its deploys require a proof of who built the image.
    verify: bool,
    env: Env,
}

/// The variables of a step, by what the step does.
#[derive(Clone, Serialize)]
struct Env {
    /// The stack's plan.
    plan: Vec<Value>,
    /// The plan of a deploy, which builds the image if the registry lacks it.
    prepare: Vec<Value>,
    deploy: Vec<Value>,
    image: Vec<Value>,
    release: Vec<Value>,
    prune: Vec<Value>,
}

#[derive(Clone, Serialize)]
struct Value {
    name: String,
    expression: String,
}

#[derive(Serialize)]
struct Folder {
    path: String,
    ecosystem: &'static str,
}

impl Shape {
    pub fn of(config: &Config, workflows: &Workflows, table: &SettingsTable, toolkit: Toolkit) -> Result<Self> {
        let root = &config.root;
        let has = |path: &str| root.join(path).is_file();
        let with_registry = config.environments.values().filter(|environment| environment.registry().is_some());
        let mut all = Vec::new();
        for environment in with_registry {
            all.push((environment, Place::of(config, environment, workflows, table)?));
        }
        let local = config.environments.values().find_map(|environment| match &environment.target {
            Target::Local(local) => Some(Local { name: environment.name.clone(), port: local.port }),
            Target::Scaleway(_) | Target::Compose(_) | Target::Easypanel(_) | Target::Media(_) => None,
        });
        let mut images: Vec<Place> = Vec::new();
        for (_, place) in all.iter().filter(|_| config.image.is_some()) {
            // Environments with the same registry share their images. One that requires a proof pushes them: it reuses nothing that
            // another machine has built, and what is pushed is attested.
            match images.iter_mut().find(|other| other.image == place.image) {
                None => images.push(place.clone()),
                Some(other) if place.verify && !other.verify => *other = place.clone(),
                Some(_) => {}
            }
        }
        let of_stack = |keep: &dyn Fn(&Environment) -> bool| -> Vec<Place> {
            all.iter().filter(|(environment, _)| keep(environment)).map(|(_, place)| place.clone()).collect()
        };
        let uses_sqlx = locked_version(root)?.is_some();
        let with_cargo = toolkit == Toolkit::InWorkspace || has("Cargo.toml");
        Ok(Self {
            main_branch: quoted(&config.source.main_branch)?,
            runner: workflows.runner.clone(),
            program: toolkit.release(),
            rust: with_cargo.then(|| match TOOLCHAIN.iter().any(|name| has(name)) {
                true => "rustup toolchain install",
                false => {
                    "rustup toolchain install stable --profile minimal --component clippy,rustfmt && rustup default stable"
                }
            }),
            schema: config.service.schema.is_some(),
            queries: config.service.migrations.is_some() && uses_sqlx && local.is_some(),
            checks: has(CHECKS),
            test: with_cargo.then(|| if has(CHECKS) { "cargo xtask test" } else { "cargo test --workspace --locked" }),
            attestations: workflows.attestations,
            local,
            web: config.service.web.as_deref().map(|folder| Web::of(root, folder)).transpose()?,
            stacks: of_stack(&|environment| environment.stack().is_some()),
            images,
            deployed: of_stack(&|environment| config.lacks_for_a_stack(environment).is_none()),
            stack_folders: stack_folders(config),
            rehearsal: has(REHEARSAL),
            cutover: has(CUTOVER),
        })
    }
}

impl Shape {
    /// Whether a workflow has jobs without the user's own.
    pub fn has_jobs(&self, workflow: Workflow) -> bool {
        match workflow {
            Workflow::Ci => true,
            Workflow::Deploy => !self.deployed.is_empty(),
            Workflow::Drift => !self.stacks.is_empty(),
            Workflow::Rehearse => self.rehearsal && !self.deployed.is_empty(),
            Workflow::Prune => !self.images.is_empty(),
            Workflow::Binaries => self.cutover,
        }
    }

    /// Whether the toolkit knows what runs the project's tests.
    pub fn has_tests(&self) -> bool {
        self.test.is_some()
    }

    /// Whether the project has anything that Dependabot updates.
    pub fn has_updates(&self) -> bool {
        self.rust.is_some() || self.has_web() || !self.stack_folders.is_empty()
    }

    /// Whether the service has a web UI.
    pub fn has_web(&self) -> bool {
        self.web.is_some()
    }
}

impl Place {
    fn of(config: &Config, environment: &Environment, workflows: &Workflows, table: &SettingsTable) -> Result<Self> {
        let registry = environment.registry().unwrap_or_default();
        let needs = needs(config, environment, table)?;
        let role = needs.iter().any(|need| need.ci == Ci::Alone);
        let released = workflows.released.as_ref().is_none_or(|names| names.contains(&environment.name));
        let of = |uses: &[Use]| values(&needs, uses);
        let plan = [Use::Settings, Use::Stack, Use::State, Use::Registry];
        let all = [Use::Settings, Use::Stack, Use::State, Use::Registry, Use::Build, Use::Logs, Use::Notify];
        let without_rest = &all[..5];
        let approval = Value { name: "APPROVAL".to_owned(), expression: approval(&environment.name) };
        Ok(Self {
            name: environment.name.clone(),
            image: config.image.as_ref().map(|image| format!("{registry}/{}", image.name)),
            aws: role.then(|| environment.stack().map_or_else(String::new, region)),
            packages: registry.starts_with("ghcr.io/"),
            released,
            verify: environment.verify.is_some(),
            env: Env {
                deploy: [approval].into_iter().chain(of(&all)).collect(),
                plan: of(&plan),
                prepare: of(without_rest),
                image: of(&[Use::Registry, Use::Build]),
                release: of(&[Use::Registry, Use::State]),
                prune: of(&[Use::Registry, Use::State]),
            },
        })
    }
}

impl Web {
    fn of(root: &Utf8Path, folder: &Utf8Path) -> Result<Self> {
        let manifest = folder.join("package.json");
        let text = project::read(root, &manifest).with_context(|| format!("read {manifest}"))?;
        let text = text.with_context(|| format!("`service.web` names {folder}, which has no package.json"))?;
        let manifest: serde_json::Value =
            serde_json::from_slice(&text).with_context(|| format!("{manifest} is not JSON"))?;
        let has_script = |name: &&&'static str| manifest["scripts"].get(**name).is_some();
        let config = folder.join(BROWSER_CONFIG.0);
        let config = project::read(root, &config).with_context(|| format!("read {config}"))?;
        let tests_what_is_deployed =
            config.is_none_or(|config| String::from_utf8_lossy(&config).contains(BROWSER_CONFIG.1));
        let lock = folder.join("package-lock.json");
        let version = NODE_VERSION.iter().map(|name| folder.join(name)).find(|file| root.join(file).is_file());
        Ok(Self {
            node: match version {
                Some(file) => format!("node-version-file: {}", quoted(file.as_str())?),
                None => "node-version: lts/*".to_owned(),
            },
            locked: root.join(&lock).is_file(),
            lock: quoted(lock.as_str())?,
            folder: quoted(folder.as_str())?,
            scripts: WEB_CHECKS.iter().filter(has_script).copied().collect(),
            browser: WEB_BROWSER.iter().find(has_script).copied().filter(|_| tests_what_is_deployed),
            playwright: ["dependencies", "devDependencies"]
                .iter()
                .any(|kind| manifest[*kind].get("@playwright/test").is_some()),
        })
    }
}

/// The region of the state's bucket, which is the one of the account.
fn region(stack: &Stack) -> String {
    match stack.state.provider {
        Provider::Aws => stack.state.region.clone(),
        // The state is elsewhere, and the role's region is that of AWS's global services.
        Provider::Scaleway | Provider::R2 | Provider::Other => "us-east-1".to_owned(),
    }
}

/// The variables for a step that takes these.
fn values(needs: &[Need], uses: &[Use]) -> Vec<Value> {
    let is_taken = |need: &&Need| need.uses.iter().any(|one| uses.contains(one));
    let value = |need: &Need| {
        let name = &need.name;
        let expression = match &need.ci {
            Ci::Given if need.secret => format!("${{{{ secrets.{name} }}}}"),
            Ci::Given => format!("${{{{ vars.{name} }}}}"),
            Ci::Expression(expression) => expression.clone(),
            Ci::Nowhere | Ci::Alone => return None,
        };
        Some(Value { name: name.clone(), expression })
    };
    needs.iter().filter(is_taken).filter_map(value).collect()
}

fn approval(environment: &str) -> String {
    format!("${{{{ needs.plan-{environment}.outputs.approval }}}}")
}

/// The folders of stacks, once each, with what Dependabot calls their kind.
fn stack_folders(config: &Config) -> Vec<Folder> {
    let mut folders: Vec<Folder> = Vec::new();
    for stack in config.environments.values().filter_map(Environment::stack) {
        let ecosystem = match stack.program {
            StackProgram::Tofu => "opentofu",
            StackProgram::Terraform => "terraform",
        };
        if !folders.iter().any(|folder| folder.path == stack.folder) {
            folders.push(Folder { path: stack.folder.to_string(), ecosystem });
        }
    }
    folders
}

/// A text as YAML writes it, with quotes where they are needed.
fn quoted(text: &str) -> Result<String> {
    Ok(serde_yaml::to_string(text).with_context(|| format!("write {text}"))?.trim_end().to_owned())
}
