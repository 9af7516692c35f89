//! A program that answers each line of its standard input with one line.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result, ensure};

/// It is killed when this value is dropped.
pub struct Asked {
    process: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Asked {
    /// Starts it. Its standard error is this program's.
    pub fn start(mut command: Command) -> Result<Self> {
        let name = command.get_program().to_owned();
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("start {}", name.display()))?;
        let questions = process.stdin.take().context("its standard input is a pipe")?;
        let answers = BufReader::new(process.stdout.take().context("its standard output is a pipe")?);
        Ok(Self { process, questions, answers })
    }

    /// Asks, and waits for the answer.
    pub fn ask(&mut self, question: &str) -> Result<String> {
        writeln!(self.questions, "{question}").with_context(|| format!("ask for {question}"))?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        ensure!(answer.ends_with('\n'), "there was no answer to {question}: what it wrote is above");
        Ok(answer.trim_end().to_owned())
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        // Both fail if it has ended already.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
