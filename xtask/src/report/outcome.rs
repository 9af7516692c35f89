//! What a step or an operation came to.

use std::time::{Duration, SystemTime};

use super::{State, Step};

/// The result of a step, as the step's line shows it.
pub trait Summary {
    /// One line, or several.
    fn summary(&self) -> String;

    /// Whether the result of an earlier run was reused.
    fn is_reused(&self) -> bool {
        false
    }
}

impl Summary for () {
    fn summary(&self) -> String {
        String::new()
    }
}

/// A step that has ended.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// Which.
    pub step: Step,
    /// When it began.
    pub began: SystemTime,
    /// How long it took.
    pub took: Duration,
    /// Finished, reused or failed.
    pub state: State,
}

impl Ended {
    /// Whether it succeeded.
    pub fn is_ok(&self) -> bool {
        self.state != State::Failed
    }
}

/// Information beside the result of an operation, for its caller to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Information.
    Note(String),
    /// A warning.
    Warning(String),
}
