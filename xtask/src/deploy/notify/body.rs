//! What a message says, in the form that its receiver takes. Every text goes through the redactor first.

use jiff::Timestamp;
use minijinja::value::Serde;
use serde::Serialize;
use serde_json::json;

use crate::config::{Event, Format};
use crate::secrets::Redactor;
use crate::state::history::{Kind, Record};
use crate::tools::platform::variable;

/// In characters. The whole error is in the record.
const LONGEST_ERROR: usize = 400;

/// The words of a chat message. `*` of Slack is `**` of Discord.
const CHAT: &str = "\
{{ bold }}{{ project }} → {{ environment }}{{ bold }}: {{ words }}{% if version %}, `{{ version }}`{% endif %}\
{% if subject %} {{ subject }}{% endif %}{% if seconds %} ({{ seconds }} s){% endif %}\
{% if address %}\n{{ address }}{% endif %}{% if error %}\n> {{ error }}{% endif %}{% if run %}\n{{ run }}{% endif %}";

/// What happened.
#[derive(Clone, Serialize)]
pub struct Message {
    #[serde(skip)]
    event: Event,
    #[serde(skip)]
    at: Timestamp,
    id: String,
    project: String,
    environment: String,
    kind: Kind,
    version: Option<String>,
    commit: Option<String>,
    subject: Option<String>,
    /// The version that served before.
    previous: Option<String>,
    address: Option<String>,
    who: String,
    seconds: Option<i64>,
    error: Option<String>,
    /// The page of the job in GitHub Actions.
    run: Option<String>,
}

impl Message {
    /// What happened to the run with this record.
    pub fn new(
        event: Event,
        at: Timestamp,
        project: &str,
        record: &Record,
        previous: Option<&Record>,
        redactor: &Redactor,
    ) -> Self {
        let clean = |text: &str| redactor.redact(text).into_owned();
        let source = record.source.as_ref();
        let short =
            |text: &String| clean(text).lines().next().unwrap_or_default().chars().take(LONGEST_ERROR).collect();
        Self {
            event,
            at,
            id: record.id.clone(),
            project: project.to_owned(),
            environment: record.environment.clone(),
            kind: record.kind,
            version: source.map(|source| source.version.clone()),
            commit: source.map(|source| source.commit.clone()),
            subject: source.map(|source| short(&source.subject)),
            previous: previous.map(|record| record.version().to_owned()),
            address: record.address.as_deref().filter(|_| event == Event::Live).map(clean),
            who: record.who.clone(),
            seconds: (event != Event::Started).then(|| (at.as_second() - record.started.as_second()).max(0)),
            error: record.error.as_ref().map(short),
            run: run(),
        }
    }

    /// The body of a request.
    pub fn body(&self, format: Format) -> String {
        match format {
            Format::Json => {
                let kind = match self.kind {
                    Kind::Deploy => "deploy",
                    Kind::Rollback => "rollback",
                };
                json!({ "type": format!("{kind}.{}", self.event.name()), "timestamp": self.at.to_string(), "data": self })
            }
            Format::Slack => json!({ "text": self.text("*", slack) }),
            // Without mentions: a commit's subject may say @everyone.
            Format::Discord => json!({ "content": self.text("**", discord), "allowed_mentions": { "parse": [] } }),
        }
        .to_string()
    }

    /// The words of a chat message, with values that the chat takes as text.
    fn text(&self, bold: &str, escape: fn(&str) -> String) -> String {
        let escaped = |text: &Option<String>| text.as_deref().map(escape);
        let words = match (self.kind, self.event) {
            (Kind::Deploy, Event::Started) => "deploy started",
            (Kind::Rollback, Event::Started) => "rollback started",
            (Kind::Deploy, Event::Live) => "the new release is live",
            (Kind::Rollback, Event::Live) => "rolled back, an earlier release is live",
            (_, Event::Unchanged) => "nothing was changed",
            (Kind::Deploy, Event::Failed) => "deploy failed, nothing changed for users",
            (Kind::Rollback, Event::Failed) => "rollback failed, nothing changed for users",
            (_, Event::Restored) => "the release was not healthy, the previous one was restored",
            (_, Event::NotRestored) => "the release was not healthy, and NO release could be restored",
            (Kind::Deploy, Event::Aborted) => "deploy interrupted",
            (Kind::Rollback, Event::Aborted) => "rollback interrupted",
        };
        let values = json!({
            "bold": bold, "words": words, "project": escape(&self.project), "environment": escape(&self.environment),
            // In a code span, where nothing is escaped; it has no backquote.
            "version": self.version, "subject": escaped(&self.subject),
            // As a text: a number of serde_json's is not always one to a template.
            "seconds": self.seconds.filter(|&seconds| seconds > 0).map(|seconds| seconds.to_string()),
            "address": self.address, "error": escaped(&self.error), "run": self.run,
        });
        let text = minijinja::Environment::new().render_str(CHAT, Serde(&values));
        // The template and its values are above.
        text.unwrap_or_else(|error| format!("{words} ({error})"))
    }
}

/// Slack's three control characters: <https://docs.slack.dev/messaging/formatting-message-text#escaping>.
fn slack(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Markdown's marks.
fn discord(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        if matches!(c, '\\' | '*' | '_' | '~' | '`' | '|' | '>' | '[' | ']' | '<' | '#') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// The page of this job, where GitHub Actions runs it.
fn run() -> Option<String> {
    let (server, repository) = (variable("GITHUB_SERVER_URL")?, variable("GITHUB_REPOSITORY")?);
    Some(format!("{server}/{repository}/actions/runs/{}", variable("GITHUB_RUN_ID")?))
}
