//! The section `service` of deploy.yaml.

use super::check;
use super::field::{Field, Table, key};
use super::names::label;
use super::problem::quoted;
use super::variables::variables;
use super::{FirstVisit, Need, Program, Service};

/// What builds a web UI: programs, and their Debian packages.
const NODE: [(&str, &str); 2] = [("node", "nodejs"), ("npm", "npm")];

/// Words of a command that mean something to a shell alone.
const SHELL: [&str; 6] = ["&&", "||", "|", ";", ">", "<"];

const FIRST_VISIT: &str = "{ page: '/register#token={BOOTSTRAP_TOKEN}', open: /first-visit }";
const PROGRAM: &str = "{ name: cc, package: gcc, needed_for: build }";

/// Reads the section. The package has the project's name by default.
pub(super) fn service(table: &mut Table<'_>, project: Option<&str>) -> Option<Service> {
    let image = table.optional(
        key(
            "image",
            "true",
            "Whether a release on this machine is the image of the Dockerfile, run by the Docker engine. It listens \
             at the port of `port_variable`, and keeps what it writes into folders of data.",
        )
        .otherwise("false"),
        |field| Some((field.flag()?, field)),
    );
    let is_image = matches!(image, Some(Some((true, _))));
    let mut image_fits = Some(());
    if is_image {
        for key in ["command", "build", "package", "binary", "files", "schema", "web"] {
            let fits = table.refused(key, "is not used where `image` says what runs", "keep one of the two");
            image_fits = fits.and(image_fits);
        }
    }
    let command = table.optional(
        key(
            "command",
            "[node, server.js]",
            "What runs the service: a program on the PATH or among the files of the release, and its arguments.",
        )
        .otherwise("the program of a cargo package"),
        |field| command(&field),
    );
    // The others are of a cargo package, or of what a command needs.
    let (fits, build) = if matches!(command, Some(None)) {
        let hint = "remove it, or name a `command` that runs what this builds";
        (table.refused("build", "cargo builds the package", hint), Some(None))
    } else {
        let refused = ["package", "binary", "args", "schema"].map(|key| {
            table.refused(key, "is for a cargo package, and `command` says what runs", "keep one of the two")
        });
        let fits = refused.into_iter().collect::<Option<Vec<()>>>().map(drop);
        (
            fits,
            table.optional(
                key(
                    "build",
                    "[npm, ci]",
                    "What makes the files that git ignores, run in the project's folder \
                 before each release. Only with `command`.",
                )
                .otherwise("nothing is built"),
                |field| self::command(&field),
            ),
        )
    };
    let files = table.optional(
        key(
            "files",
            "[server.js]",
            "Files and folders that a release has of its own, and runs in. Names `.env…` are never among them.",
        )
        .otherwise("with `command`: all files that git does not ignore"),
        |field| field.list("server.js", |item| item.path()),
    );
    let package = table.optional(
        key("package", "app", "The cargo package that builds the service. Not with `command`.")
            .otherwise("the project's name"),
        |field| field.text("the name of a cargo package", check::is_cargo_name),
    );
    let binary = table.optional(
        key("binary", "app", "The binary in the package. Not with `command`.").otherwise("the package's name"),
        |field| field.text("the name of a cargo binary", check::is_cargo_name),
    );
    let settings = table.optional(
        key("settings", "app/settings.json", "The file with the service's table of settings. Not with `env`."),
        |field| field.path(),
    );
    let port_variable = table.optional(
        key(
            "port_variable",
            "PORT",
            "The variable that names the port which the service opens. The \
                 toolkit relays HTTP/1.1 and WebSockets to it.",
        )
        .otherwise("the service takes the socket that it is given (LISTEN_FDS)"),
        |field| field.text("the name of an environment variable", check::is_variable),
    );
    let env = match settings {
        Some(Some(_)) => table
            .refused("env", "is for a service without a file of settings", "keep one of `env` and `settings`")
            .map(|()| None),
        _ => table.optional(
            key(
                "env",
                "{ LOG_LEVEL: info }",
                "The service's variables: a value, `{ generate: BYTES }`, `{ secret: \
                 true }`, or nothing where each environment has to say it.",
            ),
            |field| variables(&field, port_variable.as_ref().and_then(|name| name.as_deref())),
        ),
    };
    let schema = match settings {
        Some(None) => {
            table.refused("schema", "has no file to write", "name one: `settings: settings.json`").map(|()| None)
        }
        _ => table.optional(
            key(
                "schema",
                "[config, schema]",
                "The binary's arguments to print its table of settings, which \
                 `render` writes to `settings`. Not with `command`.",
            ),
            |field| field.list("config", |item| item.text("an argument of the service's binary", check::is_argument)),
        ),
    };
    let args = table.optional(
        key("args", "[serve]", "The binary's arguments to serve. Not with `command`.").otherwise("none"),
        |field| field.list("serve", |item| item.text("an argument of the service's binary", check::is_argument)),
    );
    let migrations = table.optional(
        key(
            "migrations",
            "app/migrations",
            "The folder of the service's migrations: numbered files of SQL, which the service runs itself.",
        ),
        |field| field.path(),
    );
    let web = table
        .optional(key("web", "app/web", "The folder of its web UI, with a package.json, which npm builds."), |field| {
            field.path()
        });
    let readiness = table
        .required(key("readiness", "/health", "The path that answers 2xx when the service can serve."), |field| {
            field.text("a URL path that begins with `/`", check::is_url_path)
        });
    let first_visit = table.optional(
        key(
            "first_visit",
            FIRST_VISIT,
            "The page for the person who makes the first account. Its link has a secret setting in the fragment.",
        ),
        |field| field.table(first_visit),
    );
    let programs = table.optional(
        key("programs", "[]", "Programs that build or service need on the machine, with their Debian packages.")
            .otherwise("none; with `web`, Node.js and npm"),
        |field| field.list(PROGRAM, |item| program(&item)),
    );
    if let (Some(Some((true, field))), Some(None)) = (&image, &port_variable) {
        return field.refuse("the container's port is told by a variable", "add `port_variable: PORT`");
    }
    let (package, web) = (package?.or_else(|| project.map(str::to_owned))?, web?);
    let mut programs = programs?.unwrap_or_default();
    fits?;
    image_fits?;
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
        image: image?.is_some_and(|(is_image, _)| is_image),
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
    let page = table.required(
        key("page", "'/register#token={BOOTSTRAP_TOKEN}'", "The page, and the secret setting behind `#NAME=`."),
        |field| field.text("a page and a setting as `/PATH#NAME={SETTING}`", check::is_first_visit),
    );
    let open = table.required(
        key("open", "/first-visit", "The path whose JSON answer has `is_open`, true until the account exists."),
        |field| field.text("a URL path that begins with `/`", check::is_url_path),
    );
    let (page, open) = (page?, open?);
    let (page, secret) = page.trim_end_matches('}').split_once('{')?;
    Some(FirstVisit { page: page.to_owned(), secret: secret.to_owned(), open })
}

fn program(field: &Field<'_>) -> Option<Program> {
    field.table(|table| {
        let name = table.required(key("name", "cc", "The command, as it is found in the PATH."), |field| {
            field.text("the name of a command", check::is_command)
        });
        let package = table.required(key("package", "gcc", "The Debian package that contains it."), |field| {
            field.text("a Debian package", check::is_debian_package)
        });
        let build = table.optional(
            key("needed_for", "build", "What needs it, where that is the build. Either this or `feature`."),
            |field| field.choice(&[("build", ())]),
        );
        let feature = table.optional(
            key("feature", "video", "The feature of the service that is off without it. Either this or `needed_for`."),
            |field| label(&field),
        );
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
