//! The account of a rehearsal: what was done, how long it took, and what proves that it worked.

use serde::{Deserialize, Serialize};

/// The account of a rehearsal.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Account {
    /// The project's name.
    pub project: String,
    /// The environment that was rehearsed.
    pub environment: String,
    /// The commit that was deployed first.
    pub commit: String,
    /// When the rehearsal began.
    pub started: jiff::Timestamp,
    /// Its parts, in their order.
    pub chapters: Vec<Chapter>,
}

/// A part of the story.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Chapter {
    /// What it is about.
    pub name: String,
    /// Seconds since the rehearsal began.
    pub began: f64,
    /// How long it took.
    pub seconds: f64,
    /// How it ended.
    pub outcome: Outcome,
    /// What shows that it worked, or why it did not.
    pub proof: Vec<String>,
    /// The steps of the toolkit's commands in it.
    pub steps: Vec<StepTime>,
}

/// A step of a command of the toolkit.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StepTime {
    /// The step's name.
    pub name: String,
    /// Seconds since the rehearsal began.
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
    /// As it should.
    Done,
    /// Otherwise.
    Failed,
    /// It was not tried.
    Skipped,
}

impl Account {
    /// The account as lines.
    pub fn text(&self) -> String {
        let mut text = format!("{} of {} at {}\n", self.environment, self.project, self.commit);
        for chapter in &self.chapters {
            text.push_str(&format!("  {:?} {} {:.1} s\n", chapter.outcome, chapter.name, chapter.seconds));
            text.extend(chapter.proof.iter().map(|line| format!("      {line}\n")));
        }
        text
    }

    /// The account as a page.
    pub fn html(&self) -> String {
        let escaped = self.text().replace('&', "&amp;").replace('<', "&lt;");
        format!("<!doctype html><meta charset=utf-8><title>Rehearsal</title><pre>{escaped}</pre>\n")
    }
}
