//! One thing that is looked at: what is, what should be, and what is to be done about it.

use serde_json::{Value, json};

use crate::report::Paint;

/// One thing that is looked at. `M` is what it takes to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item<M> {
    /// What it is about: one or two words, of which no other item has the same.
    pub about: String,
    /// What is there.
    pub is: String,
    /// What should be there; the same where it is good.
    pub should: String,
    /// What to think of it.
    pub verdict: Verdict<M>,
}

/// What to think of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict<M> {
    /// As it should be.
    Good,
    /// It differs, and is mended with consent.
    Differs {
        /// What is done, as an order: `turn it on`.
        how: String,
        /// What it takes.
        mend: M,
    },
    /// It differs, and takes a person.
    ByHand {
        /// What to do.
        next: String,
    },
    /// It cannot be looked at before something else is mended.
    Waits,
    /// The provider has no such thing.
    Lacks {
        /// What stands in for it.
        instead: String,
    },
    /// It could not be looked at, and nothing is claimed of it.
    Unknown {
        /// How a person may look.
        next: String,
    },
    /// It must not be touched, and nothing else is either.
    Refused {
        /// What to do, or to type.
        next: String,
    },
}

impl<M> Item<M> {
    /// As it should be.
    pub fn good(about: impl Into<String>, is: impl Into<String>) -> Self {
        let is = is.into();
        Self { about: about.into(), should: is.clone(), is, verdict: Verdict::Good }
    }

    /// Not as it should be; `how` says what is done about it.
    pub fn differs(
        about: impl Into<String>,
        is: impl Into<String>,
        should: impl Into<String>,
        how: impl Into<String>,
        mend: M,
    ) -> Self {
        let verdict = Verdict::Differs { how: how.into(), mend };
        Self { about: about.into(), is: is.into(), should: should.into(), verdict }
    }

    /// Not as it should be, and `next` is for a person to do.
    pub fn by_hand(
        about: impl Into<String>,
        is: impl Into<String>,
        should: impl Into<String>,
        next: impl Into<String>,
    ) -> Self {
        let verdict = Verdict::ByHand { next: next.into() };
        Self { about: about.into(), is: is.into(), should: should.into(), verdict }
    }

    /// To be looked at when something else is mended; `is` says what it waits for.
    pub fn waits(about: impl Into<String>, is: impl Into<String>, should: impl Into<String>) -> Self {
        Self { about: about.into(), is: is.into(), should: should.into(), verdict: Verdict::Waits }
    }

    /// Nothing that this provider has; `instead` says what stands in for it.
    pub fn lacks(
        about: impl Into<String>,
        is: impl Into<String>,
        should: impl Into<String>,
        instead: impl Into<String>,
    ) -> Self {
        let verdict = Verdict::Lacks { instead: instead.into() };
        Self { about: about.into(), is: is.into(), should: should.into(), verdict }
    }

    /// What could not be looked at; `is` says why, and `next` how a person may.
    pub fn unknown(
        about: impl Into<String>,
        is: impl Into<String>,
        should: impl Into<String>,
        next: impl Into<String>,
    ) -> Self {
        let verdict = Verdict::Unknown { next: next.into() };
        Self { about: about.into(), is: is.into(), should: should.into(), verdict }
    }

    /// What must not be touched; reads as "`about` is `is`, and is not touched".
    pub fn refused(
        about: impl Into<String>,
        is: impl Into<String>,
        should: impl Into<String>,
        next: impl Into<String>,
    ) -> Self {
        let verdict = Verdict::Refused { next: next.into() };
        Self { about: about.into(), is: is.into(), should: should.into(), verdict }
    }

    /// For people: a line, and one more of what is to be done. `width` is what the longest `about` takes.
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
}
