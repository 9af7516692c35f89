//! The progress of a build: the instruction that runs, and a line for each that ended.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::clients::buildkit::{Event, Step};
use crate::report::{Ongoing, Part};
use crate::secrets::shortened;

/// Steps of BuildKit itself are shown when they take longer than this.
const SLOW: Duration = Duration::from_secs(2);

/// A step that ends a second time is shown again if it took this much longer.
const SHOW_AGAIN: Duration = Duration::from_secs(1);

/// Characters of an instruction that are shown. The error of a failed step has all of it.
const SHOWN: usize = 58;

/// Shows a build's events in a step of the report.
pub struct Progress<'a> {
    ongoing: &'a Ongoing,
    running: Vec<(Step, Instant)>,
    /// How long the steps took that ended, by number. BuildKit runs a step twice when it first checks whether the step's
    /// inputs are known.
    ended: HashMap<usize, Duration>,
    counts: Counts,
}

/// How many instructions of the Dockerfile ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// That ran.
    pub ran: usize,
    /// That the layer cache had.
    pub cached: usize,
}

impl<'a> Progress<'a> {
    /// Before the first event.
    pub fn new(ongoing: &'a Ongoing) -> Self {
        Self { ongoing, running: Vec::new(), ended: HashMap::new(), counts: Counts::default() }
    }

    /// How many instructions ended so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Shows an event.
    pub fn show(&mut self, event: Event<'_>) {
        match event {
            Event::Started(step) => {
                self.running.retain(|(running, _)| running.number != step.number);
                self.running.push((step.clone(), Instant::now()));
            }
            Event::Cached(step) => self.end(step, Duration::ZERO, Part::Cached),
            Event::Done(step, took) => self.end(step, took, Part::Done(took)),
            Event::Failed(step, error) => {
                self.running.retain(|(running, _)| running.number != step.number);
                // The build's error shows a failed instruction. Any other step is optional: for example, the import of a layer
                // cache that does not exist yet.
                if !is_instruction(step) {
                    // The error's last part is the reason; the parts before it repeat names.
                    let reason = error.lines().next().unwrap_or_default().rsplit(": ").next().unwrap_or_default();
                    self.ongoing.part(&format!("{}: {reason}", step.name), Part::Without);
                }
            }
            Event::Log(_, line) => self.ongoing.output(line),
            Event::Progress(step, what, current, Some(total)) if total > 1 << 20 => {
                let megabytes = |bytes: u64| bytes as f64 / 1e6;
                let text = format!("{}: {what} {:.0} of {:.0} MB", step.name, megabytes(current), megabytes(total));
                return self.ongoing.progress(&shortened(&text, SHOWN));
            }
            Event::Progress(..) => {}
        }
        // Instructions of the Dockerfile first, and of these the one that began last.
        if let Some((step, began)) = self.running.iter().max_by_key(|(step, began)| (is_instruction(step), *began)) {
            let others = match self.running.iter().filter(|(step, _)| is_instruction(step)).count() {
                0 | 1 => String::new(),
                count => format!(" (and {} more)", count - 1),
            };
            self.ongoing.progress_since(&format!("{}{others}", shortened(&step.name, SHOWN)), *began);
        }
    }

    fn end(&mut self, step: &Step, took: Duration, part: Part) {
        self.running.retain(|(running, _)| running.number != step.number);
        if !is_instruction(step) && took < SLOW {
            return;
        }
        let before = self.ended.insert(step.number, took);
        if before.is_some_and(|before| took < before + SHOW_AGAIN) {
            return;
        }
        if is_instruction(step) && before.is_none() {
            match part {
                Part::Cached => self.counts.cached += 1,
                Part::Done(_) | Part::Without => self.counts.ran += 1,
            }
        }
        self.ongoing.part(&shortened(&step.name, SHOWN), part);
    }
}

/// Whether a step is an instruction of the Dockerfile: `[2/5] …` or `[stage 2/5] …`.
fn is_instruction(step: &Step) -> bool {
    let number = step.name.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    number.and_then(|(inside, _)| inside.rsplit(' ').next()).is_some_and(|number| number.contains('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Audience, Report, Step as ReportStep};
    use crate::secrets::Redactor;

    #[test]
    fn instructions_of_the_dockerfile_are_told_from_buildkits_own_steps() {
        let step = |name: &str| Step { number: 0, name: name.to_owned() };
        for instruction in ["[2/5] RUN true", "[deps 3/5] RUN cargo build", "[linux/amd64 runtime 1/7] FROM debian"] {
            assert!(is_instruction(&step(instruction)), "{instruction}");
        }
        for not in [
            "[internal] load remote build context",
            "[auth] a/b:pull token for c",
            "exporting to image",
            "copy /context /",
        ] {
            assert!(!is_instruction(&step(not)), "{not}");
        }
    }

    #[test]
    fn a_step_that_runs_twice_counts_once() {
        let report = Report::new(Audience::Plain, false, Redactor::default());
        let ongoing = report.begin(ReportStep::Build);
        let mut progress = Progress::new(&ongoing);
        let step = |number: usize, name: &str| Step { number, name: name.to_owned() };
        let (copy, run, context) = (step(1, "[1/2] COPY a b"), step(2, "[2/2] RUN true"), step(0, "copy /context /"));
        for event in [
            Event::Started(&context),
            Event::Done(&context, Duration::from_millis(1)),
            Event::Started(&copy),
            Event::Done(&copy, Duration::from_millis(1)),
            Event::Started(&copy),
            Event::Done(&copy, Duration::from_millis(20)),
            Event::Cached(&run),
        ] {
            progress.show(event);
        }
        assert_eq!(progress.counts(), Counts { ran: 1, cached: 1 });
        ongoing.finish("done");
    }
}
