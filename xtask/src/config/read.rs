//! The keys of deploy.yaml, each with an example and the check of its value.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use camino::Utf8PathBuf;

use super::check;
use super::compose::compose;
use super::document::Document;
use super::easypanel::easypanel;
use super::field::{Field, Table, key};
use super::github::github;
use super::media::{MEDIA, media};
use super::notify::receivers;
use super::pin;
use super::problem::quoted;
use super::service::service;
use super::stack::{stack, variable};
use super::verify::{NO_VERIFY, VERIFY, verify};
use super::{Config, Environment, Gate, Image, Local, Postgres, Rehearsal, Scaleway, Service, Source, Target};

/// How the name of the environment at GitHub ends whose jobs plan one of deploy.yaml.
pub const PLAN: &str = "-plan";

const MAIN_BRANCH: &str = "main";
const HOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const KEEP_RELEASES: usize = 5;
const DOCKERFILE: &str = "Dockerfile";
const PLATFORM: &str = "linux/amd64";
const PLATFORM_TEXT: &str = "linux/amd64, or this machine's where every environment runs on it";

const LABEL: &str = "a name of lower-case letters, digits and `-`";
const SERVICE: &str = "{ package: app, readiness: /health }";
const IMAGE: &str = "{ bases: { RUNTIME_IMAGE: 'debian:bookworm-slim' } }";
const REGISTRY: &str = "rg.fr-par.scw.cloud/my-service";
const REHEARSAL: &str = "{ variables: { dns_zone_id: '{zone_id}' } }";
const REHEARSED_HOST: &str = "{ settings: { API_TOKEN: rehearsed } }";
const STACK_OF_MEDIA: &str = "{ stack: infra/aws, settings: { S3_BUCKET: bucket } }";
const NOTIFY: &str = "[{ url_env: SLACK_URL, format: slack }]";
const ENVIRONMENT: &str = "{ target: local, port: 3000 }";
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
                if check::is_variable(name) { reference } else { refuse_variable(name, &field, "build argument") }
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

fn environments(field: &Field<'_>, document: &Arc<Document>, at_github: bool) -> Option<BTreeMap<String, Environment>> {
    let mut named = Vec::new();
    let mut environments = field.map(ENVIRONMENT, |name, field| {
        let environment = environment(name, &field, document);
        let environment = match label_hint(name) {
            None => environment,
            Some(hint) => field.refuse_key(format!("expected {LABEL}"), hint),
        };
        named.push((name.to_owned(), field));
        environment
    })?;
    let ending =
        |end: &'static str| named.iter().filter_map(move |(name, field)| Some((name.strip_suffix(end)?, field)));
    for (of, field) in ending(PLAN).filter(|(of, _)| at_github && environments.contains_key(*of)) {
        field.refuse_key::<()>(
            format!("has the name of the environment at GitHub whose jobs plan {of}"),
            format!("name it otherwise: GitHub has one environment `{of}{PLAN}`, which needs no approval"),
        )?;
    }
    let has_media = |of: &str| environments.get(of).is_some_and(|environment| environment.media.is_some());
    for (of, field) in ending(MEDIA).filter(|(of, _)| has_media(of)) {
        field.refuse_key::<()>(format!("is the name of the stack of {of}'s media"), "name it otherwise")?;
    }
    let of_media: Vec<Environment> = environments.values().filter_map(Environment::of_media).collect();
    environments.extend(of_media.into_iter().map(|environment| (environment.name.clone(), environment)));
    if environments.is_empty() {
        return field.refuse("has no environment", format!("add `local: {ENVIRONMENT}`"));
    }
    Some(environments)
}

fn environment(name: &str, field: &Field<'_>, document: &Arc<Document>) -> Option<Environment> {
    field.table(|table| {
        // The target determines the other keys.
        type Read = fn(&mut Table<'_>) -> Option<Target>;
        let targets: [(&str, (Kind, Read)); 4] = [
            ("local", (Kind::Machine, local)),
            ("scaleway", (Kind::Account, scaleway)),
            ("compose", (Kind::Host, compose)),
            ("easypanel", (Kind::Panel, easypanel)),
        ];
        let target = table.required(
            key(
                "target",
                "local",
                "Where a release runs: this machine, what an OpenTofu stack makes at \
                 Scaleway, a Docker host, or services of an Easypanel.",
            ),
            |field| field.choice(&targets),
        );
        let Some((kind, target)) = target else {
            table.accept_other_keys();
            return None;
        };
        let target = target(table);
        let settings = table.optional(
            key(
                "settings",
                "{ LOG_LEVEL: info }",
                "Values of the service's settings. A stack runs the service only \
                 where this is set; it may be {}.",
            )
            .otherwise("the values of `service.env`"),
            |field| field.map("value", setting),
        );
        let media = match kind {
            Kind::Machine | Kind::Panel => Some(None),
            Kind::Account | Kind::Host => table.optional(
                key(
                    "media",
                    STACK_OF_MEDIA,
                    "A second stack, which keeps the media of the service. Its outputs \
                 become settings.",
                ),
                |field| media(&field, target.as_ref(), settings.as_ref().and_then(Option::as_ref)),
            ),
        };
        let gate = table
            .optional(key("gate", "{ timeout: 60 }", "When a release counts as healthy."), |field| field.table(gate));
        let keep_releases = table.optional(
            key("keep_releases", "5", "How many releases are kept for a rollback, with the one that serves.")
                .otherwise("5"),
            |field| field.number("a whole number from 1 to 1000", |number| (1..=1000).contains(number)),
        );
        let rehearsal = match kind {
            Kind::Account => table.optional(
                key("rehearsal", REHEARSAL, "What stands for the values of an account in a rehearsal."),
                |field| field.table(rehearsal),
            ),
            // Docker Compose is not rehearsed.
            Kind::Host if !matches!(&target, Some(Target::Compose(host)) if host.proxy.is_none()) => table.optional(
                key(
                    "rehearsal",
                    REHEARSED_HOST,
                    "What stands for the values of a host in a rehearsal. Only with `proxy`.",
                ),
                |field| {
                    field
                        .table(|table| Some(Rehearsal { settings: rehearsed_settings(table)?, ..Rehearsal::default() }))
                },
            ),
            Kind::Machine | Kind::Host | Kind::Panel => Some(None),
        };
        let verify = match kind {
            Kind::Account => table.optional(
                key(
                    "verify",
                    VERIFY,
                    "The proof that a deploy requires of the image: that a workflow at \
                 GitHub built it from the commit.",
                )
                .otherwise("no proof"),
                |field| verify(&field),
            ),
            Kind::Host | Kind::Panel => Some(None),
            Kind::Machine => table
                .refused("verify", NO_VERIFY, "remove it, or move it to an environment that runs an image")
                .map(|()| None),
        };
        Some(Environment {
            name: name.to_owned(),
            verify: verify?,
            settings: settings?,
            media: media?,
            gate: gate?.unwrap_or_default().or(target.as_ref()?),
            target: target?,
            keep_releases: keep_releases?.unwrap_or(KEEP_RELEASES),
            rehearsal: rehearsal?.unwrap_or_default(),
            document: Arc::clone(document),
        })
    })
}

fn local(table: &mut Table<'_>) -> Option<Target> {
    let port = table.required(key("port", "3000", "The public port."), |field| {
        field.number("a port number from 1 to 65535", |port: &u16| *port > 0)
    });
    let host = table.optional(
        key("host", "127.0.0.1", "The address that the public port is opened at.").otherwise("127.0.0.1"),
        |field| {
            let text = field.text("an IP address", |text| text.parse::<IpAddr>().is_ok())?;
            text.parse().ok()
        },
    );
    let postgres = table.optional(
        key(
            "postgres",
            "auto",
            "Where the programs of the private PostgreSQL are from: the \
                 machine's own (`found`), downloaded ones (`embedded`), or the first \
                 that works.",
        )
        .otherwise("auto"),
        |field| field.choice(&[("auto", Postgres::Auto), ("found", Postgres::Found), ("embedded", Postgres::Embedded)]),
    );
    Some(Target::Local(Local { port: port?, host: host?.unwrap_or(HOST), postgres: postgres?.unwrap_or_default() }))
}

fn scaleway(table: &mut Table<'_>) -> Option<Target> {
    let registry = table
        .required(key("registry", REGISTRY, "The registry of the image, with the namespace."), |field| {
            field.text("a registry with a namespace, without `https://` and tag", check::is_registry)
        });
    let domain = table.optional(key("domain", "media.example.org", "The public host name."), |field| {
        field.text("a host name of three labels or more, in lower case", check::is_domain)
    });
    let stack = stack(table);
    Some(Target::Scaleway(Scaleway { registry: registry?, domain: domain?, stack: stack?.map(Box::new) }))
}

/// What a target is on.
#[derive(Clone, Copy)]
enum Kind {
    Machine,
    Account,
    Host,
    Panel,
}

/// What deploy.yaml says of the gate, in seconds.
#[derive(Default)]
struct GateSeconds {
    timeout: Option<u64>,
    watch: Option<u64>,
    no_progress: Option<u64>,
}

fn gate(table: &mut Table<'_>) -> Option<GateSeconds> {
    let timeout = table.optional(
        key("timeout", "60", "Seconds that a release may take to become ready.")
            .otherwise("60; 300 on a stack and at Easypanel"),
        |field| field.number("whole seconds from 1 to 3600", |seconds| (1..=3600).contains(seconds)),
    );
    let watch = table.optional(
        key("watch", "60", "Seconds that a release is watched after it has taken over.").otherwise("0; 60 on a stack"),
        |field| field.number("whole seconds from 0 to 3600", |seconds| (0..=3600).contains(seconds)),
    );
    let no_progress = table.optional(
        key(
            "no_progress",
            "120",
            "On a stack and at Easypanel: seconds after which a release is given up whose status and answers stay the same.",
        )
        .otherwise("120"),
        |field| field.number("whole seconds from 1 to 3600", |seconds| (1..=3600).contains(seconds)),
    );
    Some(GateSeconds { timeout: timeout?, watch: watch?, no_progress: no_progress? })
}

impl GateSeconds {
    /// With the defaults of a target.
    fn or(self, target: &Target) -> Gate {
        let (timeout, watch) = match target {
            Target::Local(_) => (60, 0),
            Target::Scaleway(_) => (300, 60),
            // The panel has yet to pull the image.
            Target::Easypanel(_) => (300, 0),
            Target::Compose(_) | Target::Media(_) => (60, 0),
        };
        Gate {
            timeout: Duration::from_secs(self.timeout.unwrap_or(timeout)),
            watch: Duration::from_secs(self.watch.unwrap_or(watch)),
            no_progress: Duration::from_secs(self.no_progress.unwrap_or(120)),
        }
    }
}

fn rehearsal(table: &mut Table<'_>) -> Option<Rehearsal> {
    let variables = table.optional(
        key("variables", "{ dns_zone_id: '{zone_id}' }", "Values of the stack's variables in a rehearsal.")
            .otherwise("none"),
        |field| field.map("value", variable),
    );
    let settings = rehearsed_settings(table);
    Some(Rehearsal { variables: variables?.unwrap_or_default(), settings: settings? })
}

fn rehearsed_settings(table: &mut Table<'_>) -> Option<BTreeMap<String, String>> {
    let settings = table.optional(
        key("settings", "{ API_TOKEN: rehearsed }", "Values of the service's settings in a rehearsal.")
            .otherwise("none"),
        |field| field.map("value", setting),
    );
    Some(settings?.unwrap_or_default())
}

fn setting(name: &str, field: Field<'_>) -> Option<String> {
    let value = field.scalar();
    if check::is_variable(name) {
        return value;
    }
    refuse_variable(name, &field, "environment variable")
}

pub(super) fn refuse_variable<T>(name: &str, field: &Field<'_>, what: &str) -> Option<T> {
    let upper = name.to_uppercase();
    let hint = if check::is_variable(&upper) { format!("write `{upper}`") } else { "remove it".to_owned() };
    field.refuse_key(
        format!("not the name of an {what}: expected A–Z, 0–9 and `_`").replace("an build", "a build"),
        hint,
    )
}

pub(super) fn label(field: &Field<'_>) -> Option<String> {
    let text = field.text(LABEL, |_| true)?;
    match label_hint(&text) {
        None => Some(text),
        Some(hint) => field.refuse(format!("found the text {}, expected {LABEL}", quoted(&text)), hint),
    }
}

/// The hint for a name that is not a label.
fn label_hint(name: &str) -> Option<String> {
    let likely = name.to_lowercase().replace(['_', ' ', '.'], "-");
    if check::is_label(name) {
        None
    } else if check::is_label(&likely) {
        Some(format!("write `{likely}`"))
    } else {
        Some("begin with a letter, end with a letter or digit, at most 63 characters".to_owned())
    }
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
