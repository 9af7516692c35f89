//! The keys of deploy.yaml, each with an example and the check of its value.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use camino::Utf8PathBuf;

use super::check;
use super::compose::compose;
use super::document::Document;
use super::field::{Field, Table};
use super::github::github;
use super::media::{MEDIA, media};
use super::notify::receivers;
use super::pin;
use super::problem::quoted;
use super::stack::{stack, variable};
use super::variables::variables;
use super::verify::{NO_VERIFY, VERIFY, verify};
use super::{
    Config, Environment, FirstVisit, Gate, Image, Local, Need, Postgres, Program, Rehearsal, Scaleway, Service, Source,
    Target,
};

/// How the name of the environment at GitHub ends whose jobs plan one of deploy.yaml.
pub const PLAN: &str = "-plan";

const MAIN_BRANCH: &str = "main";
const HOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const KEEP_RELEASES: usize = 5;
const DOCKERFILE: &str = "Dockerfile";
const PLATFORM: &str = "linux/amd64";

/// What builds a web UI: programs, and their Debian packages.
const NODE: [(&str, &str); 2] = [("node", "nodejs"), ("npm", "npm")];

/// Words of a command that mean something to a shell alone.
const SHELL: [&str; 6] = ["&&", "||", "|", ";", ">", "<"];

const LABEL: &str = "a name of lower-case letters, digits and `-`";
const SERVICE: &str = "{ package: app, readiness: /health }";
const FIRST_VISIT: &str = "{ page: '/register#token={BOOTSTRAP_TOKEN}', open: /first-visit }";
const PROGRAM: &str = "{ name: cc, package: gcc, needed_for: build }";
const IMAGE: &str = "{ bases: { RUNTIME_IMAGE: 'debian:bookworm-slim' } }";
const REGISTRY: &str = "rg.fr-par.scw.cloud/my-service";
const REHEARSAL: &str = "{ variables: { dns_zone_id: '{zone_id}' } }";
const STACK_OF_MEDIA: &str = "{ stack: infra/aws, settings: { S3_BUCKET: bucket } }";
const NOTIFY: &str = "[{ url_env: SLACK_URL, format: slack }]";
const ENVIRONMENT: &str = "{ target: local, port: 3000 }";
const ENVIRONMENTS: &str = "{ local: { target: local, port: 3000 } }";

/// The whole file.
pub(super) fn config(root: &Field<'_>, document: &Arc<Document>) -> Option<Config> {
    root.table(|table| {
        let project = table.required("project", "my-service", |field| label(&field));
        let toolkit = table.optional("toolkit", "'>=0.2'", |field| {
            field.text_or_number("the versions of the toolkit, such as `>=0.2`", pin::is_requirement)
        });
        let source = table.optional("source", "{ main_branch: main }", |field| field.table(source));
        let service =
            table.required("service", SERVICE, |field| field.table(|table| service(table, project.as_deref())));
        let image = table.optional("image", IMAGE, |field| field.table(|table| image(table, project.as_deref())));
        let notify = table.optional("notify", NOTIFY, |field| receivers(&field));
        let github = table.optional("github", "{ repository: owner/name }", |field| field.table(github));
        let environments = table.required("environments", ENVIRONMENTS, |field| {
            environments(&field, document, matches!(github, Some(Some(_))))
        });
        let environments =
            environments.zip(service.as_ref()).map(|(environments, service)| given(environments, service));
        toolkit?;
        Some(Config {
            root: Utf8PathBuf::new(),
            project: project?,
            image: image?,
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
    let main_branch = table.optional("main_branch", MAIN_BRANCH, |field| {
        field.text("a branch of git, without `$`, `{`, `}` and `*?[]+!`", check::is_branch)
    });
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

fn service(table: &mut Table<'_>, project: Option<&str>) -> Option<Service> {
    let command = table.optional("command", "[node, server.js]", |field| command(&field));
    // The others are of a cargo package, or of what a command needs.
    let (fits, build) = if matches!(command, Some(None)) {
        let hint = "remove it, or name a `command` that runs what this builds";
        (table.refused("build", "cargo builds the package", hint), Some(None))
    } else {
        let refused = ["package", "binary", "args", "schema"].map(|key| {
            table.refused(key, "is for a cargo package, and `command` says what runs", "keep one of the two")
        });
        let fits = refused.into_iter().collect::<Option<Vec<()>>>().map(drop);
        (fits, table.optional("build", "[npm, ci]", |field| self::command(&field)))
    };
    let files = table.optional("files", "[server.js]", |field| field.list("server.js", |item| item.path()));
    let package =
        table.optional("package", "app", |field| field.text("the name of a cargo package", check::is_cargo_name));
    let binary =
        table.optional("binary", "app", |field| field.text("the name of a cargo binary", check::is_cargo_name));
    let settings = table.optional("settings", "app/settings.json", |field| field.path());
    let port_variable = table.optional("port_variable", "PORT", |field| {
        field.text("the name of an environment variable", check::is_variable)
    });
    let env = match settings {
        Some(Some(_)) => table
            .refused("env", "is for a service without a file of settings", "keep one of `env` and `settings`")
            .map(|()| None),
        _ => {
            table.optional("env", "{ LOG_LEVEL: info }", |field| variables(&field, port_variable.as_ref()?.as_deref()))
        }
    };
    let schema = match settings {
        Some(None) => {
            table.refused("schema", "has no file to write", "name one: `settings: settings.json`").map(|()| None)
        }
        _ => table.optional("schema", "[config, schema]", |field| {
            field.list("config", |item| item.text("an argument of the service's binary", check::is_argument))
        }),
    };
    let args = table.optional("args", "[serve]", |field| {
        field.list("serve", |item| item.text("an argument of the service's binary", check::is_argument))
    });
    let migrations = table.optional("migrations", "app/migrations", |field| field.path());
    let web = table.optional("web", "app/web", |field| field.path());
    let readiness = table
        .required("readiness", "/health", |field| field.text("a URL path that begins with `/`", check::is_url_path));
    let first_visit = table.optional("first_visit", FIRST_VISIT, |field| field.table(first_visit));
    let programs = table.optional("programs", "[]", |field| field.list(PROGRAM, |item| program(&item)));
    let (package, web) = (package?.or_else(|| project.map(str::to_owned))?, web?);
    let mut programs = programs?.unwrap_or_default();
    fits?;
    if web.is_some() {
        for (name, package) in NODE {
            if programs.iter().all(|program| program.name != name) {
                programs.push(Program { name: name.to_owned(), package: package.to_owned(), need: Need::Build });
            }
        }
    }
    Some(Service {
        binary: binary?.unwrap_or_else(|| package.clone()),
        package,
        command: command?,
        build: build?,
        files: files?.unwrap_or_default(),
        settings: settings?,
        env: env?.unwrap_or_default(),
        schema: schema?,
        args: args?.unwrap_or_default(),
        migrations: migrations?,
        web,
        first_visit: first_visit?,
        readiness: readiness?,
        port_variable: port_variable?,
        programs,
    })
}

/// A list of a program and its arguments, or a text that is split into them as a shell does, without anything else that a shell does.
fn command(field: &Field<'_>) -> Option<Vec<String>> {
    let what = "a command: a list of arguments, or a text";
    let words = if field.is_list() {
        field.list("server.js", |item| item.text("an argument of the command", check::is_argument))?
    } else {
        shlex::split(&field.text(what, |text| shlex::split(text).is_some())?)?
    };
    if !field.is_list()
        && let Some(word) = words.iter().find(|word| SHELL.contains(&word.as_str()) || word.starts_with('$'))
    {
        return field.refuse(
            format!("found {}, which only a shell understands", quoted(word)),
            "run a script, or a shell: `[sh, -c, '…']`",
        );
    }
    match words.first() {
        None => field.expected(what),
        Some(program) if check::is_program(program) => Some(words),
        Some(program) => field.refuse(
            format!(
                "found the program {}, expected the name of one on the PATH, or its path in the project",
                quoted(program)
            ),
            "for example `[node, server.js]` or `[target/server, --verbose]`",
        ),
    }
}

fn first_visit(table: &mut Table<'_>) -> Option<FirstVisit> {
    let page = table.required("page", "'/register#token={BOOTSTRAP_TOKEN}'", |field| {
        field.text("a page and a setting as `/PATH#NAME={SETTING}`", check::is_first_visit)
    });
    let open = table
        .required("open", "/first-visit", |field| field.text("a URL path that begins with `/`", check::is_url_path));
    let (page, open) = (page?, open?);
    let (page, secret) = page.trim_end_matches('}').split_once('{')?;
    Some(FirstVisit { page: page.to_owned(), secret: secret.to_owned(), open })
}

fn image(table: &mut Table<'_>, project: Option<&str>) -> Option<Image> {
    let name = table.optional("name", "my-service", |field| {
        field.text("the name of a repository: lower case, parts between `/`", check::is_repository)
    });
    let dockerfile = table.optional("dockerfile", DOCKERFILE, |field| field.path());
    let platform = table.optional("platform", PLATFORM, |field| {
        field.choice(&[("linux/amd64", "linux/amd64"), ("linux/arm64", "linux/arm64")])
    });
    let bases = table.optional("bases", "{ RUNTIME_IMAGE: 'debian:bookworm-slim' }", |field| {
        field.map("'debian:bookworm-slim'", |name, field| {
            let reference = field.text("an image as `name:tag`, without a digest", check::is_tagged_image);
            if check::is_variable(name) { reference } else { refuse_variable(name, &field, "build argument") }
        })
    });
    let secrets = table.optional("secrets", "[NPM_TOKEN]", |field| {
        field.list("NPM_TOKEN", |item| item.text("the name of an environment variable", check::is_variable))
    });
    let sbom = table.optional("sbom", "docker/buildkit-syft-scanner:stable-1", |field| {
        field.text("an image as `name:tag`, without a digest", check::is_tagged_image)
    });
    Some(Image {
        sbom: sbom?,
        name: name?.or_else(|| project.map(str::to_owned))?,
        dockerfile: dockerfile?.unwrap_or_else(|| DOCKERFILE.into()),
        platform: platform?.unwrap_or(PLATFORM).to_owned(),
        bases: bases?.unwrap_or_default(),
        secrets: secrets?.unwrap_or_default(),
    })
}

fn program(field: &Field<'_>) -> Option<Program> {
    field.table(|table| {
        let name = table.required("name", "cc", |field| field.text("the name of a command", check::is_command));
        let package =
            table.required("package", "gcc", |field| field.text("a Debian package", check::is_debian_package));
        let build = table.optional("needed_for", "build", |field| field.choice(&[("build", ())]));
        let feature = table.optional("feature", "video", |field| label(&field));
        let need = match (build?, feature?) {
            (Some(()), None) => Some(Need::Build),
            (None, Some(feature)) => Some(Need::Feature(feature)),
            (None, None) => field.refuse("does not say what needs it", "add `needed_for: build` or `feature: NAME`"),
            (Some(_), Some(_)) => {
                field.refuse("found both `needed_for` and `feature`", "keep `needed_for` if the build needs it")
            }
        };
        Some(Program { name: name?, package: package?, need: need? })
    })
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
        let targets: [(&str, (Kind, Read)); 3] = [
            ("local", (Kind::Machine, local)),
            ("scaleway", (Kind::Account, scaleway)),
            ("compose", (Kind::Host, compose)),
        ];
        let target = table.required("target", "local", |field| field.choice(&targets));
        let Some((kind, target)) = target else {
            table.accept_other_keys();
            return None;
        };
        let target = target(table);
        let settings = table.optional("settings", "{ LOG_LEVEL: info }", |field| field.map("value", setting));
        let media = match kind {
            Kind::Machine => Some(None),
            Kind::Account | Kind::Host => table
                .optional("media", STACK_OF_MEDIA, |field| media(&field, target.as_ref(), settings.as_ref()?.as_ref())),
        };
        let gate = table.optional("gate", "{ timeout: 60 }", |field| field.table(gate));
        let keep_releases = table.optional("keep_releases", "5", |field| {
            field.number("a whole number from 1 to 1000", |number| (1..=1000).contains(number))
        });
        let rehearsal = match kind {
            Kind::Account => table.optional("rehearsal", REHEARSAL, |field| field.table(rehearsal)),
            Kind::Machine | Kind::Host => Some(None),
        };
        let verify = match kind {
            Kind::Account => table.optional("verify", VERIFY, |field| verify(&field)),
            Kind::Host => Some(None),
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
    let port =
        table.required("port", "3000", |field| field.number("a port number from 1 to 65535", |port: &u16| *port > 0));
    let host = table.optional("host", "127.0.0.1", |field| {
        let text = field.text("an IP address", |text| text.parse::<IpAddr>().is_ok())?;
        text.parse().ok()
    });
    let postgres = table.optional("postgres", "auto", |field| {
        field.choice(&[("auto", Postgres::Auto), ("found", Postgres::Found), ("embedded", Postgres::Embedded)])
    });
    Some(Target::Local(Local { port: port?, host: host?.unwrap_or(HOST), postgres: postgres?.unwrap_or_default() }))
}

fn scaleway(table: &mut Table<'_>) -> Option<Target> {
    let registry = table.required("registry", REGISTRY, |field| {
        field.text("a registry with a namespace, without `https://` and tag", check::is_registry)
    });
    let domain = table.optional("domain", "media.example.org", |field| {
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
}

/// What deploy.yaml says of the gate, in seconds.
#[derive(Default)]
struct GateSeconds {
    timeout: Option<u64>,
    watch: Option<u64>,
    no_progress: Option<u64>,
}

fn gate(table: &mut Table<'_>) -> Option<GateSeconds> {
    let timeout = table.optional("timeout", "60", |field| {
        field.number("whole seconds from 1 to 3600", |seconds| (1..=3600).contains(seconds))
    });
    let watch = table.optional("watch", "60", |field| {
        field.number("whole seconds from 0 to 3600", |seconds| (0..=3600).contains(seconds))
    });
    let no_progress = table.optional("no_progress", "120", |field| {
        field.number("whole seconds from 1 to 3600", |seconds| (1..=3600).contains(seconds))
    });
    Some(GateSeconds { timeout: timeout?, watch: watch?, no_progress: no_progress? })
}

impl GateSeconds {
    /// With the defaults of a target.
    fn or(self, target: &Target) -> Gate {
        let (timeout, watch) = match target {
            Target::Local(_) => (60, 0),
            Target::Scaleway(_) => (300, 60),
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
    let variables = table.optional("variables", "{ dns_zone_id: '{zone_id}' }", |field| field.map("value", variable));
    let settings = table.optional("settings", "{ API_TOKEN: rehearsed }", |field| field.map("value", setting));
    Some(Rehearsal { variables: variables?.unwrap_or_default(), settings: settings?.unwrap_or_default() })
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

fn label(field: &Field<'_>) -> Option<String> {
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
