//! The order of inspecting, asking and fixing, on a prerequisite in memory.

use std::cell::RefCell;

use super::*;
use crate::report::Audience;
use crate::secrets::Redactor;

/// A shelf on a wall: without the wall, nothing else can be inspected.
#[derive(Default)]
struct Shelf {
    is: RefCell<Vec<&'static str>>,
    should: Vec<&'static str>,
    /// Still missing after its fix.
    hopeless: Option<&'static str>,
    refused: Option<&'static str>,
    by_hand: Option<&'static str>,
    inspections: RefCell<usize>,
}

impl Prerequisite for Shelf {
    type Fix = &'static str;

    fn title(&self) -> String {
        "a shelf".to_owned()
    }

    fn command(&self) -> String {
        "cargo xtask bootstrap shelf".to_owned()
    }

    async fn inspect(&self) -> Result<Vec<Item<&'static str>>, Failure> {
        *self.inspections.borrow_mut() += 1;
        let is = self.is.borrow();
        let item = |name: &&'static str| match *name {
            name if self.refused == Some(name) => {
                Item::refused(name, "owned by another account", "ours", "take another")
            }
            name if is.contains(&name) => Item::good(name, "there"),
            name if self.by_hand == Some(name) => Item::by_hand(name, "not there", "there", "buy one"),
            name if name != "wall" && !is.contains(&"wall") => Item::waits(name, "comes with the wall", "there"),
            name => Item::differs(name, "not there", "there", "put it there", name),
        };
        Ok(self.should.iter().map(item).collect())
    }

    async fn fix(&self, fix: &&'static str) -> Result<(), Failure> {
        if self.hopeless != Some(*fix) {
            self.is.borrow_mut().push(*fix);
        }
        Ok(())
    }
}

const CHECK: FixArgs = FixArgs { check: true, yes: false };
const ASK: FixArgs = FixArgs { check: false, yes: false };
const YES: FixArgs = FixArgs { check: false, yes: true };

async fn run(shelf: &Shelf, args: FixArgs) -> Result<(), Failure> {
    let report = Report::new(Audience::Plain, false, Redactor::default());
    let (_sender, stop) = Stop::channel();
    ensure(shelf, args, &report, &stop).await
}

#[tokio::test]
async fn waiting_items_are_fixed_next_and_a_second_run_changes_nothing() {
    let shelf = Shelf { should: vec!["wall", "board", "book"], ..Shelf::default() };
    assert!(matches!(run(&shelf, CHECK).await, Err(Failure::Pending)));
    assert_eq!(*shelf.is.borrow(), [""; 0]);
    assert!(run(&shelf, YES).await.is_ok());
    assert_eq!(*shelf.is.borrow(), ["wall", "board", "book"]);
    for args in [YES, ASK, CHECK] {
        *shelf.inspections.borrow_mut() = 0;
        assert!(run(&shelf, args).await.is_ok());
        assert_eq!((shelf.is.borrow().len(), *shelf.inspections.borrow()), (3, 1));
    }
}

#[tokio::test]
async fn without_a_terminal_the_answer_is_no() {
    let shelf = Shelf { should: vec!["wall"], ..Shelf::default() };
    let refused = run(&shelf, ASK).await.unwrap_err();
    assert_eq!(refused.exit_code(), 21);
    assert_eq!(
        refused.into_error().to_string(),
        "nothing was changed; to fix without being asked, type: cargo xtask bootstrap shelf --yes"
    );
    assert_eq!(*shelf.is.borrow(), [""; 0]);
}

#[tokio::test]
async fn a_refused_item_prevents_every_fix() {
    let shelf = Shelf { should: vec!["wall", "board"], refused: Some("board"), ..Shelf::default() };
    for args in [CHECK, ASK, YES] {
        let refused = run(&shelf, args).await.unwrap_err();
        assert_eq!(refused.exit_code(), 21);
        assert_eq!(
            refused.into_error().to_string(),
            "board: owned by another account; xtask does not touch it\n  take another"
        );
    }
    assert_eq!(*shelf.is.borrow(), [""; 0]);
}

#[tokio::test]
async fn an_item_to_fix_by_hand_stays_pending() {
    let shelf = Shelf { should: vec!["wall", "book"], by_hand: Some("book"), ..Shelf::default() };
    assert!(matches!(run(&shelf, YES).await, Err(Failure::Pending)));
    assert_eq!(*shelf.is.borrow(), ["wall"]);
}

#[tokio::test]
async fn a_fix_without_effect_is_named_and_tried_once() {
    let shelf = Shelf { should: vec!["wall", "board"], hopeless: Some("board"), ..Shelf::default() };
    let failed = run(&shelf, YES).await.unwrap_err();
    assert_eq!(failed.exit_code(), 1);
    let text = failed.into_error().to_string();
    assert!(text.starts_with("board: the fix had no effect"), "{text}");
}
