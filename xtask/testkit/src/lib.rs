//! What the tests of the toolkit share: a project to deploy, the toolkit's process, clients of a service, processes of this
//! machine, waiting, and skipping what a machine cannot run.

// A helper fails the test that calls it by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod client;
pub mod disk;
pub mod git;
mod hint;
mod image;
pub mod load;
pub mod machine;
mod own;
pub mod project;
pub mod running;
pub mod sample;
pub mod skip;
pub mod terminal;
pub mod wait;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

pub use self::git::git;
pub use self::own::clone_for_image;
pub use self::project::{Project, Ran};
pub use self::running::{Ended, Running};
pub use self::sample::{sample, test_seed};
pub use self::skip::{or_skip, skipped, test_name};
pub use self::terminal::{Controls, Terminal};
pub use self::wait::{PATIENCE, until, until_async, until_some};

/// The toolkit's program. cargo builds it for the toolkit's integration tests, and runs them with a variable that names it.
pub fn toolkit() -> &'static Path {
    static TOOLKIT: OnceLock<PathBuf> = OnceLock::new();
    TOOLKIT.get_or_init(|| {
        let named = std::env::var_os("CARGO_BIN_EXE_xtask").map(PathBuf::from);
        // Without cargo, as in a debugger: in the folder above the test program's own.
        let beside = || Some(std::env::current_exe().ok()?.parent()?.parent()?.join("xtask"));
        let toolkit = named.or_else(beside).filter(|program| program.is_file());
        toolkit.expect("the toolkit is built: cargo build --package xtask")
    })
}

/// The number of GitHub's groups in an output. Fails if one is open when another begins, or at the end.
pub fn groups(text: &str) -> usize {
    let (mut open, mut count) = (0, 0);
    for line in text.lines() {
        match line {
            line if line.starts_with("::group::") => (open, count) = (open + 1, count + 1),
            "::endgroup::" => open -= 1,
            _ => {}
        }
        assert!((0..=1).contains(&open), "{text}");
    }
    assert_eq!(open, 0, "{text}");
    count
}
