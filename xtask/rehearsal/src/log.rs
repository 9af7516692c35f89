//! The account while it is written: a chapter is noted when it has ended, so that a rehearsal that is killed leaves what it saw.

use std::cell::RefCell;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use xtask::failure::Failure;
use xtask::fs::replace_file;
use xtask::report::{Report, seconds};

use crate::account::{Account, Chapter, Outcome};
use crate::place::Place;
use crate::toolkit::Toolkit;

/// The account under way.
pub struct Log<'a> {
    report: &'a Report,
    place: &'a Place,
    toolkit: &'a Toolkit,
    account: RefCell<Account>,
}

impl<'a> Log<'a> {
    /// An account without chapters.
    pub fn new(report: &'a Report, place: &'a Place, toolkit: &'a Toolkit, account: Account) -> Self {
        Self { report, place, toolkit, account: RefCell::new(account) }
    }

    /// Runs a chapter, which returns its proofs. Fails if it does.
    pub async fn chapter(&self, name: &str, work: impl Future<Output = Result<Vec<String>>>) -> Result<(), Failure> {
        self.report.note(name);
        let began = self.toolkit.began.elapsed().as_secs_f64();
        let ended = work.await;
        let took = self.toolkit.began.elapsed().as_secs_f64() - began;
        let (outcome, proof) = match &ended {
            Ok(proof) => (Outcome::Done, proof.clone()),
            Err(error) => (Outcome::Failed, vec![format!("{error:#}")]),
        };
        let redactor = self.report.redactor();
        let proof: Vec<String> = proof.iter().map(|line| redactor.redact(line).into_owned()).collect();
        let took_text = seconds(Duration::from_secs_f64(took.max(0.0)));
        match outcome {
            Outcome::Failed => self.report.warn(&format!("{name} failed after {took_text}: {}", proof.join("; "))),
            _ => proof.iter().for_each(|line| self.report.detail(&format!("→ {line}"))),
        }
        let steps = self.toolkit.steps.take();
        self.account.borrow_mut().chapters.push(Chapter {
            name: name.to_owned(),
            began,
            seconds: took,
            outcome,
            proof,
            steps,
        });
        self.write()?;
        ended.map(drop).with_context(|| format!("the rehearsal of {name} failed")).map_err(Failure::Failed)
    }

    /// Notes the chapters that were not reached, and why.
    pub fn skip(&self, names: impl IntoIterator<Item = &'static str>, why: &str) -> Result<()> {
        let began = self.toolkit.began.elapsed().as_secs_f64();
        let mut account = self.account.borrow_mut();
        for name in names {
            if account.chapters.iter().any(|chapter| chapter.name == name) {
                continue;
            }
            let (name, proof) = (name.to_owned(), vec![why.to_owned()]);
            let outcome = Outcome::Skipped;
            account.chapters.push(Chapter { name, began, seconds: 0.0, outcome, proof, steps: Vec::new() });
        }
        drop(account);
        self.write()
    }

    /// Sets which commit is deployed.
    pub fn commit(&self, commit: &str) {
        commit.clone_into(&mut self.account.borrow_mut().commit);
    }

    /// The account so far.
    pub fn account(&self) -> Account {
        self.account.borrow().clone()
    }

    fn write(&self) -> Result<()> {
        let account = self.account.borrow();
        let json = serde_json::to_vec_pretty(&*account).map_err(|error| anyhow!(error)).context("write the account")?;
        replace_file(&self.place.json, &json)?;
        replace_file(&self.place.html, account.html().as_bytes())
    }
}
