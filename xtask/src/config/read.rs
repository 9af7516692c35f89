//! deploy.yaml's keys, each with an example of its value and the check that its value must pass.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use camino::Utf8PathBuf;

use super::check;
use super::document::Document;
use super::field::{Field, Table};
use super::problem::quoted;
use super::{Config, Environment, Gate, Local, Need, Postgres, Program, Service, Source, Target};

const MAIN_BRANCH: &str = "main";
const HOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const GATE: Gate = Gate { timeout: Duration::from_secs(60) };
const KEEP_RELEASES: usize = 5;

const LABEL: &str = "a name of lower-case letters, digits and `-`";
const SERVICE: &str = "{ package: app, settings: app/settings.json, readiness: /health }";
const PROGRAM: &str = "{ name: cc, package: gcc, needed_for: build }";
const ENVIRONMENT: &str = "{ target: local, port: 3000 }";
const ENVIRONMENTS: &str = "{ local: { target: local, port: 3000 } }";

/// The whole file.
pub(super) fn config(root: &Field<'_>, document: &Arc<Document>) -> Option<Config> {
    root.table(|table| {
        let project = table.required("project", "my-service", |field| label(&field));
        let source = table.optional("source", "{ main_branch: main }", |field| field.table(source));
        let service = table.required("service", SERVICE, |field| field.table(service));
        let environments = table.required("environments", ENVIRONMENTS, |field| environments(&field, document));
        Some(Config {
            root: Utf8PathBuf::new(),
            project: project?,
            source: source?.unwrap_or_else(|| Source { main_branch: MAIN_BRANCH.to_owned() }),
            service: service?,
            environments: environments?,
            document: Arc::clone(document),
        })
    })
}

fn source(table: &mut Table<'_>) -> Option<Source> {
    let main_branch =
        table.optional("main_branch", MAIN_BRANCH, |field| field.text("a branch of git", check::is_branch));
    Some(Source { main_branch: main_branch?.unwrap_or_else(|| MAIN_BRANCH.to_owned()) })
}

fn service(table: &mut Table<'_>) -> Option<Service> {
    let package =
        table.required("package", "app", |field| field.text("the name of a cargo package", check::is_cargo_name));
    let binary =
        table.optional("binary", "app", |field| field.text("the name of a cargo binary", check::is_cargo_name));
    let settings = table.required("settings", "app/settings.json", |field| path(&field));
    let schema = table.optional("schema", "[config, schema]", |field| {
        field.list("config", |item| item.text("an argument of the service's binary", check::is_argument))
    });
    let args = table.optional("args", "[serve]", |field| {
        field.list("serve", |item| item.text("an argument of the service's binary", check::is_argument))
    });
    let migrations = table.optional("migrations", "app/migrations", |field| path(&field));
    let web = table.optional("web", "app/web", |field| path(&field));
    let readiness =
        table.required("readiness", "/health", |field| field.text("a URL path, from `/`", check::is_url_path));
    let programs = table.optional("programs", "[]", |field| field.list(PROGRAM, |item| program(&item)));
    let package = package?;
    Some(Service {
        binary: binary?.unwrap_or_else(|| package.clone()),
        package,
        settings: settings?,
        schema: schema?,
        args: args?.unwrap_or_default(),
        migrations: migrations?,
        web: web?,
        readiness: readiness?,
        programs: programs?.unwrap_or_default(),
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
            (None, None) => {
                field.refuse("says not what it is needed for", "add `needed_for: build` or `feature: NAME`")
            }
            (Some(_), Some(_)) => {
                field.refuse("found both `needed_for` and `feature`", "keep `needed_for` if nothing builds without it")
            }
        };
        Some(Program { name: name?, package: package?, need: need? })
    })
}

fn environments(field: &Field<'_>, document: &Arc<Document>) -> Option<BTreeMap<String, Environment>> {
    let environments = field.map(ENVIRONMENT, |name, field| {
        let environment = environment(name, &field, document);
        match label_hint(name) {
            None => environment,
            Some(hint) => field.refuse_key(format!("expected {LABEL}"), hint),
        }
    })?;
    if environments.is_empty() {
        return field.refuse("there is no environment in it", format!("add `local: {ENVIRONMENT}`"));
    }
    Some(environments)
}

fn environment(name: &str, field: &Field<'_>, document: &Arc<Document>) -> Option<Environment> {
    field.table(|table| {
        // The target decides which other keys there are. With one target, what is read next is all of it.
        let target = table.required("target", "local", |field| field.choice(&[("local", local)]));
        let Some(target) = target else {
            table.leave_the_rest();
            return None;
        };
        let target = target(table);
        let settings = table.optional("settings", "{ LOG_LEVEL: info }", |field| field.map("value", setting));
        let gate = table.optional("gate", "{ timeout: 60 }", |field| field.table(gate));
        let keep_releases = table.optional("keep_releases", "5", |field| {
            field.number("a whole number from 1 to 1000", |number| (1..=1000).contains(number))
        });
        Some(Environment {
            name: name.to_owned(),
            target: target?,
            settings: settings?.unwrap_or_default(),
            gate: gate?.unwrap_or(GATE),
            keep_releases: keep_releases?.unwrap_or(KEEP_RELEASES),
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

fn gate(table: &mut Table<'_>) -> Option<Gate> {
    let timeout = table.optional("timeout", "60", |field| {
        field.number("whole seconds, from 1 to 3600", |seconds| (1..=3600).contains(seconds))
    });
    Some(timeout?.map_or(GATE, |seconds| Gate { timeout: Duration::from_secs(seconds) }))
}

fn setting(name: &str, field: Field<'_>) -> Option<String> {
    let value = field.scalar();
    if check::is_variable(name) {
        return value;
    }
    let upper = name.to_uppercase();
    let hint = if check::is_variable(&upper) { format!("write `{upper}`") } else { "remove it".to_owned() };
    field.refuse_key("not the name of an environment variable: expected A–Z, 0–9 and `_`", hint)
}

fn label(field: &Field<'_>) -> Option<String> {
    let text = field.text(LABEL, |_| true)?;
    match label_hint(&text) {
        None => Some(text),
        Some(hint) => field.refuse(format!("found the text {}, expected {LABEL}", quoted(&text)), hint),
    }
}

/// What to write instead of a name that is no label.
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

/// A path inside the project.
fn path(field: &Field<'_>) -> Option<Utf8PathBuf> {
    field.text("a path inside the project, relative to its root and without `..`", check::is_inside).map(Into::into)
}
