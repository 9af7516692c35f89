//! What the sources of a service say: its health path, and in a Dockerfile its port.

use anyhow::{Context as _, Result};
use camino::Utf8Path;

use super::Found;
use crate::fs::{found, read_text};

/// Paths that tell whether a service is well, the most telling first.
const HEALTH: [&str; 10] = [
    "/readyz",
    "/ready",
    "/api/health/readiness",
    "/health/ready",
    "/healthz",
    "/health",
    "/api/health",
    "/livez",
    "/ping",
    "/up",
];

const EXTENSIONS: [&str; 10] = ["rs", "js", "mjs", "cjs", "ts", "go", "py", "rb", "java", "kt"];

/// Folders of what others wrote, or a build.
pub(super) const SKIPPED: [&str; 6] = ["node_modules", "target", "dist", "vendor", "build", "__pycache__"];

/// The largest file that is read, in bytes, and how many are.
const LARGEST: u64 = 256 << 10;
const MOST: usize = 2000;

pub(super) struct Sources {
    pub(super) readiness: Option<Found>,
    /// The port that a Dockerfile exposes.
    pub(super) exposed: Option<u16>,
}

impl Sources {
    pub(super) fn read(root: &Utf8Path) -> Result<Self> {
        let dockerfile = found(read_text(root.join("Dockerfile")))?.unwrap_or_default();
        let exposed = exposed(&dockerfile);
        let (mut best, mut left) = (None, MOST);
        look(root, Utf8Path::new(""), &mut best, &mut left)?;
        Ok(Self { readiness: best.map(|(_, found)| found), exposed })
    }
}

/// The first port of the last stage, which is the image; others are of what it was built in.
fn exposed(dockerfile: &str) -> Option<u16> {
    let mut port = None;
    for line in dockerfile.lines() {
        let mut words = line.split_whitespace();
        let instruction = words.next().unwrap_or_default().to_ascii_uppercase();
        match instruction.as_str() {
            "FROM" => port = None,
            // `8080/tcp`; what is an argument's value is not known here.
            "EXPOSE" => port = port.or_else(|| words.find_map(|word| word.trim_end_matches("/tcp").parse().ok())),
            _ => {}
        }
    }
    port
}

/// Keeps the most telling path below a folder, in the first file that has it. No link is followed.
fn look(root: &Utf8Path, folder: &Utf8Path, best: &mut Option<(usize, Found)>, left: &mut usize) -> Result<()> {
    let mut entries: Vec<_> =
        root.join(folder).read_dir_utf8().with_context(|| format!("list {folder}"))?.filter_map(Result::ok).collect();
    entries.sort_by(|one, other| one.file_name().cmp(other.file_name()));
    for entry in entries {
        let (name, kind) = (entry.file_name(), entry.file_type()?);
        let path = folder.join(name);
        if kind.is_dir() && !name.starts_with('.') && !SKIPPED.contains(&name) {
            look(root, &path, best, left)?;
        } else if kind.is_file()
            && path.extension().is_some_and(|extension| EXTENSIONS.contains(&extension))
            && *left > 0
        {
            *left -= 1;
            if entry.metadata()?.len() > LARGEST {
                continue;
            }
            // What is no text has no path.
            let text = read_text(entry.path()).unwrap_or_default();
            let has = |path: &str| ['"', '\'', '`'].iter().any(|quote| text.contains(&format!("{quote}{path}{quote}")));
            let rank = HEALTH.iter().position(|path| has(path));
            if let Some(rank) = rank.filter(|rank| best.as_ref().is_none_or(|(known, _)| rank < known)) {
                *best = Some((rank, Found { value: HEALTH[rank].to_owned(), by: path.into_string() }));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::exposed;

    #[test]
    fn the_port_is_that_of_the_image() {
        assert_eq!(
            exposed("FROM a AS build\nEXPOSE 1234\nFROM b\nexpose $METRICS 8081/tcp 8443\nEXPOSE 9090"),
            Some(8081)
        );
        assert_eq!(exposed("FROM a\nEXPOSE 1234\nFROM b\n"), None);
        assert_eq!(exposed("FROM a\nEXPOSE 53/udp\n"), None);
    }
}
