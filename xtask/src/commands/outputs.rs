//! What a job of GitHub Actions hands to its later steps and to other jobs.

use anyhow::{Context as _, Result, ensure};
use fs_err::OpenOptions;
use std::io::Write as _;

use crate::tools::platform::variable;

/// The variable by which GitHub Actions names the file that takes a step's outputs.
const FILE: &str = "GITHUB_OUTPUT";

/// Writes an output of the step. Does nothing outside of GitHub Actions. `value` has one line.
pub fn output(name: &str, value: &str) -> Result<()> {
    let Some(file) = variable(FILE) else { return Ok(()) };
    append(&file, name, value).with_context(|| format!("hand {name} to the next steps, by the file that {FILE} names"))
}

fn append(file: &str, name: &str, value: &str) -> Result<()> {
    ensure!(!value.contains(['\n', '\r']), "the value has several lines");
    let mut file = OpenOptions::new().append(true).create(true).open(file)?;
    Ok(file.write_all(format!("{name}={value}\n").as_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_appended_and_have_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("output");
        let file = file.to_str().unwrap();
        append(file, "digest", "sha256:0").unwrap();
        append(file, "approval", "a=b").unwrap();
        append(file, "x", "1\ny=2").unwrap_err();
        assert_eq!(fs_err::read_to_string(file).unwrap(), "digest=sha256:0\napproval=a=b\n");
    }
}
