//! Tests that this machine cannot run.

/// Says that a test is skipped, and why: `cargo xtask test` counts these lines. Fails the test if the variable `CI` is set.
#[track_caller]
pub fn skipped(test: &str, why: &str) {
    assert!(std::env::var_os("CI").is_none(), "{why}");
    eprintln!("SKIPPED {test}: {why}");
}

/// What a test needs. `None`, after [`skipped`], if this machine does not have it.
#[track_caller]
pub fn or_skip<T>(test: &str, needed: anyhow::Result<T>) -> Option<T> {
    match needed {
        Ok(needed) => Some(needed),
        Err(error) => {
            skipped(test, &format!("{error:#}"));
            None
        }
    }
}

/// The name of the test that runs. Where tests run one after another it is only known to be `main`: name those by hand.
pub fn test_name() -> String {
    std::thread::current().name().unwrap_or("a test").to_owned()
}
