//! Turns the builder's status updates into events, and keeps the last lines of each step for an error.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use bollard_buildkit_proto::google::protobuf::Timestamp;
use bollard_buildkit_proto::moby::buildkit::v1::{StatusResponse, Vertex, VertexLog, VertexStatus};

use super::{Event, Step};

/// Lines of a failed step's output in its error.
const TAIL: usize = 25;

/// Bytes after which a line ends. A program of the build may print one that never does.
const LONGEST_LINE: usize = 64 << 10;

/// The steps of a build that the status updates named.
#[derive(Default)]
pub(super) struct Steps {
    by_digest: HashMap<String, StepState>,
}

struct StepState {
    step: Step,
    started: Option<Timestamp>,
    completed: Option<Timestamp>,
    error: String,
    tail: VecDeque<String>,
    /// By stream: the incomplete last line.
    pending: HashMap<i64, Vec<u8>>,
}

impl Steps {
    /// Applies a status update, and reports its events.
    pub fn update(&mut self, report: StatusResponse, on_event: &mut impl FnMut(Event<'_>)) {
        for vertex in &report.vertexes {
            let number = self.by_digest.len();
            self.by_digest.entry(vertex.digest.clone()).or_insert_with(|| StepState::new(number, vertex));
        }
        for log in &report.logs {
            if let Some(state) = self.by_digest.get_mut(&log.vertex) {
                state.log(log, on_event);
            }
        }
        for status in &report.statuses {
            if let Some(state) = self.by_digest.get(&status.vertex) {
                state.progress(status, on_event);
            }
        }
        for vertex in report.vertexes {
            if let Some(state) = self.by_digest.get_mut(&vertex.digest) {
                state.update(vertex, on_event);
            }
        }
    }

    /// The step that failed with `message`, the build's error, and the last lines of its output.
    pub fn failed(&self, message: &str) -> Option<(String, Vec<String>)> {
        let failed = self.by_digest.values().filter(|state| !state.error.is_empty());
        // Concurrent steps are cancelled, and a step that depends on a failed one has an error that contains the first.
        let mut failed: Vec<_> = failed.filter(|state| message.contains(&state.error)).collect();
        failed.sort_by_key(|state| (state.error.contains("context canceled"), state.step.number));
        failed.first().map(|state| (state.step.name.clone(), state.tail.iter().cloned().collect()))
    }
}

impl StepState {
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

    /// A step can begin and end twice: BuildKit first checks whether the step's inputs are known, then runs it.
    fn update(&mut self, vertex: Vertex, on_event: &mut impl FnMut(Event<'_>)) {
        if let Some(started) = vertex.started
            && self.started != Some(started)
        {
            self.started = Some(started);
            if !vertex.cached {
                on_event(Event::Started(&self.step));
            }
        }
        let Some(completed) = vertex.completed else { return };
        if self.completed.replace(completed) == Some(completed) {
            return;
        }
        for (_, rest) in std::mem::take(&mut self.pending) {
            self.line(&rest, on_event);
        }
        if !vertex.error.is_empty() {
            self.error = vertex.error;
            on_event(Event::Failed(&self.step, &self.error));
        } else if vertex.cached {
            on_event(Event::Cached(&self.step));
        } else {
            on_event(Event::Done(
                &self.step,
                self.started.map(|started| between(started, completed)).unwrap_or_default(),
            ));
        }
    }

    fn log(&mut self, log: &VertexLog, on_event: &mut impl FnMut(Event<'_>)) {
        let mut text = self.pending.remove(&log.stream).unwrap_or_default();
        text.extend_from_slice(&log.msg);
        let mut lines = text.split(|byte| matches!(byte, b'\n' | b'\r'));
        let rest = lines.next_back().unwrap_or_default().to_vec();
        for line in lines {
            self.line(line, on_event);
        }
        if rest.len() < LONGEST_LINE {
            self.pending.insert(log.stream, rest);
        } else {
            self.line(&rest, on_event);
        }
    }

    fn line(&mut self, line: &[u8], on_event: &mut impl FnMut(Event<'_>)) {
        if line.is_empty() {
            return;
        }
        let line = String::from_utf8_lossy(line).into_owned();
        on_event(Event::Log(&self.step, &line));
        self.tail.push_back(line);
        if self.tail.len() > TAIL {
            self.tail.pop_front();
        }
    }

    fn progress(&self, status: &VertexStatus, on_event: &mut impl FnMut(Event<'_>)) {
        let name = if status.name.is_empty() { &status.id } else { &status.name };
        let total = u64::try_from(status.total).ok().filter(|total| *total > 0);
        on_event(Event::Progress(&self.step, name, status.current.unsigned_abs(), total));
    }
}

fn between(from: Timestamp, to: Timestamp) -> Duration {
    let nanos = |time: Timestamp| i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanos);
    Duration::from_nanos((nanos(to) - nanos(from)).try_into().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_without_an_end_is_cut() {
        let vertex = Vertex { digest: "a".to_owned(), name: "[1/1] RUN yes".to_owned(), ..Vertex::default() };
        let log = |msg: &[u8]| VertexLog { vertex: "a".to_owned(), msg: msg.to_vec(), ..VertexLog::default() };
        let report = |vertexes, logs| StatusResponse { vertexes, logs, ..StatusResponse::default() };
        let (mut steps, mut lines) = (Steps::default(), Vec::new());
        let mut see = |event: Event<'_>| {
            if let Event::Log(_, line) = event {
                lines.push(line.len());
            }
        };
        steps.update(report(vec![vertex], Vec::new()), &mut see);
        for _ in 0..200 {
            steps.update(report(Vec::new(), vec![log(&b"y".repeat(1000))]), &mut see);
        }
        steps.update(report(Vec::new(), vec![log(b"\nend\n")]), &mut see);
        assert_eq!(lines, [66_000, 66_000, 66_000, 2_000, 3]);
    }
}
