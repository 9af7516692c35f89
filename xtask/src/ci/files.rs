//! The files by which a step hands values to later ones (`GITHUB_OUTPUT`, `GITHUB_ENV`) and shows a summary (`GITHUB_STEP_SUMMARY`).

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};

use crate::fs::{found, read_text};

/// The files of one step.
pub struct Files {
    folder: Utf8PathBuf,
}

impl Files {
    /// Empty ones in this folder.
    pub fn new(folder: &Utf8Path) -> Result<Self> {
        for name in ["output", "env", "summary", "path"] {
            fs_err::write(folder.join(name), "")?;
        }
        Ok(Self { folder: folder.to_owned() })
    }

    /// The variables that name them.
    pub fn variables(&self) -> [(&'static str, Utf8PathBuf); 4] {
        let names = [
            ("GITHUB_OUTPUT", "output"),
            ("GITHUB_ENV", "env"),
            ("GITHUB_STEP_SUMMARY", "summary"),
            ("GITHUB_PATH", "path"),
        ];
        names.map(|(variable, name)| (variable, self.folder.join(name)))
    }

    /// The outputs of the step.
    pub fn outputs(&self) -> Result<Vec<(String, String)>> {
        self.values("output")
    }

    /// The variables of later steps.
    pub fn environment(&self) -> Result<Vec<(String, String)>> {
        self.values("env")
    }

    /// The summary; empty if the step wrote none.
    pub fn summary(&self) -> Result<String> {
        self.text("summary")
    }

    fn values(&self, name: &str) -> Result<Vec<(String, String)>> {
        values(&self.text(name)?).with_context(|| format!("read what the step wrote into its file `{name}`"))
    }

    fn text(&self, name: &str) -> Result<String> {
        Ok(found(read_text(self.folder.join(name)))?.unwrap_or_default())
    }
}

/// `name=value` on a line, or `name<<END`, lines, and `END`.
fn values(text: &str) -> Result<Vec<(String, String)>> {
    let (mut values, mut lines) = (Vec::new(), text.lines());
    while let Some(line) = lines.next() {
        let (plain, several) = (line.find('='), line.find("<<"));
        let value = match (plain, several) {
            (Some(at), other) if other.is_none_or(|other| at < other) => {
                (line[..at].to_owned(), line[at + 1..].to_owned())
            }
            (_, Some(at)) => {
                let end = &line[at + 2..];
                let mut value = Vec::new();
                loop {
                    match lines.next() {
                        Some(line) if line == end => break,
                        Some(line) => value.push(line),
                        None => anyhow::bail!("no line {end} ends the value of {}", &line[..at]),
                    }
                }
                (line[..at].to_owned(), value.join("\n"))
            }
            _ if line.is_empty() => continue,
            _ => anyhow::bail!("the line {line} has no `=`"),
        };
        values.push(value);
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_one_line_or_several() {
        let read = values("digest=sha256:0=1\n\ntext<<E\na\nb=c\nE\nx=<<y\n").unwrap();
        let shown: Vec<(&str, &str)> = read.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(shown, [("digest", "sha256:0=1"), ("text", "a\nb=c"), ("x", "<<y")]);
        values("text<<E\na").unwrap_err();
        values("nothing").unwrap_err();
    }
}
