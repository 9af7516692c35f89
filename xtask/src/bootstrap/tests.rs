//! The order of looking, asking and mending, on things in memory.

use std::cell::RefCell;

use super::*;
use crate::secrets::Redactor;

/// A shelf on a wall: without the wall nothing is known of the shelf.
#[derive(Default)]
struct Shelf {
    is: RefCell<Vec<&'static str>>,
    should: Vec<&'static str>,
    /// Is mended, and yet is not there.
    hopeless: Option<&'static str>,
    refused: Option<&'static str>,
    by_hand: Option<&'static str>,
    looks: RefCell<usize>,
}

impl Foundation for Shelf {
    type Mend = &'static str;

    fn title(&self) -> String {
        "a shelf".to_owned()
    }

    fn command(&self) -> String {
        "cargo xtask bootstrap shelf".to_owned()
    }

    async fn look(&self) -> Result<Vec<Item<&'static str>>, Failure> {
        *self.looks.borrow_mut() += 1;
        let is = self.is.borrow();
        let item = |name: &&'static str| match *name {
            name if self.refused == Some(name) => Item::refused(name, "somebody else's", "ours", "take another"),
            name if is.contains(&name) => Item::good(name, "there"),
            name if self.by_hand == Some(name) => Item::by_hand(name, "not there", "there", "buy one"),
            name if name != "wall" && !is.contains(&"wall") => Item::waits(name, "comes with the wall", "there"),
            name => Item::differs(name, "not there", "there", "put it there", name),
        };
        Ok(self.should.iter().map(item).collect())
    }

    async fn mend(&self, mend: &&'static str) -> Result<(), Failure> {
        if self.hopeless != Some(*mend) {
            self.is.borrow_mut().push(*mend);
        }
        Ok(())
    }
}

const CHECK: How = How { check: true, yes: false };
const ASK: How = How { check: false, yes: false };
const YES: How = How { check: false, yes: true };

async fn run(shelf: &Shelf, how: How) -> Result<(), Failure> {
    let report = Report::new(Audience::Plain, false, Redactor::default());
    bootstrap(shelf, how, Audience::Plain, &report).await
}

#[tokio::test]
async fn what_waits_follows_and_twice_changes_nothing() {
    let shelf = Shelf { should: vec!["wall", "board", "book"], ..Shelf::default() };
    assert!(matches!(run(&shelf, CHECK).await, Err(Failure::Pending)));
    assert_eq!(*shelf.is.borrow(), [""; 0]);
    assert!(run(&shelf, YES).await.is_ok());
    assert_eq!(*shelf.is.borrow(), ["wall", "board", "book"]);
    for how in [YES, ASK, CHECK] {
        *shelf.looks.borrow_mut() = 0;
        assert!(run(&shelf, how).await.is_ok());
        assert_eq!((shelf.is.borrow().len(), *shelf.looks.borrow()), (3, 1));
    }
}

#[tokio::test]
async fn nobody_is_asked_without_a_terminal() {
    let shelf = Shelf { should: vec!["wall"], ..Shelf::default() };
    let refused = run(&shelf, ASK).await.unwrap_err();
    assert_eq!(refused.exit_code(), 21);
    assert_eq!(refused.into_error().to_string(), "nothing was changed; type: cargo xtask bootstrap shelf --yes");
    assert_eq!(*shelf.is.borrow(), [""; 0]);
}

#[tokio::test]
async fn where_one_is_refused_nothing_is_mended() {
    let shelf = Shelf { should: vec!["wall", "board"], refused: Some("board"), ..Shelf::default() };
    for how in [CHECK, ASK, YES] {
        let refused = run(&shelf, how).await.unwrap_err();
        assert_eq!(refused.exit_code(), 21);
        assert_eq!(refused.into_error().to_string(), "board is somebody else's, and is not touched\n  take another");
    }
    assert_eq!(*shelf.is.borrow(), [""; 0]);
}

#[tokio::test]
async fn what_takes_a_person_remains_pending() {
    let shelf = Shelf { should: vec!["wall", "book"], by_hand: Some("book"), ..Shelf::default() };
    assert!(matches!(run(&shelf, YES).await, Err(Failure::Pending)));
    assert_eq!(*shelf.is.borrow(), ["wall"]);
}

#[tokio::test]
async fn what_mending_does_not_help_is_named_and_tried_once() {
    let shelf = Shelf { should: vec!["wall", "board"], hopeless: Some("board"), ..Shelf::default() };
    let failed = run(&shelf, YES).await.unwrap_err();
    assert_eq!(failed.exit_code(), 1);
    let text = failed.into_error().to_string();
    assert!(text.starts_with("board: mended, and still not as it should be"), "{text}");
}
