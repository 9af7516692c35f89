//! From the builder's reports on its graph to events, and what is remembered of a step in case it fails.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use bollard_buildkit_proto::google::protobuf::Timestamp;
use bollard_buildkit_proto::moby::buildkit::v1::{StatusResponse, Vertex, VertexLog, VertexStatus};

use super::{Event, Step};

/// Lines of a failed step's output that its error repeats.
const TAIL: usize = 25;

/// Every step of a build that was heard of.
#[derive(Default)]
pub(super) struct Steps {
    known: HashMap<String, Known>,
}

struct Known {
    step: Step,
    started: Option<Timestamp>,
    completed: Option<Timestamp>,
    error: String,
    tail: VecDeque<String>,
    /// By stream: the beginning of a line whose end is still to come.
    pending: HashMap<i64, Vec<u8>>,
}

impl Steps {
    /// Takes a report and says what is new in it.
    pub fn take(&mut self, report: StatusResponse, on: &mut impl FnMut(Event<'_>)) {
        for vertex in &report.vertexes {
            let number = self.known.len();
            self.known.entry(vertex.digest.clone()).or_insert_with(|| Known::new(number, vertex));
        }
        for log in &report.logs {
            if let Some(known) = self.known.get_mut(&log.vertex) {
                known.log(log, on);
            }
        }
        for status in &report.statuses {
            if let Some(known) = self.known.get(&status.vertex) {
                known.progress(status, on);
            }
        }
        for vertex in report.vertexes {
            if let Some(known) = self.known.get_mut(&vertex.digest) {
                known.update(vertex, on);
            }
        }
    }

    /// The step that `message`, the build's error, is about, with the last lines of its output.
    pub fn failed(&self, message: &str) -> Option<(String, Vec<String>)> {
        let failed = self.known.values().filter(|known| !known.error.is_empty());
        // Steps beside it are cancelled, and one error contains the other when it was passed on.
        let mut failed: Vec<_> = failed.filter(|known| message.contains(&known.error)).collect();
        failed.sort_by_key(|known| (known.error.contains("context canceled"), known.step.number));
        failed.first().map(|known| (known.step.name.clone(), known.tail.iter().cloned().collect()))
    }
}

impl Known {
    fn new(number: usize, vertex: &Vertex) -> Self {
        let name = vertex.name.split_whitespace().collect::<Vec<_>>().join(" ");
        Self {
            step: Step { number, name },
            started: None,
            completed: None,
            error: String::new(),
            tail: VecDeque::new(),
            pending: HashMap::new(),
        }
    }

    /// A step can begin and end more than once: first it is looked whether its inputs are known, then it runs.
    fn update(&mut self, vertex: Vertex, on: &mut impl FnMut(Event<'_>)) {
        if let Some(started) = vertex.started
            && self.started != Some(started)
        {
            self.started = Some(started);
            if !vertex.cached {
                on(Event::Started(&self.step));
            }
        }
        let Some(completed) = vertex.completed else { return };
        if self.completed.replace(completed) == Some(completed) {
            return;
        }
        for (_, rest) in std::mem::take(&mut self.pending) {
            self.line(&rest, on);
        }
        if !vertex.error.is_empty() {
            self.error = vertex.error;
            on(Event::Failed(&self.step, &self.error));
        } else if vertex.cached {
            on(Event::Cached(&self.step));
        } else {
            on(Event::Done(&self.step, self.started.map(|started| between(started, completed)).unwrap_or_default()));
        }
    }

    fn log(&mut self, log: &VertexLog, on: &mut impl FnMut(Event<'_>)) {
        let mut text = self.pending.remove(&log.stream).unwrap_or_default();
        text.extend_from_slice(&log.msg);
        let mut lines = text.split(|byte| matches!(byte, b'\n' | b'\r'));
        let rest = lines.next_back().unwrap_or_default().to_vec();
        for line in lines {
            self.line(line, on);
        }
        self.pending.insert(log.stream, rest);
    }

    fn line(&mut self, line: &[u8], on: &mut impl FnMut(Event<'_>)) {
        if line.is_empty() {
            return;
        }
        let line = String::from_utf8_lossy(line).into_owned();
        on(Event::Log(&self.step, &line));
        self.tail.push_back(line);
        if self.tail.len() > TAIL {
            self.tail.pop_front();
        }
    }

    fn progress(&self, status: &VertexStatus, on: &mut impl FnMut(Event<'_>)) {
        let name = if status.name.is_empty() { &status.id } else { &status.name };
        let total = u64::try_from(status.total).ok().filter(|total| *total > 0);
        on(Event::Progress(&self.step, name, status.current.unsigned_abs(), total));
    }
}

fn between(from: Timestamp, to: Timestamp) -> Duration {
    let nanos = |time: Timestamp| i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanos);
    Duration::from_nanos((nanos(to) - nanos(from)).try_into().unwrap_or_default())
}
