//! One inspected item: what is, what should be, and the next step.

use serde_json::{Value, json};

use crate::report::Paint;

/// One inspected item. `F` is what fixing it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item<F> {
    /// One or two words, unique among the items.
    pub about: String,
    /// The actual state.
    pub is: String,
    /// The expected state.
    pub should: String,
    /// How they compare.
    pub verdict: Verdict<F>,
}

/// How the actual and the expected state compare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict<F> {
    /// They are the same.
    Good,
    /// They differ, and xtask can fix it.
    Differs {
        /// What the fix does, in the imperative: `turn it on`.
        how: String,
        /// What the fix takes.
        fix: F,
    },
    /// They differ, and the user has to fix it.
    ByHand {
        /// What to do.
        next: String,
    },
    /// It can be inspected only after another item is fixed.
    Waits,
    /// The provider does not support it.
    Lacks {
        /// What replaces it.
        instead: String,
    },
    /// It could not be inspected. That is no reason to fail.
    Unknown {
        /// How the user can inspect it.
        next: String,
    },
    /// xtask must not change it, nor any other item.
    Refused {
        /// What to do, or to type.
        next: String,
    },
}

impl<F> Item<F> {
    /// As it should be.
    pub fn good(about: impl Into<String>, is: impl Into<String>) -> Self {
        let is = is.into();
        Self { about: about.into(), should: is.clone(), is, verdict: Verdict::Good }
    }

    /// Different, with a fix. `how` says what the fix does, in the imperative.
    pub fn differs(
        about: impl Into<String>,
        is: impl Into<String>,
        should: impl Into<String>,
        how: impl Into<String>,
        fix: F,
    ) -> Self {
        Self::new(about, is, should, Verdict::Differs { how: how.into(), fix })
    }

    /// Different, and the user has to do what `next` says.
    pub fn by_hand(
        about: impl Into<String>,
        is: impl Into<String>,
        should: impl Into<String>,
        next: impl Into<String>,
    ) -> Self {
        Self::new(about, is, should, Verdict::ByHand { next: next.into() })
    }

    /// Inspected after another item is fixed; `is` says which.
    pub fn waits(about: impl Into<String>, is: impl Into<String>, should: impl Into<String>) -> Self {
        Self::new(about, is, should, Verdict::Waits)
    }

    /// Not supported by the provider; `instead` says what replaces it.
    pub fn lacks(
        about: impl Into<String>,
        is: impl Into<String>,
        should: impl Into<String>,
        instead: impl Into<String>,
    ) -> Self {
        Self::new(about, is, should, Verdict::Lacks { instead: instead.into() })
    }

    /// Not inspected; `is` says why, and `next` how the user can.
    pub fn unknown(
        about: impl Into<String>,
        is: impl Into<String>,
        should: impl Into<String>,
        next: impl Into<String>,
    ) -> Self {
        Self::new(about, is, should, Verdict::Unknown { next: next.into() })
    }

    /// Not to be changed. The error reads "`about`: `is`; xtask does not touch it".
    pub fn refused(
        about: impl Into<String>,
        is: impl Into<String>,
        should: impl Into<String>,
        next: impl Into<String>,
    ) -> Self {
        Self::new(about, is, should, Verdict::Refused { next: next.into() })
    }

    /// For people: one line, and one more with the next step. `width` is the length of the longest `about`.
    pub fn text(&self, width: usize, paint: Paint) -> String {
        let Self { about, is, should, .. } = self;
        let (mark, found, next) = match &self.verdict {
            Verdict::Good => (paint.green("✓"), is.clone(), None),
            Verdict::Differs { how, .. } => (paint.red("✗"), format!("{is}; should be {should}"), Some(how)),
            Verdict::ByHand { next } => (paint.yellow("!"), format!("{is}; should be {should}"), Some(next)),
            Verdict::Waits => (paint.yellow("·"), format!("{is}; will be {should}"), None),
            Verdict::Lacks { instead } => (paint.yellow("–"), is.clone(), Some(instead)),
            Verdict::Unknown { next } => (paint.yellow("?"), is.clone(), Some(next)),
            Verdict::Refused { next } => (paint.red("✗"), format!("{is}; should be {should}"), Some(next)),
        };
        let indent = " ".repeat(width + 5);
        let mut text = format!("  {mark} {about:<width$} {}", found.replace('\n', &format!("\n{indent}")));
        if let Some(next) = next {
            text.push_str(&format!("\n{indent}→ {}", next.replace('\n', &format!("\n{indent}  "))));
        }
        text
    }

    /// For programs.
    pub fn detail(&self) -> Value {
        let (verdict, next) = match &self.verdict {
            Verdict::Good => ("good", None),
            Verdict::Differs { how, .. } => ("differs", Some(how)),
            Verdict::ByHand { next } => ("by_hand", Some(next)),
            Verdict::Waits => ("waits", None),
            Verdict::Lacks { instead } => ("lacks", Some(instead)),
            Verdict::Unknown { next } => ("unknown", Some(next)),
            Verdict::Refused { next } => ("refused", Some(next)),
        };
        json!({ "about": self.about, "is": self.is, "should": self.should, "verdict": verdict, "next": next })
    }

    fn new(about: impl Into<String>, is: impl Into<String>, should: impl Into<String>, verdict: Verdict<F>) -> Self {
        Self { about: about.into(), is: is.into(), should: should.into(), verdict }
    }
}
