//! Collects spans: those of the target [`TARGET`], and one for each query that sqlx tells of inside of them.

use std::{
    fmt::Debug,
    time::{Duration, Instant, SystemTime},
};

use serde_json::{Value, json};
use tokio::sync::mpsc;
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{
    filter::{LevelFilter, Targets},
    layer::{Context, Layer},
    registry::LookupSpan,
};
use ulid::Ulid;

use super::TARGET;
use crate::metrics::metrics;

/// The target of sqlx's events, one for each statement that has ended.
const QUERY: &str = "sqlx::query";

/// Kinds of spans, by their numbers in OTLP.
const INTERNAL: u8 = 1;
const SERVER: u8 = 2;
const CLIENT: u8 = 3;
const CONSUMER: u8 = 5;

/// A span that has ended.
#[derive(Debug)]
pub(super) struct Span {
    pub(super) trace: u128,
    pub(super) id: u64,
    pub(super) parent: Option<u64>,
    pub(super) name: String,
    pub(super) kind: u8,
    pub(super) began: SystemTime,
    pub(super) took: Duration,
    /// With values of OTLP in JSON, such as `{"stringValue": "a"}`.
    pub(super) attributes: Vec<(&'static str, Value)>,
    pub(super) error: Option<String>,
}

/// Passes spans on that have ended, or loses them if too many wait.
pub struct TraceLayer {
    ended: mpsc::Sender<Span>,
}

/// A span that has not ended.
struct Open {
    span: Span,
    clock: Instant,
    is_sampled: bool,
}

/// The fields of a span or an event. Those of `otel.` are no attributes.
#[derive(Default)]
struct Fields {
    attributes: Vec<(&'static str, Value)>,
    name: Option<String>,
    kind: Option<u8>,
    trace: Option<u128>,
    parent: Option<u64>,
    is_sampled: Option<bool>,
    error: Option<String>,
    /// Of a query.
    seconds: Option<f64>,
}

impl TraceLayer {
    pub(super) fn new(ended: mpsc::Sender<Span>) -> Self {
        Self { ended }
    }

    /// What the layer has to see.
    pub fn filter() -> Targets {
        Targets::new().with_target(TARGET, LevelFilter::INFO).with_target(QUERY, LevelFilter::DEBUG)
    }

    fn pass_on(&self, span: Span) {
        if self.ended.try_send(span).is_err() {
            metrics().spans("lost", 1);
        }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for TraceLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let parent = span.parent().and_then(|parent| {
            let extensions = parent.extensions();
            extensions.get::<Open>().map(|open| (open.span.trace, open.span.id, open.is_sampled))
        });
        let (trace, parent, is_sampled) = match parent {
            Some((trace, parent, is_sampled)) => (trace, Some(parent), is_sampled),
            None => {
                let trace = fields.trace.unwrap_or_else(|| Ulid::new().0);
                (trace, fields.parent, fields.is_sampled.unwrap_or(true))
            }
        };
        let span_of = new_span(attributes.metadata(), trace, parent, SystemTime::now());
        let mut open = Open { span: span_of, clock: Instant::now(), is_sampled };
        fields.apply(&mut open.span);
        span.extensions_mut().insert(open);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::default();
        values.record(&mut fields);
        if let Some(open) = span.extensions_mut().get_mut::<Open>() {
            fields.apply(&mut open.span);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let Some(parent) = context.event_span(event).filter(|_| event.metadata().target() == QUERY) else { return };
        let (trace, parent) = match parent.extensions().get::<Open>() {
            Some(open) if open.is_sampled => (open.span.trace, open.span.id),
            _ => return,
        };
        let mut fields = Fields::default();
        event.record(&mut fields);
        let took = Duration::try_from_secs_f64(fields.seconds.unwrap_or_default()).unwrap_or_default();
        let mut span = new_span(event.metadata(), trace, Some(parent), SystemTime::now() - took);
        (span.took, span.kind) = (took, CLIENT);
        // The statement has no values, but can be long: its first words name it.
        fields.attributes = vec![("db.system.name", text("postgresql"))];
        fields.apply(&mut span);
        self.pass_on(span);
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let open = context.span(&id).and_then(|span| span.extensions_mut().remove::<Open>());
        if let Some(Open { span, clock, is_sampled: true }) = open {
            self.pass_on(Span { took: clock.elapsed(), ..span });
        }
    }
}

fn new_span(metadata: &Metadata<'_>, trace: u128, parent: Option<u64>, began: SystemTime) -> Span {
    Span {
        trace,
        // Its lower bits are random.
        id: Ulid::new().0 as u64,
        parent,
        name: metadata.name().to_owned(),
        kind: INTERNAL,
        began,
        took: Duration::ZERO,
        attributes: Vec::new(),
        error: None,
    }
}

fn text(value: &str) -> Value {
    json!({ "stringValue": value })
}

impl Fields {
    fn apply(self, span: &mut Span) {
        span.attributes.extend(self.attributes);
        span.name = self.name.unwrap_or_else(|| std::mem::take(&mut span.name));
        span.kind = self.kind.unwrap_or(span.kind);
        span.error = self.error.or(span.error.take());
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            // The latter is sqlx's name of it.
            "otel.name" | "summary" => self.name = Some(value.to_owned()),
            "otel.kind" => {
                self.kind = match value {
                    "server" => Some(SERVER),
                    "client" => Some(CLIENT),
                    "consumer" => Some(CONSUMER),
                    _ => None,
                };
            }
            "otel.error" => self.error = Some(value.to_owned()),
            name => self.attributes.push((name, text(value))),
        }
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        if field.name() == "otel.trace" {
            self.trace = Some(value);
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            "otel.parent" => self.parent = Some(value),
            // A 64-bit number is a text in JSON.
            name => self.attributes.push((name, json!({ "intValue": value.to_string() }))),
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.attributes.push((field.name(), json!({ "intValue": value.to_string() })));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        match field.name() {
            "otel.sampled" => self.is_sampled = Some(value),
            name => self.attributes.push((name, json!({ "boolValue": value }))),
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        match field.name() {
            "elapsed_secs" => self.seconds = Some(value),
            name => self.attributes.push((name, json!({ "doubleValue": value }))),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}
