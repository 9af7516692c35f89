//! The account of a rehearsal: what was done, how long it took, and what proves it. As data, as text, and as one page.

mod html;
mod text;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// All of a rehearsal, in the order of time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Account {
    /// The project's name in deploy.yaml.
    pub project: String,
    /// The environment that was rehearsed.
    pub environment: String,
    /// The version that was deployed first: twelve digits of its commit, or all forty.
    pub commit: String,
    /// When the rehearsal began.
    pub started: Timestamp,
    /// What was done, oldest first.
    pub chapters: Vec<Chapter>,
}

/// One part of a rehearsal, such as the first deploy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Chapter {
    /// What it is about, in a few words.
    pub name: String,
    /// Seconds from the beginning of the rehearsal.
    pub began: f64,
    /// How long it took.
    pub seconds: f64,
    /// How it ended.
    pub outcome: Outcome,
    /// What proves the outcome, a sentence each; of a failure, why.
    pub proof: Vec<String>,
    /// The steps of the toolkit's commands in it.
    pub steps: Vec<StepTime>,
}

/// A step of one of the toolkit's commands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepTime {
    /// The step's name.
    pub name: String,
    /// Seconds from the beginning of the rehearsal.
    pub began: f64,
    /// How long it took.
    pub seconds: f64,
    /// How it ended.
    pub outcome: Outcome,
}

/// How a chapter or a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// As expected. A break whose recovery was seen is done.
    Done,
    /// Not as expected.
    Failed,
    /// Not run: the chapter's proof says why.
    Skipped,
}

impl Account {
    /// Whether nothing failed.
    pub fn succeeded(&self) -> bool {
        self.chapters.iter().all(|chapter| chapter.outcome != Outcome::Failed)
    }

    /// Seconds from the beginning to the end of the last chapter.
    pub fn seconds(&self) -> f64 {
        self.chapters.iter().map(|chapter| chapter.began + chapter.seconds).fold(0.0, f64::max)
    }

    /// For a terminal: a line for each chapter, with its proof and its steps below.
    pub fn text(&self) -> String {
        text::text(self)
    }

    /// One page that needs nothing else: no script, no font, no picture from elsewhere. The timeline is an inline SVG.
    pub fn html(&self) -> String {
        html::page(self)
    }

    /// What was rehearsed and how it ended, on one line.
    fn headline(&self) -> String {
        let (project, environment, commit) = (&self.project, &self.environment, short(&self.commit));
        let ended = if self.succeeded() { "everything was as expected" } else { "something was not as expected" };
        format!("{project} → {environment}, {commit}: {ended} in {}", duration(self.seconds()))
    }
}

impl Outcome {
    /// For people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// The first twelve digits of a commit.
fn short(commit: &str) -> &str {
    commit.get(..12).unwrap_or(commit)
}

/// `0.4 s`, `12 s`, `3 min 05 s`.
fn duration(seconds: f64) -> String {
    match seconds {
        short if short < 9.95 => format!("{short:.1} s"),
        medium if medium < 119.5 => format!("{medium:.0} s"),
        long => {
            let whole = long.round() as u64;
            format!("{} min {:02} s", whole / 60, whole % 60)
        }
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A rehearsal with every outcome, and text of others in it.
    pub fn example() -> Account {
        let step =
            |name: &str, began, seconds| StepTime { name: name.to_owned(), began, seconds, outcome: Outcome::Done };
        let chapter = |name: &str, began, seconds, outcome, proof: &str, steps| Chapter {
            name: name.to_owned(),
            began,
            seconds,
            outcome,
            proof: vec![proof.to_owned()],
            steps,
        };
        Account {
            project: "shop".to_owned(),
            environment: "production".to_owned(),
            commit: "0123456789abcdef0123456789abcdef01234567".to_owned(),
            started: "2026-01-02T03:04:05Z".parse().unwrap(),
            chapters: vec![
                chapter(
                    "first deploy",
                    0.0,
                    41.2,
                    Outcome::Done,
                    "https://shop.example.org answers 0123456789ab",
                    vec![step("build", 0.5, 30.0), step("apply", 31.0, 4.0)],
                ),
                chapter(
                    "a release that crashes",
                    41.2,
                    150.0,
                    Outcome::Failed,
                    "exit 31 & <b>no</b> \"way\"",
                    Vec::new(),
                ),
                chapter("registry away", 191.2, 0.0, Outcome::Skipped, "not asked for", Vec::new()),
            ],
        }
    }

    #[test]
    fn durations_are_as_exact_as_they_are_long() {
        assert_eq!(
            [0.44, 9.94, 12.3, 119.4, 119.6, 185.2].map(duration),
            ["0.4 s", "9.9 s", "12 s", "119 s", "2 min 00 s", "3 min 05 s"]
        );
    }

    #[test]
    fn it_is_read_back_as_it_was_written() {
        let json = serde_json::to_string(&example()).unwrap();
        assert_eq!(serde_json::from_str::<Account>(&json).unwrap(), example());
    }

    #[test]
    fn one_failure_is_a_failure_and_what_was_skipped_is_none() {
        let mut account = example();
        assert!(!account.succeeded());
        account.chapters.remove(1);
        assert!(account.succeeded());
    }
}
