//! The keys of deploy.yaml, each with an example and the check of its value: the whole file, and its image.

use std::collections::BTreeMap;
use std::sync::Arc;

use camino::Utf8PathBuf;

use super::check;
use super::document::Document;
use super::environments::environments;
use super::field::{Field, Table, key};
use super::github::github;
use super::names::{label, refuse_variable};
use super::notify::receivers;
use super::pin;
use super::service::service;
use super::{Config, Environment, Image, Service, Source, Target};

const MAIN_BRANCH: &str = "main";
const DOCKERFILE: &str = "Dockerfile";
const PLATFORM: &str = "linux/amd64";
const PLATFORM_TEXT: &str = "linux/amd64, or this machine's where every environment runs on it";

const SERVICE: &str = "{ package: app, readiness: /health }";
const IMAGE: &str = "{ bases: { RUNTIME_IMAGE: 'debian:bookworm-slim' } }";
const NOTIFY: &str = "[{ url_env: SLACK_URL, format: slack }]";
const ENVIRONMENTS: &str = "{ local: { target: local, port: 3000 } }";

/// The whole file.
pub(super) fn config(root: &Field<'_>, document: &Arc<Document>) -> Option<Config> {
    root.table(|table| {
        let project = table.required(
            key("project", "my-service", "The project's name. It is in the names of what a deploy makes."),
            |field| label(&field),
        );
        let toolkit = table.optional(
            key(
                "toolkit",
                "'>=0.2'",
                "The versions of the toolkit that the project takes. Another one says so and changes nothing.",
            )
            .otherwise("any"),
            |field| field.text_or_number("the versions of the toolkit, such as `>=0.2`", pin::is_requirement),
        );
        let source = table
            .optional(key("source", "{ main_branch: main }", "Where releases come from."), |field| field.table(source));
        let service = table.required(
            key("service", SERVICE, "What runs: how it is built and started, its variables, its readiness."),
            |field| field.table(|table| service(table, project.as_deref())),
        );
        let image = table
            .optional(key("image", IMAGE, "The service as an image, for targets that run containers."), |field| {
                field.table(|table| image(table, project.as_deref()))
            });
        let notify = table.optional(
            key("notify", NOTIFY, "Who is told how deploys and rollbacks begin and end.").otherwise("none"),
            |field| receivers(&field),
        );
        let github = table.optional(
            key(
                "github",
                "{ repository: owner/name }",
                "The repository at GitHub. With it, `render` writes its workflows.",
            ),
            |field| field.table(github),
        );
        let environments = table
            .required(key("environments", ENVIRONMENTS, "Where the service runs, by name. At least one."), |field| {
                environments(&field, document, matches!(github, Some(Some(_))))
            });
        let environments =
            environments.zip(service.as_ref()).map(|(environments, service)| given(environments, service));
        toolkit?;
        let platform = || platform(environments.iter().flat_map(BTreeMap::values), cfg!(target_arch = "aarch64"));
        let image = match image? {
            Some((image, None)) => Some(Image { platform: platform().to_owned(), ..image }),
            Some((image, Some(platform))) => Some(Image { platform: platform.to_owned(), ..image }),
            // The Dockerfile with all defaults is enough where a release is its image.
            None => {
                let is_image = service.as_ref().is_some_and(|service| service.image);
                is_image.then(|| of_dockerfile(project.as_deref(), platform())).flatten()
            }
        };
        Some(Config {
            root: Utf8PathBuf::new(),
            image,
            project: project?,
            source: source?.unwrap_or_else(|| Source { main_branch: MAIN_BRANCH.to_owned() }),
            service: service?,
            notify: notify?.unwrap_or_default(),
            github: github?,
            environments: environments?,
            document: Arc::clone(document),
        })
    })
}

fn source(table: &mut Table<'_>) -> Option<Source> {
    let main_branch = table.optional(
        key("main_branch", MAIN_BRANCH, "The branch of releases. Environments with an image take its commits only.")
            .otherwise(MAIN_BRANCH),
        |field| field.text("a branch of git, without `$`, `{`, `}` and `*?[]+!`", check::is_branch),
    );
    Some(Source { main_branch: main_branch?.unwrap_or_else(|| MAIN_BRANCH.to_owned()) })
}

/// Gives the environments that run the service the values of its variables that they do not set themselves. A stack runs it only if it
/// has settings. What the stack of the media gives is no variable without a value.
fn given(mut environments: BTreeMap<String, Environment>, service: &Service) -> BTreeMap<String, Environment> {
    let values = || service.env.iter().filter_map(|variable| Some((&variable.setting.name, variable.value.as_ref()?)));
    for environment in environments.values_mut().filter(|environment| !matches!(environment.target, Target::Media(_))) {
        if environment.settings.is_none()
            && (matches!(environment.target, Target::Scaleway(_)) || values().next().is_none())
        {
            continue;
        }
        let settings = environment.settings.get_or_insert_default();
        let of_media = environment.media.as_ref().map(|media| &media.settings);
        let is_given = |name: &String| of_media.is_some_and(|of_media| of_media.contains_key(name));
        for (name, value) in values().filter(|(name, _)| !is_given(name)) {
            settings.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }
    environments
}

/// The platform of an image that names none: this machine's, where each environment runs here.
fn platform<'e>(mut environments: impl Iterator<Item = &'e Environment>, is_arm: bool) -> &'static str {
    let runs_here = |environment: &Environment| match &environment.target {
        Target::Local(_) => true,
        Target::Compose(target) => target.proxy.is_some() && target.hosts.is_empty(),
        Target::Scaleway(_) | Target::Easypanel(_) => false,
        // It runs nothing.
        Target::Media(_) => true,
    };
    if is_arm && environments.all(runs_here) { "linux/arm64" } else { PLATFORM }
}

/// The image of a Dockerfile with all defaults.
fn of_dockerfile(project: Option<&str>, platform: &str) -> Option<Image> {
    Some(Image {
        name: project?.to_owned(),
        dockerfile: DOCKERFILE.into(),
        platform: platform.to_owned(),
        bases: BTreeMap::new(),
        secrets: Vec::new(),
        sbom: None,
    })
}

/// The image, and its platform if it names one.
fn image(table: &mut Table<'_>, project: Option<&str>) -> Option<(Image, Option<&'static str>)> {
    let name = table.optional(
        key("name", "my-service", "The image's name below the environment's `registry`.")
            .otherwise("the project's name"),
        |field| field.text("the name of a repository: lower case, parts between `/`", check::is_repository),
    );
    let dockerfile =
        table.optional(key("dockerfile", DOCKERFILE, "The Dockerfile.").otherwise(DOCKERFILE), |field| field.path());
    let platform = table
        .optional(key("platform", PLATFORM, "The platform of the image.").otherwise(PLATFORM_TEXT), |field| {
            field.choice(&[("linux/amd64", "linux/amd64"), ("linux/arm64", "linux/arm64")])
        });
    let bases = table.optional(
        key(
            "bases",
            "{ RUNTIME_IMAGE: 'debian:bookworm-slim' }",
            "The base images by their build arguments. image.lock has their digests.",
        )
        .otherwise("none"),
        |field| {
            field.map("'debian:bookworm-slim'", |name, field| {
                let reference = field.text("an image as `name:tag`, without a digest", check::is_tagged_image);
                if check::is_variable(name) { reference } else { refuse_variable(name, &field, "a build argument") }
            })
        },
    );
    let secrets = table.optional(
        key(
            "secrets",
            "[NPM_TOKEN]",
            "Variables whose values the build may read: their names are the secrets' ids in the Dockerfile.",
        )
        .otherwise("none"),
        |field| field.list("NPM_TOKEN", |item| item.text("the name of an environment variable", check::is_variable)),
    );
    let sbom = table.optional(
        key(
            "sbom",
            "docker/buildkit-syft-scanner:stable-1",
            "The image that lists the software in the service's image. The list is attached to it.",
        )
        .otherwise("no list"),
        |field| field.text("an image as `name:tag`, without a digest", check::is_tagged_image),
    );
    let image = Image {
        sbom: sbom?,
        name: name?.or_else(|| project.map(str::to_owned))?,
        dockerfile: dockerfile?.unwrap_or_else(|| DOCKERFILE.into()),
        platform: String::new(),
        bases: bases?.unwrap_or_default(),
        secrets: secrets?.unwrap_or_default(),
    };
    Some((image, platform?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_without_a_platform_is_for_this_machine_if_nothing_else_runs_it() {
        let platform_of = |environments: &str, is_arm| {
            let yaml = format!(
                "project: shop\nservice: {{ package: app, settings: s.json, readiness: /health }}\nimage: {{}}\nenvironments:\n{environments}"
            );
            let config = Config::parse(&yaml).unwrap();
            platform(config.environments.values(), is_arm)
        };
        let local = "  local: { target: local, port: 3000 }\n";
        let host = "target: compose, port: 80, service: { health: [app] }";
        let proxy = format!("proxy: 'sha256:{}'", "0".repeat(64));
        let here = format!("{local}  here: {{ {host}, {proxy} }}\n");
        let there = format!("{local}  there: {{ {host}, {proxy}, host: 'ssh://there' }}\n");
        let account = format!("{local}  prod: {{ target: scaleway, registry: rg.fr-par.scw.cloud/shop }}\n");
        assert_eq!([local, &here].map(|environments| platform_of(environments, true)), ["linux/arm64"; 2]);
        assert_eq!([&there, &account].map(|environments| platform_of(environments, true)), ["linux/amd64"; 2]);
        assert_eq!(platform_of(&here, false), "linux/amd64");
    }
}
