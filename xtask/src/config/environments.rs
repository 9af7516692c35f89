//! The keys of an environment in deploy.yaml.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use super::check;
use super::compose::compose;
use super::document::Document;
use super::easypanel::easypanel;
use super::field::{Field, Table, key};
use super::gate::gate;
use super::media::{MEDIA, media};
use super::names::{LABEL, label_hint, refuse_variable};
use super::stack::{stack, variable};
use super::verify::{NO_VERIFY, VERIFY, verify};
use super::{Environment, Local, Postgres, Rehearsal, Scaleway, Target};

/// How the name of the environment at GitHub ends whose jobs plan one of deploy.yaml.
pub const PLAN: &str = "-plan";

const HOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const KEEP_RELEASES: usize = 5;

const REGISTRY: &str = "rg.fr-par.scw.cloud/my-service";
const REHEARSAL: &str = "{ variables: { dns_zone_id: '{zone_id}' } }";
const REHEARSED_HOST: &str = "{ settings: { API_TOKEN: rehearsed } }";
const STACK_OF_MEDIA: &str = "{ stack: infra/aws, settings: { S3_BUCKET: bucket } }";
const ENVIRONMENT: &str = "{ target: local, port: 3000 }";

/// All of them, with those of the stacks that keep media.
pub(super) fn environments(
    field: &Field<'_>,
    document: &Arc<Document>,
    at_github: bool,
) -> Option<BTreeMap<String, Environment>> {
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

fn rehearsal(table: &mut Table<'_>) -> Option<Rehearsal> {
    let variables = table.optional(
        key(
            "variables",
            "{ dns_zone_id: '{zone_id}' }",
            "Values of the stack's variables in a rehearsal. `{zone_id}` is the id of its zone.",
        )
        .otherwise("none"),
        |field| field.map("value", variable),
    );
    let settings = rehearsed_settings(table);
    Some(Rehearsal { variables: variables?.unwrap_or_default(), settings: settings? })
}

fn rehearsed_settings(table: &mut Table<'_>) -> Option<BTreeMap<String, String>> {
    let settings = table.optional(
        key(
            "settings",
            "{ S3_ENDPOINT: '{aws_endpoint}' }",
            "Values of the service's settings in a rehearsal. `{aws_endpoint}` is where buckets and queues of AWS are then.",
        )
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
    refuse_variable(name, &field, "an environment variable")
}
