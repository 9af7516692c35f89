//! Questions to the user at the terminal.

use std::io::IsTerminal as _;

use anyhow::Context as _;

use crate::failure::Failure;
use crate::report::{Audience, Report};
use crate::signals::Stop;

/// Whether the user says yes. Without a terminal nothing is asked, and the answer is no. `left` is what a request to stop
/// leaves meanwhile: `nothing was deleted`.
pub async fn confirmed(report: &Report, stop: &Stop, question: &str, left: &str) -> Result<bool, Failure> {
    let answer = answer(report, stop, &format!("{question} [y/N]"), left).await?;
    Ok(matches!(answer.as_deref(), Some("y" | "Y" | "yes")))
}

/// The line that the user types. None without a terminal.
pub async fn answer(report: &Report, stop: &Stop, question: &str, left: &str) -> Result<Option<String>, Failure> {
    if report.audience() != Audience::Terminal || !std::io::stdin().is_terminal() {
        return Ok(None);
    }
    report.ask(question);
    let (send, answer) = tokio::sync::oneshot::channel();
    // On a thread of its own, which is never joined: reading a terminal cannot be cancelled.
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = std::io::stdin().read_line(&mut line).map(|_| line);
        drop(send.send(read));
    });
    let answer = async { Ok(answer.await.context("wait for the answer")?.context("read the answer")?) };
    let answer: String = stop.cancels(left, answer).await?;
    Ok(Some(answer.trim().to_owned()))
}
