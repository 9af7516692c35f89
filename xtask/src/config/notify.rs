//! Who is told of a deploy: addresses that get a webhook.

use super::check;
use super::field::{Field, Table, key};

const RECEIVER: &str = "{ url_env: SLACK_URL, format: slack }";

/// An address that is told how deploys and rollbacks begin and end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receiver {
    /// Where it is sent.
    pub url: Address,
    /// The variable with the secret that signs it.
    pub secret_env: Option<String>,
    /// The body's form; `json` by default.
    pub format: Format,
    /// Of what it is told; by default every end that changed something or failed.
    pub events: Vec<Event>,
    /// The environments that it is told of; all by default.
    pub environments: Option<Vec<String>>,
}

/// The address of a [`Receiver`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// In deploy.yaml.
    Plain(String),
    /// The value of this variable. The address of a chat's webhook is a secret: it is all that writing there takes.
    Secret(String),
}

/// The form of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The toolkit's own, for programs.
    Json,
    /// What Slack's incoming webhooks take.
    Slack,
    /// What Discord's webhooks take.
    Discord,
}

/// What happens to a deploy or rollback. Each that has started ends with one of the others, unless its process is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Its source is known.
    Started,
    /// The new release serves.
    Live,
    /// What was asked for serves already.
    Unchanged,
    /// It failed before anything changed for users.
    Failed,
    /// The release was not healthy, and the previous one serves.
    Restored,
    /// The release was not healthy, and no other one serves.
    NotRestored,
    /// A person, a signal or the loss of the lease ended it.
    Aborted,
}

impl Receiver {
    /// The variables with its address and with the key that signs.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        let address = match &self.url {
            Address::Plain(_) => None,
            Address::Secret(name) => Some(name.as_str()),
        };
        address.into_iter().chain(self.secret_env.as_deref())
    }
}

impl Event {
    const ALL: [(&'static str, Self); 7] = [
        ("started", Self::Started),
        ("live", Self::Live),
        ("unchanged", Self::Unchanged),
        ("failed", Self::Failed),
        ("restored", Self::Restored),
        ("not-restored", Self::NotRestored),
        ("aborted", Self::Aborted),
    ];

    const DEFAULT: [Self; 5] = [Self::Live, Self::Failed, Self::Restored, Self::NotRestored, Self::Aborted];

    /// Its name in deploy.yaml and in a body.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, event)| *event == self).map_or("", |(name, _)| name)
    }
}

/// `https`, or `http` of this machine, and a path.
pub fn is_webhook(text: &str) -> bool {
    let host = text.split_once("://").map(|(scheme, rest)| (scheme, rest.split(['/', '?']).next().unwrap_or_default()));
    let Some((scheme, host)) = host else { return false };
    check::is_endpoint(&format!("{scheme}://{host}")) && !text.contains(char::is_whitespace) && !text.contains('#')
}

/// `notify` of deploy.yaml.
pub(super) fn receivers(field: &Field<'_>) -> Option<Vec<Receiver>> {
    field.list(RECEIVER, |item| item.table(|table| receiver(&item, table)))
}

fn receiver(item: &Field<'_>, table: &mut Table<'_>) -> Option<Receiver> {
    let plain = table.optional(
        key(
            "url",
            "https://hooks.example.com/deploys",
            "The address that is told, where it is no secret. Either this or `url_env`.",
        ),
        |field| field.text("an address with https (http for this machine only)", is_webhook),
    );
    let variable = |field: Field<'_>| field.text("the name of an environment variable", check::is_variable);
    let secret = table.optional(
        key(
            "url_env",
            "SLACK_URL",
            "The variable with the address, where that is a secret, as a chat's is. Either this or `url`.",
        ),
        variable,
    );
    let secret_env = table.optional(
        key(
            "secret_env",
            "WEBHOOK_SECRET",
            "The variable with the secret that signs the message. Required with `format: json`.",
        ),
        variable,
    );
    let format = table.optional(
        key("format", "slack", "The form of the message: the toolkit's own, or that of a chat.").otherwise("json"),
        |field| field.choice(&[("json", Format::Json), ("slack", Format::Slack), ("discord", Format::Discord)]),
    );
    let events = table.optional(
        key("events", "[live, failed]", "What is told.").otherwise("live, failed, restored, not-restored, aborted"),
        |field| field.list("live", |item| item.choice(&Event::ALL)),
    );
    let environments = table.optional(
        key("environments", "[production]", "The environments that are told of.").otherwise("all"),
        |field| field.list("production", |item| item.text("the name of an environment", check::is_label)),
    );
    let (secret_env, format) = (secret_env?, format?.unwrap_or(Format::Json));
    let url = match (plain?, secret?) {
        (Some(url), None) => Address::Plain(url),
        (None, Some(name)) => Address::Secret(name),
        _ => return item.refuse("found neither or both of `url` and `url_env`", "write one: url_env: SLACK_URL"),
    };
    if format == Format::Json && secret_env.is_none() {
        return item.refuse(
            "found no `secret_env`, so the receiver could not tell who wrote",
            "name the variable with a secret that both know: secret_env: WEBHOOK_SECRET",
        );
    }
    let events = events?.unwrap_or_else(|| Event::DEFAULT.to_vec());
    Some(Receiver { url, secret_env, format, events, environments: environments? })
}
