//! What people see of a build: the step that runs, and each that has ended.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::clients::buildkit::{Event, Step};
use crate::report::{Ongoing, Part};

/// What the builder does for itself is shown when it takes longer than this.
const SLOW: Duration = Duration::from_secs(2);

/// A step that ends a second time is told again if it took so much longer.
const AGAIN: Duration = Duration::from_secs(1);

/// Characters of an instruction that are shown while it goes well; the error of one that fails has all of it.
const SHOWN: usize = 58;

/// Tells a build's events within a step of a story.
pub struct Progress<'a> {
    ongoing: &'a Ongoing,
    running: Vec<(Step, Instant)>,
    /// By number: the time of a step that ended. One step can run more than once, first to find out whether it has to run
    /// at all.
    told: HashMap<usize, Duration>,
    counts: Counts,
}

/// How many of the Dockerfile's steps ended, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Steps that ran.
    pub ran: usize,
    /// Steps that were known from before.
    pub cached: usize,
}

impl<'a> Progress<'a> {
    /// Nothing has happened yet.
    pub fn new(ongoing: &'a Ongoing) -> Self {
        Self { ongoing, running: Vec::new(), told: HashMap::new(), counts: Counts::default() }
    }

    /// How many steps ended so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Tells what happened, if it is worth it.
    pub fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Started(step) => {
                self.running.retain(|(running, _)| running.number != step.number);
                self.running.push((step.clone(), Instant::now()));
            }
            Event::Cached(step) => self.ended(step, Duration::ZERO, Part::Cached),
            Event::Done(step, took) => self.ended(step, took, Part::Done(took)),
            Event::Failed(step, error) => {
                self.running.retain(|(running, _)| running.number != step.number);
                // Of the Dockerfile's own the build's error tells. The others are no step that the image needs: a layer
                // cache that is not there yet.
                if !is_own(step) {
                    // Its end is the reason; before it stand names that the step's own has too.
                    let reason = error.lines().next().unwrap_or_default().rsplit(": ").next().unwrap_or_default();
                    self.ongoing.part(&format!("{}: {reason}", step.name), Part::Without);
                }
            }
            Event::Log(_, line) => self.ongoing.output(line),
            Event::Progress(step, what, current, Some(total)) if total > 1 << 20 => {
                let megabytes = |bytes: u64| bytes as f64 / 1e6;
                let text = format!("{}: {what} {:.0} of {:.0} MB", step.name, megabytes(current), megabytes(total));
                return self.ongoing.progress(&shortened(&text));
            }
            Event::Progress(..) => {}
        }
        // What the Dockerfile says comes first, and of that what began last.
        if let Some((step, began)) = self.running.iter().max_by_key(|(step, began)| (is_own(step), *began)) {
            let beside = match self.running.iter().filter(|(step, _)| is_own(step)).count() {
                0 | 1 => String::new(),
                more => format!(" (and {} beside it)", more - 1),
            };
            self.ongoing.progress_since(&format!("{}{beside}", shortened(&step.name)), *began);
        }
    }

    fn ended(&mut self, step: &Step, took: Duration, part: Part) {
        self.running.retain(|(running, _)| running.number != step.number);
        if !is_own(step) && took < SLOW {
            return;
        }
        let before = self.told.insert(step.number, took);
        if before.is_some_and(|before| took < before + AGAIN) {
            return;
        }
        if is_own(step) && before.is_none() {
            match part {
                Part::Cached => self.counts.cached += 1,
                Part::Done(_) | Part::Without => self.counts.ran += 1,
            }
        }
        self.ongoing.part(&shortened(&step.name), part);
    }
}

/// Whether it is an instruction of the Dockerfile: `[2/5] …` or `[stage 2/5] …`.
fn is_own(step: &Step) -> bool {
    let number = step.name.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    number.and_then(|(inside, _)| inside.rsplit(' ').next()).is_some_and(|number| number.contains('/'))
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Audience, Report, Step as StoryStep};
    use crate::secrets::Redactor;

    #[test]
    fn steps_of_the_dockerfile_are_told_from_the_builders_own() {
        let step = |name: &str| Step { number: 0, name: name.to_owned() };
        for own in ["[2/5] RUN true", "[deps 3/5] RUN cargo build", "[linux/amd64 runtime 1/7] FROM debian"] {
            assert!(is_own(&step(own)), "{own}");
        }
        for not in [
            "[internal] load remote build context",
            "[auth] a/b:pull token for c",
            "exporting to image",
            "copy /context /",
        ] {
            assert!(!is_own(&step(not)), "{not}");
        }
    }

    #[test]
    fn a_step_that_runs_twice_counts_once() {
        let report = Report::new(Audience::Plain, false, Redactor::default());
        let ongoing = report.begin(StoryStep::Build);
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
            progress.take(event);
        }
        assert_eq!(progress.counts(), Counts { ran: 1, cached: 1 });
        ongoing.finish("done");
    }
}
