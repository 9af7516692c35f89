//! The variables of `.env.example`, as deploy.yaml declares them.

use anyhow::Result;
use camino::Utf8Path;

use super::scalar;
use crate::config::OF_THE_SOCKET;
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
        // The toolkit's own: which socket is handed over, and where programs are.
        if name == "PATH" || OF_THE_SOCKET.contains(&name) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_toolkit_and_the_machine_set_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(folder.path()).unwrap();
        let example = "PORT=80\nPATH=/bin\nLISTEN_FDS=1\nLISTEN_PID=2\nLISTEN_ADDR=0.0.0.0\nSIZE=1.10\n";
        fs_err::write(root.join(".env.example"), example).unwrap();
        let (port, variables) = find(root).unwrap();
        let written: Vec<String> = variables.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        assert_eq!(
            (port, written.as_slice()),
            (Some(80), &["LISTEN_ADDR: \"0.0.0.0\"", "SIZE: \"1.10\""].map(str::to_owned)[..])
        );
    }
}
