//! What the tests of the built toolkit share: a project to deploy, the toolkit's process, what runs on this machine.

pub mod disk;
pub mod http;
pub mod machine;
pub mod project;
pub mod running;

use std::time::{Duration, Instant};

pub use self::project::{Project, Ran};
pub use self::running::Running;

/// The built toolkit.
pub const TOOLKIT: &str = env!("CARGO_BIN_EXE_xtask");

/// How long anything may take that is waited for.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Looks until it is so; for what no event tells of.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    until_some(what, || is_so().then_some(()));
}

/// Looks until there is something.
pub fn until_some<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Says that this machine cannot run a test. Whoever runs the tests counts these lines.
pub fn skipped(test: &str, why: &str) {
    eprintln!("SKIPPED {test}: {why}");
}
