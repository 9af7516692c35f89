//! The steps of a run as spans, where the variables of OpenTelemetry name a collector
//! (<https://opentelemetry.io/docs/specs/otel/protocol/exporter/>). They are sent when the run has ended, within a few seconds or
//! not at all.

use std::collections::BTreeMap;
use std::time::SystemTime;

use anyhow::{Context as _, Result, ensure};
use secrecy::ExposeSecret as _;

use crate::clients::otlp::{Collector, Span};
use crate::env::Env;
use crate::report::{Ended, State};
use crate::state::history::{Kind, Record};

/// The span that a run is part of, from `TRACEPARENT` (<https://www.w3.org/TR/trace-context/#traceparent-header>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Parent {
    trace: [u8; 16],
    span: [u8; 8],
    is_sampled: bool,
}

/// Sends the spans of a run that has ended, if a collector is named. What goes wrong is a note.
pub async fn export(env: &Env<'_>, record: &Record, is_ok: bool) {
    match collector(env) {
        Ok(None) => {}
        Ok(Some(collector)) => {
            if let Err(error) = send(env, &collector, record, is_ok).await {
                env.report.note(&format!("{} did not get the spans of this run: {error:#}", collector.host()));
            }
        }
        Err(error) => env.report.note(&format!("no spans are sent to the collector of OpenTelemetry: {error:#}")),
    }
}

async fn send(env: &Env<'_>, collector: &Collector, record: &Record, is_ok: bool) -> Result<()> {
    let parent = value(env, "TRACEPARENT")?.and_then(|text| Parent::read(&text));
    if parent.is_some_and(|parent| !parent.is_sampled) {
        return Ok(());
    }
    let trace = parent.map_or_else(random, |parent| Ok(parent.trace))?;
    let clean = |text: &str| env.report.redactor().redact(text).into_owned();
    let name = match record.kind {
        Kind::Deploy => "deploy",
        Kind::Rollback => "rollback",
    };
    let mut attributes = vec![
        ("deployment.id".to_owned(), record.id.clone()),
        ("deployment.environment.name".to_owned(), record.environment.clone()),
    ];
    if let Some(source) = &record.source {
        attributes.push(("service.version".to_owned(), source.version.clone()));
        attributes.push(("vcs.ref.head.revision".to_owned(), source.commit.clone()));
    }
    let error = record.error.as_deref().map(clean).or_else(|| (!is_ok).then(|| record.outcome.words().to_owned()));
    let root = Span {
        id: random()?,
        parent: parent.map(|parent| parent.span),
        name: name.to_owned(),
        began: record.started.into(),
        ended: SystemTime::now(),
        attributes,
        error,
    };
    let mut spans = Vec::new();
    for ended @ Ended { step, began, took, state } in env.report.ended() {
        spans.push(Span {
            id: random()?,
            parent: Some(root.id),
            name: step.to_string(),
            began,
            ended: began + took,
            attributes: vec![("deployment.step.reused".to_owned(), (state == State::Reused).to_string())],
            error: (!ended.is_ok()).then(|| "failed".to_owned()),
        });
    }
    spans.insert(0, root);
    collector.export(&resource(env)?, trace, &spans).await
}

/// The collector that the variables name: that for traces first. They come from `.env.<environment>`, else from the process's
/// environment; headers are secret.
fn collector(env: &Env<'_>) -> Result<Option<Collector>> {
    let is_off = value(env, "OTEL_SDK_DISABLED")?.is_some_and(|text| text.eq_ignore_ascii_case("true"));
    let url = match value(env, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")? {
        Some(url) => Some(url),
        None => {
            value(env, "OTEL_EXPORTER_OTLP_ENDPOINT")?.map(|base| format!("{}/v1/traces", base.trim_end_matches('/')))
        }
    };
    let Some(url) = url.filter(|_| !is_off) else { return Ok(None) };
    let protocol = match value(env, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")? {
        Some(protocol) => Some(protocol),
        None => value(env, "OTEL_EXPORTER_OTLP_PROTOCOL")?,
    };
    // A receiver of OTLP over HTTP takes both of its encodings.
    ensure!(
        protocol.as_deref().is_none_or(|protocol| protocol.starts_with("http/")),
        "OTEL_EXPORTER_OTLP_PROTOCOL is {}, and only http/json is spoken",
        protocol.unwrap_or_default()
    );
    let headers = match env.secret("OTEL_EXPORTER_OTLP_TRACES_HEADERS")? {
        Some(headers) => Some(headers),
        None => env.secret("OTEL_EXPORTER_OTLP_HEADERS")?,
    };
    let headers = headers.as_ref().map(|headers| headers.expose_secret()).unwrap_or_default();
    Collector::new(&url, headers).map(Some)
}

/// Who sends the spans.
fn resource(env: &Env<'_>) -> Result<Vec<(String, String)>> {
    let mut attributes = BTreeMap::from([
        ("service.name".to_owned(), format!("{}-deploy", env.config.project)),
        ("telemetry.sdk.name".to_owned(), crate::PACKAGE.to_owned()),
    ]);
    let given = value(env, "OTEL_RESOURCE_ATTRIBUTES")?.unwrap_or_default();
    let decoded = |text: &str| percent_encoding::percent_decode_str(text.trim()).decode_utf8_lossy().into_owned();
    let given = given.split(',').filter_map(|pair| pair.split_once('='));
    attributes.extend(given.map(|(key, value)| (decoded(key), decoded(value))));
    attributes.extend(value(env, "OTEL_SERVICE_NAME")?.map(|name| ("service.name".to_owned(), name)));
    Ok(attributes.into_iter().collect())
}

impl Parent {
    /// `00-<trace>-<span>-<flags>`. One that is not valid counts as none, as the standard says.
    fn read(text: &str) -> Option<Self> {
        let mut parts = text.trim().split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let mut parent = Self { trace: [0; 16], span: [0; 8], is_sampled: false };
        hex::decode_to_slice(trace, &mut parent.trace).ok()?;
        hex::decode_to_slice(span, &mut parent.span).ok()?;
        parent.is_sampled = u8::from_str_radix(flags, 16).ok()? & 1 == 1;
        let is_valid = version.len() == 2 && version != "ff" && parent.trace != [0; 16] && parent.span != [0; 8];
        is_valid.then_some(parent)
    }
}

fn value(env: &Env<'_>, name: &str) -> Result<Option<String>> {
    Ok(env.value(name)?.map(|value| value.expose_secret().to_owned()))
}

fn random<const BYTES: usize>() -> Result<[u8; BYTES]> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).context("read random bytes from the operating system")?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parent_is_read_or_left() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let parent = Parent::read(text).unwrap();
        assert_eq!(hex::encode(parent.trace), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!((hex::encode(parent.span).as_str(), parent.is_sampled), ("00f067aa0ba902b7", true));
        assert!(!Parent::read(&text.replace("-01", "-00")).unwrap().is_sampled);
        for wrong in ["", "00-1-2-3", "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"] {
            assert_eq!(Parent::read(wrong), None, "{wrong}");
        }
        assert_eq!(Parent::read(&format!("00-{}-{}-01", "0".repeat(32), "1".repeat(16))), None);
    }
}
