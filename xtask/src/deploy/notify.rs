//! Who is told how a run begins and ends (`notify` in deploy.yaml). Messages are sent beside the run: none delays it, and none
//! that gets lost fails it. At its end the run waits for them a few seconds at most.

mod body;

use std::cell::RefCell;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use self::body::Message;
use crate::clients::webhook::Webhook;
use crate::config::{Address, Event, Format, Receiver, is_webhook};
use crate::env::Env;
use crate::report::Report;
use crate::state::history::{Outcome, Record};

/// How long the end of a run waits for messages that are under way.
const WAIT: Duration = Duration::from_secs(4);

/// The receivers of one run.
pub struct Notifier {
    project: String,
    report: Report,
    queues: RefCell<Vec<Queue>>,
    /// When the run has started, if that was told. The end is told only then.
    started: RefCell<Option<Timestamp>>,
}

/// One receiver, which gets its messages one after another.
struct Queue {
    host: String,
    format: Format,
    events: Vec<Event>,
    messages: UnboundedSender<Sent>,
    /// Returns what was not delivered.
    task: JoinHandle<Vec<String>>,
}

struct Sent {
    event: Event,
    id: String,
    at: Timestamp,
    body: String,
}

impl Notifier {
    /// The receivers that are told of the environment. One whose address or secret is missing is named and not told.
    pub fn of(env: &Env<'_>) -> Self {
        let mut queues = Vec::new();
        for receiver in env.config.notify.iter().filter(|receiver| concerns(receiver, env.name())) {
            match webhook(env, receiver) {
                Ok(webhook) => queues.push(Queue::new(webhook, receiver)),
                Err(error) => env.report.note(&format!("a receiver of `notify` in deploy.yaml is not told: {error:#}")),
            }
        }
        let (project, report) = (env.config.project.clone(), env.report.clone());
        Self { project, report, queues: RefCell::new(queues), started: RefCell::new(None) }
    }

    /// Tells that a run has begun, once its source is known.
    pub fn started(&self, record: &Record) {
        self.started.replace(Some(record.started));
        self.tell(Event::Started, record, None);
    }

    /// Tells how the run ended, and waits until everything is sent, for a few seconds at most. `is_unchanged`: it leaves no record.
    pub async fn ended(&self, record: &Record, previous: Option<&Record>, is_unchanged: bool) {
        let queues = if self.started.take().is_some() {
            let event = if is_unchanged { Event::Unchanged } else { Event::of(record.outcome) };
            self.tell(event, record, previous);
            self.queues.take()
        } else {
            return;
        };
        let ends = queues.into_iter().map(|Queue { host, messages, mut task, .. }| async move {
            // The task ends when it has sent what was queued.
            drop(messages);
            match timeout(WAIT, &mut task).await {
                Ok(Ok(lost)) => (host, lost),
                Ok(Err(error)) => (host, vec![format!("its messages were given up ({error})")]),
                Err(_) => {
                    task.abort();
                    (host, vec![format!("not delivered within {} s", WAIT.as_secs())])
                }
            }
        });
        for (host, lost) in futures_util::future::join_all(ends).await {
            for why in lost {
                self.report.note(&format!("{host} was not told of this: {why}"));
            }
        }
    }

    fn tell(&self, event: Event, record: &Record, previous: Option<&Record>) {
        let at = Timestamp::now();
        let message = Message::new(event, at, &self.project, record, previous, self.report.redactor());
        for queue in self.queues.borrow().iter().filter(|queue| queue.events.contains(&event)) {
            let (id, body) = (format!("msg_{}_{}", record.id, event.name()), message.body(queue.format));
            // A task that has ended has failed, which is said at the end.
            queue.messages.send(Sent { event, id, at, body }).ok();
        }
    }
}

impl Event {
    fn of(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Live => Self::Live,
            Outcome::Failed => Self::Failed,
            Outcome::Restored => Self::Restored,
            Outcome::NotRestored => Self::NotRestored,
            Outcome::Aborted => Self::Aborted,
        }
    }
}

impl Queue {
    fn new(webhook: Webhook, receiver: &Receiver) -> Self {
        let (messages, mut queue) = unbounded_channel::<Sent>();
        let (host, format, events) = (webhook.host().to_owned(), receiver.format, receiver.events.clone());
        let task = tokio::spawn(async move {
            let mut lost = Vec::new();
            while let Some(Sent { event, id, at, body }) = queue.recv().await {
                if let Err(error) = webhook.post(&id, at.as_second(), body).await {
                    lost.push(format!("{} ({error:#})", event.name()));
                }
            }
            lost
        });
        Self { host, format, events, messages, task }
    }
}

fn concerns(receiver: &Receiver, environment: &str) -> bool {
    receiver.environments.as_ref().is_none_or(|names| names.iter().any(|name| name == environment))
}

/// The receiver's address and key, from deploy.yaml, `.env.<environment>` or the process's environment.
fn webhook(env: &Env<'_>, receiver: &Receiver) -> Result<Webhook> {
    let value = |name: &str| {
        let value = env.secret(name)?;
        value.with_context(|| format!("{name} is not set; put it into .env.{} or into the environment", env.name()))
    };
    let url = match &receiver.url {
        Address::Plain(url) => SecretString::from(url.as_str()),
        Address::Secret(name) => {
            let url = value(name)?;
            ensure!(is_webhook(url.expose_secret()), "the value of {name} is no address with https");
            url
        }
    };
    let secret = receiver.secret_env.as_deref().map(value).transpose()?;
    Webhook::new(&url, secret.as_ref())
}

#[cfg(test)]
mod tests;
