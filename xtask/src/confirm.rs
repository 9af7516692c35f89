//! A question to whoever sits at the terminal.

use std::io::Write as _;

use anyhow::Context as _;

use crate::failure::Failure;
use crate::signals::until_interrupted;

/// Whether somebody says yes. `otherwise` is what a signal meanwhile leaves: `nothing was deleted`.
pub async fn confirmed(question: &str, otherwise: &str) -> Result<bool, Failure> {
    eprint!("{question} [y/N] ");
    std::io::stderr().flush().context("ask")?;
    let (send, answer) = tokio::sync::oneshot::channel();
    // A thread that nobody waits for: one that reads a terminal cannot be ended, and read here it would hold up signals.
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = std::io::stdin().read_line(&mut line).map(|_| line);
        drop(send.send(read));
    });
    let answer = async { Ok(answer.await.context("wait for the answer")?.context("read the answer")?) };
    let answer = until_interrupted(otherwise, answer).await?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
