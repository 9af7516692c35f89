//! The stack of an environment's media: beside the one of the service, and applied before it. Its outputs become settings of the
//! service. In every command about stacks it is an environment of its own, `<environment>-media`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::check;
use super::environment::{Environment, Rehearsal, Target};
use super::field::{Field, Table, key};
use super::names::refuse_variable;
use super::stack::{Beside, Stack, State, of_folder};

/// How the name of the environment ends that stands for the stack of another one's media.
pub const MEDIA: &str = "-media";

/// What `media` of an environment says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    /// The stack.
    pub stack: Stack,
    /// The output for each setting of the service, with the key of a map behind a dot: `signing_key_ids.first`.
    pub settings: BTreeMap<String, String>,
}

/// A stack that keeps the media of another environment's service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaStack {
    /// That environment.
    pub of: String,
    /// The stack.
    pub stack: Box<Stack>,
}

impl Environment {
    /// The environment that stands for the stack of its media.
    pub(super) fn of_media(&self) -> Option<Self> {
        let stack = Box::new(self.media.as_ref()?.stack.clone());
        Some(Self {
            name: format!("{}{MEDIA}", self.name),
            target: Target::Media(MediaStack { of: self.name.clone(), stack }),
            settings: None,
            media: None,
            gate: self.gate,
            keep_releases: self.keep_releases,
            verify: None,
            rehearsal: Rehearsal::default(),
            document: Arc::clone(&self.document),
        })
    }
}

/// Reads `media` of an environment with this target and these settings.
pub(super) fn media(
    field: &Field<'_>,
    target: Option<&Target>,
    given: Option<&BTreeMap<String, String>>,
) -> Option<Media> {
    // The state is beside the one of the service's stack, unless it says otherwise.
    let beside = match target {
        Some(Target::Scaleway(scaleway)) => {
            scaleway.stack.as_ref().map(|stack| Beside::State(State { key: None, ..stack.state.clone() }))
        }
        Some(Target::Compose(compose)) => compose.proxy.as_ref().map(|_| Beside::Nothing),
        Some(Target::Local(_) | Target::Media(_) | Target::Easypanel(_)) => None,
        None => Some(Beside::Unknown),
    };
    let Some(beside) = beside else {
        let hint = "add `stack`, or the `proxy` of a Docker host; or remove `media`";
        return field.refuse("belongs to a service that the toolkit deploys, and this environment has none", hint);
    };
    let media = field.table(|table| read(table, beside))?;
    let is_given = |name: &&String| given.is_some_and(|given| given.contains_key(*name));
    match media.settings.keys().find(is_given) {
        Some(name) => field.refuse(format!("{name} is in `settings`, too"), "keep the one that says its value"),
        None => Some(media),
    }
}

fn read(table: &mut Table<'_>, beside: Beside) -> Option<Media> {
    let folder =
        table.required(key("stack", "infra/aws", "The folder of the media's OpenTofu stack."), |field| field.path());
    let stack = of_folder(table, folder, beside);
    let settings = table.required(
        key(
            "settings",
            "{ S3_BUCKET: bucket }",
            "The output of the stack for each setting of the service: `NAME`, or `MAP.KEY` for one of a map.",
        ),
        |field| field.map("bucket", output),
    );
    Some(Media { stack: stack?, settings: settings? })
}

/// The output that gives a setting.
fn output(name: &str, field: Field<'_>) -> Option<String> {
    let output = field.text("the name of an output, or of a map and a key in it as `map.key`", is_output);
    if check::is_variable(name) { output } else { refuse_variable(name, &field, "an environment variable") }
}

fn is_output(text: &str) -> bool {
    let (name, key) = text.split_once('.').map_or((text, None), |(name, key)| (name, Some(key)));
    check::is_stack_variable(name) && key.is_none_or(|key| !key.is_empty())
}
