//! What a release logged that failed after it was started: kept with the record, because its platform ends it and its log.

use super::Run;

/// How many lines are kept: the last ones.
const LINES: usize = 100;
/// How many bytes of them.
const BYTES: usize = 16 << 10;

impl Run<'_> {
    /// Puts the end of the log of this run's release into the record. Where it cannot be read, that is a warning: the deploy has
    /// failed for another reason.
    pub async fn keep_log(&self) {
        let (version, started) = {
            let record = self.record.borrow();
            (record.version().to_owned(), record.started)
        };
        match self.target.log_of(&version, started).await {
            Ok(lines) => {
                let redactor = self.env.report.redactor();
                // Redacted before they are cut: a part of a secret is not found any more.
                let lines = lines.into_iter().map(|line| redactor.redact(&line).into_owned()).collect();
                self.note(|record| record.log = end_of(lines));
            }
            Err(failure) => {
                let error = failure.into_error();
                self.env.report.warn(&format!("the log of {version} could not be kept with the record: {error:#}"));
            }
        }
    }
}

/// The last lines, and the end of a line that is too long alone.
fn end_of(lines: Vec<String>) -> Vec<String> {
    let (mut kept, mut room) = (Vec::new(), BYTES);
    for line in lines.into_iter().rev().take(LINES) {
        if line.len() > room {
            if kept.is_empty() {
                kept.push(line[line.ceil_char_boundary(line.len() - room)..].to_owned());
            }
            break;
        }
        room -= line.len();
        kept.push(line);
    }
    kept.reverse();
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_log_is_bounded() {
        let lines =
            |count: usize, length: usize| -> Vec<String> { (0..count).map(|n| format!("{n:>length$}")).collect() };
        assert_eq!(end_of(lines(300, 5)), lines(300, 5)[200..]);
        assert_eq!(end_of(lines(100, 1000)), lines(100, 1000)[84..]);
        let long = format!("{}ä", "x".repeat(BYTES - 1));
        assert_eq!(end_of(vec!["before".to_owned(), long])[0].len(), BYTES);
        assert!(end_of(Vec::new()).is_empty());
    }
}
