//! Waiting for what no event announces.

use std::time::{Duration, Instant};

/// How long a test waits for anything.
pub const PATIENCE: Duration = Duration::from_secs(60);

const PAUSE: Duration = Duration::from_millis(5);

/// Waits until it is so, and says how long that took. Fails after [`PATIENCE`].
#[track_caller]
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) -> Duration {
    let began = Instant::now();
    until_some(what, || is_so().then_some(()));
    began.elapsed()
}

/// Waits until there is something.
#[track_caller]
pub fn until_some<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "timed out after {} s waiting until {what}", PATIENCE.as_secs());
        std::thread::sleep(PAUSE);
    }
}

/// Waits until it is so, while other tasks of the runtime go on.
pub async fn until_async(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !is_so().await {
        assert!(began.elapsed() < PATIENCE, "timed out after {} s waiting until {what}", PATIENCE.as_secs());
        tokio::time::sleep(PAUSE).await;
    }
}
