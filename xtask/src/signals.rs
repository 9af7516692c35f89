//! Ctrl-C and its kin.

use anyhow::{Context as _, Result, anyhow};
use tokio::signal::unix::{SignalKind, signal};

use crate::failure::Failure;

/// Runs a story until it ends by itself or a signal comes; dropped then, it ends what it had started. `otherwise` is what a
/// signal leaves: `nothing is left half done`.
pub async fn until_interrupted<T>(
    otherwise: &str,
    story: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::select! {
        ended = story => ended,
        signal = interrupted() => Err(Failure::Aborted(anyhow!("interrupted by {}; {otherwise}", signal?))),
    }
}

/// Waits for a signal that asks a program to end, and says which it was. From then on only those who wait notice one.
pub async fn interrupted() -> Result<&'static str> {
    let listen = |kind| signal(kind).context("listen for signals");
    let (mut interrupt, mut terminate, mut hangup) =
        (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?, listen(SignalKind::hangup())?);
    let which = tokio::select! {
        _ = interrupt.recv() => "Ctrl-C",
        _ = terminate.recv() => "SIGTERM",
        _ = hangup.recv() => "SIGHUP",
    };
    Ok(which)
}
