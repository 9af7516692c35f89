//! The variables of `.env.example`, as deploy.yaml declares them.

use anyhow::Result;
use camino::Utf8Path;

use super::scalar;
use crate::fs::{found, read_text};
use crate::secrets::{has_password, is_secret_name};

/// Names, and what deploy.yaml says of each.
pub(super) type Variables = Vec<(String, String)>;

/// The port, and the other variables.
pub(super) fn find(root: &Utf8Path) -> Result<(Option<u16>, Variables)> {
    let text = found(read_text(root.join(".env.example")))?.unwrap_or_default();
    let (mut port, mut variables) = (None, Variables::new());
    for line in text.lines() {
        let line = line.trim().trim_start_matches("export ");
        let Some((name, value)) = line.split_once('=').filter(|_| !line.starts_with('#')) else { continue };
        let (name, value) =
            (name.trim(), value.split(" #").next().unwrap_or_default().trim().trim_matches(['"', '\'']));
        let is_name = name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
        if !is_name || name.starts_with(|c: char| c.is_ascii_digit()) || name.is_empty() {
            continue;
        }
        if name == "PORT" {
            port = value.parse().ok();
        } else if !variables.iter().any(|(known, _)| known == name) {
            variables.push((name.to_owned(), declared(name, value)));
        }
    }
    Ok((port, variables))
}

fn declared(name: &str, value: &str) -> String {
    if value.starts_with("postgres://") || value.starts_with("postgresql://") {
        "{ secret: true, supplied_by: postgres }".to_owned()
    } else if is_secret_name(name) || has_password(value) {
        "{ secret: true }".to_owned()
    } else if value.is_empty() {
        "{ required: false }".to_owned()
    } else {
        scalar(value)
    }
}
