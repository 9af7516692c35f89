//! Ctrl-C, SIGTERM and SIGHUP. One task of the process listens for them; everything else waits for a [`Stop`].

use anyhow::{Context as _, Result, anyhow};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::failure::Failure;

/// Requests to stop, as they have come so far. A request is never missed: one that came earlier is seen at once.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<Vec<&'static str>>);

/// Sends requests to stop. Without signals, as tests need it.
#[derive(Debug)]
pub struct StopSender(watch::Sender<Vec<&'static str>>);

impl Stop {
    /// Listens for signals from now on. The process no longer ends by them: every command has to wait for its `Stop`.
    pub fn on_signals() -> Result<Self> {
        let listen = |kind| signal(kind).context("listen for signals");
        let keep_ignoring = hangup_is_ignored();
        let (mut interrupt, mut terminate, mut hangup) =
            (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?, listen(SignalKind::hangup())?);
        let (sender, stop) = Self::channel();
        tokio::spawn(async move {
            loop {
                let name = tokio::select! {
                    _ = interrupt.recv() => "Ctrl-C",
                    _ = terminate.recv() => "SIGTERM",
                    _ = hangup.recv() => match keep_ignoring {
                        true => continue,
                        false => "SIGHUP",
                    },
                };
                // A terminal that goes away sends it more than once: the kernel and the shell both do. So it is never the second
                // request, which would kill what still saves its state.
                if name != "SIGHUP" || !sender.has_sent() {
                    sender.send(name);
                }
            }
        });
        Ok(stop)
    }

    /// A `Stop` and what sends to it.
    pub fn channel() -> (StopSender, Self) {
        let (sender, receiver) = watch::channel(Vec::new());
        (StopSender(sender), Self(receiver))
    }

    /// Waits for the first request and names it.
    pub async fn requested(&self) -> &'static str {
        self.nth(0).await
    }

    /// Waits for the second request: the user will not wait for an orderly end.
    pub async fn repeated(&self) -> &'static str {
        self.nth(1).await
    }

    /// Runs `work` until it ends or a request comes. `work` is dropped then, and ends the processes that it started.
    /// `left` says what that leaves, for example `nothing was changed`.
    pub async fn cancels<T>(&self, left: &str, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        tokio::select! {
            ended = work => ended,
            signal = self.requested() => Err(Failure::Aborted(anyhow!("interrupted by {signal}; {left}"))),
        }
    }

    async fn nth(&self, index: usize) -> &'static str {
        let mut requests = self.0.clone();
        let name = requests.wait_for(|requests| requests.len() > index).await.ok().map(|requests| requests[index]);
        match name {
            Some(name) => name,
            // The sender is gone, so no request will come.
            None => std::future::pending().await,
        }
    }
}

impl StopSender {
    /// Requests a stop under this name, for example `Ctrl-C`.
    pub fn send(&self, name: &'static str) {
        self.0.send_modify(|requests| requests.push(name));
    }

    fn has_sent(&self) -> bool {
        !self.0.borrow().is_empty()
    }
}

/// Whether this process was started with SIGHUP ignored, as by `nohup` (proc(5)). Not known on other systems than Linux.
fn hangup_is_ignored() -> bool {
    let status = fs_err::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
    // The first bit is that of signal 1.
    mask.is_some_and(|mask| mask & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_that_came_earlier_is_seen_at_once() {
        let (sender, stop) = Stop::channel();
        sender.send("SIGTERM");
        assert_eq!(stop.requested().await, "SIGTERM");
        let ended = stop.cancels("nothing was changed", std::future::pending::<Result<(), Failure>>()).await;
        let Err(Failure::Aborted(error)) = ended else { panic!("{ended:?}") };
        assert_eq!(error.to_string(), "interrupted by SIGTERM; nothing was changed");
        sender.send("Ctrl-C");
        assert_eq!(stop.repeated().await, "Ctrl-C");
    }
}
