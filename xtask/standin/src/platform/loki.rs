//! Loki's API, as Cockpit has it: `query_range` for the lines of containers and jobs, also of those that have ended.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use hyper::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::answer::{Call, Outcome};
use super::logql::Query;
use super::{Platform, containers};
use crate::backend::container::engine_name;
use crate::backend::container::logs::{self, Labels, Line};
use crate::backend::job::Run;

/// The lines of an answer, unless the request says how many, and the most that it may ask for.
const LIMIT: (usize, usize) = (100, 5000);

/// The time span, unless the request says when it begins.
const SPAN: SignedDuration = SignedDuration::from_hours(1);

/// What a request asks for.
struct Range {
    query: Query,
    /// Nanoseconds. The end is not part of it.
    start: i64,
    end: i64,
    limit: usize,
    /// Whether the oldest lines come first, and count when there are more than the limit.
    forward: bool,
}

pub async fn query_range(platform: &Platform, call: &Call) -> Result<Outcome> {
    let range = match Range::read(call) {
        Ok(range) => range,
        Err(error) => {
            let body = json!({ "status": "error", "errorType": "bad_data", "error": format!("{error:#}") });
            return Ok(Outcome::Failed(StatusCode::BAD_REQUEST, body));
        }
    };
    let mut lines = logs::kept(&platform.services)?;
    if let Some(docker) = &platform.services.docker {
        let resource = platform.server.resource(containers::TYPE)?;
        for values in platform.server.stored(containers::TYPE)? {
            let labels = logs::labels(resource, &values);
            if range.query.selects(|name| labels.get(name)) {
                let name = engine_name(&platform.services, &labels.resource_id);
                lines.extend(logs::lines(docker, &labels, &name, range.start).await?);
            }
        }
        for run in Run::all(&platform.services)?.iter().filter(|run| run.ended.is_none()) {
            let labels = run.labels();
            if range.query.selects(|name| labels.get(name)) {
                lines.extend(run.lines(docker, &platform.services, range.start).await?);
            }
        }
    }
    lines.retain(|line| range.contains(line));
    lines.sort_by_key(|line| line.time);
    if !range.forward {
        lines.reverse();
    }
    lines.truncate(range.limit);
    let mut streams: BTreeMap<Labels, Vec<Value>> = BTreeMap::new();
    for line in lines {
        streams.entry(line.labels.clone()).or_default().push(json!([line.time.to_string(), text(&line)]));
    }
    let streams = streams.iter().map(|(labels, values)| json!({ "stream": labels, "values": values }));
    let result: Vec<_> = streams.collect();
    Ok(Outcome::Done(
        json!({ "status": "success", "data": { "resultType": "streams", "result": result, "stats": {} } }),
    ))
}

/// A line as Cockpit has it: JSON with the message and where it is from.
fn text(line: &Line) -> String {
    json!({ "message": line.message, "resource_instance": line.instance, "stream": line.stream }).to_string()
}

impl Range {
    fn read(call: &Call) -> Result<Self> {
        let query = Query::parse(call.parameter("query").context("the parameter query is missing")?)?;
        let time = |name: &str| call.parameter(name).map(nanoseconds).transpose();
        let now = Timestamp::now();
        // A line of this instant is in the range.
        let end = time("end")?.unwrap_or(now.as_nanosecond().try_into().unwrap_or(i64::MAX - 1) + 1);
        let since = match call.parameter("since") {
            Some(text) => text.parse().with_context(|| format!("{text:?} is not a duration"))?,
            None => SPAN,
        };
        let start = time("start")?.unwrap_or(end.saturating_sub(since.as_nanos().try_into().unwrap_or(i64::MAX)));
        let limit = match call.parameter("limit") {
            Some(text) => text.parse::<usize>().with_context(|| format!("the limit {text:?} is not a number"))?,
            None => LIMIT.0,
        };
        let forward = call.parameter("direction").is_some_and(|direction| direction.eq_ignore_ascii_case("forward"));
        Ok(Self { query, start, end, limit: limit.min(LIMIT.1), forward })
    }

    fn contains(&self, line: &Line) -> bool {
        let in_time = (self.start..self.end).contains(&line.time);
        in_time && self.query.selects(|name| line.labels.get(name)) && self.query.passes(&text(line))
    }
}

/// A time: nanoseconds, seconds with a fraction, or RFC 3339.
fn nanoseconds(text: &str) -> Result<i64> {
    if let Ok(number) = text.parse::<i64>() {
        // As Loki: a number of up to ten digits is seconds.
        return Ok(if text.len() <= 10 { number.saturating_mul(1_000_000_000) } else { number });
    }
    if let Ok(seconds) = text.parse::<f64>() {
        return Ok((seconds * 1e9) as i64);
    }
    let time: Timestamp = text.parse().with_context(|| format!("{text:?} is not a time"))?;
    time.as_nanosecond().try_into().context("the time is out of range")
}
