//! An account for a terminal.

use std::fmt::Write as _;

use super::{Account, StepTime, duration};

pub fn text(account: &Account) -> String {
    let mut text = format!("rehearsal of {}\n", account.headline());
    let width = account.chapters.iter().map(|chapter| chapter.name.chars().count()).max().unwrap_or_default();
    for chapter in &account.chapters {
        let (outcome, took) = (chapter.outcome.word(), duration(chapter.seconds));
        let mut lines = chapter.proof.iter().map(String::as_str);
        let first = lines.next().unwrap_or_default();
        let line = format!("  {outcome:<7} {took:>12}  {:<width$}  {first}", chapter.name);
        writeln!(text, "{}", line.trim_end()).expect("writing to a String cannot fail");
        let steps = steps(&chapter.steps);
        for below in lines.chain((!steps.is_empty()).then_some(steps.as_str())) {
            writeln!(text, "{:24}{:width$}  {below}", "", "").expect("writing to a String cannot fail");
        }
    }
    text
}

/// The steps that took the longest, on one line, in the order of time.
fn steps(steps: &[StepTime]) -> String {
    const SHOWN: usize = 5;
    let mut longest: Vec<&StepTime> = steps.iter().collect();
    longest.sort_by(|one, other| other.seconds.total_cmp(&one.seconds));
    longest.truncate(SHOWN);
    longest.sort_by(|one, other| one.began.total_cmp(&other.began));
    let step = |step: &&StepTime| format!("{} {}", step.name, duration(step.seconds));
    longest.iter().map(step).collect::<Vec<_>>().join(" · ")
}

#[cfg(test)]
mod tests {
    use super::super::tests::example;

    #[test]
    fn each_chapter_has_its_proof_and_its_steps() {
        let text = example().text();
        let expected = "\
rehearsal of shop → production, 0123456789ab: something was not as expected in 3 min 11 s
  done            41 s  first deploy            https://shop.example.org answers 0123456789ab
                                                build 30 s · apply 4.0 s
  failed    2 min 30 s  a release that crashes  exit 31 & <b>no</b> \"way\"
  skipped        0.0 s  registry away           not asked for
";
        assert_eq!(text, expected);
    }
}
