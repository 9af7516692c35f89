//! Files that are written from data: the service's table of settings, the workflows of GitHub Actions, what Docker Compose runs,
//! and what each environment needs. Templates are the toolkit's own (`xtask/templates`), unless the project has one of the same name in `templates/`.

pub mod actions;
mod compose;
mod examples;
mod hooks;
mod own;
mod schema;
mod shape;
mod templates;
mod toolkit;
mod workflows;

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};
use similar::TextDiff;

pub use self::schema::Schema;
use self::templates::Templates;
pub use self::toolkit::Toolkit;
use crate::config::{Config, Reference, SCHEMA, SettingsTable};
use crate::fs::{project, replace_source};

/// One rendered file.
pub struct Rendered {
    /// Relative to the project's root.
    pub name: Utf8PathBuf,
    /// What it should be.
    pub content: String,
    /// What it is; empty where it is missing.
    pub there: String,
}

/// All rendered files.
pub struct Rendering {
    /// The files, the table of settings first.
    pub files: Vec<Rendered>,
    /// Workflows that were rendered once and are no more: GitHub runs them still.
    pub left: Vec<Utf8PathBuf>,
    /// The service's table of settings.
    pub table: SettingsTable,
    /// Why the table of settings was not compared with the service, if it was not.
    pub not_compared: Option<String>,
}

impl Rendered {
    /// Whether the file is up to date.
    pub fn is_fresh(&self) -> bool {
        self.there == self.content
    }

    /// The unified diff from the file to what it should be.
    pub fn diff(&self) -> String {
        let names = (format!("{} (in the tree)", self.name), format!("{} (rendered)", self.name));
        TextDiff::from_lines(&self.there, &self.content).unified_diff().header(&names.0, &names.1).to_string()
    }

    /// Writes the file. Fails where a link would lead to another place.
    pub fn write(&self, config: &Config) -> Result<()> {
        let path = project::place_to_write(&config.root, &self.name).with_context(|| format!("write {}", self.name))?;
        if let Some(folder) = path.parent() {
            fs_err::create_dir_all(folder)?;
        }
        replace_source(&path, self.content.as_bytes())
    }
}

/// Renders every file and compares it with the tree. Changes nothing.
pub async fn render(config: &Config, schema: Schema<'_>) -> Result<Rendering> {
    let mut contents = Vec::new();
    let said = schema::table(config, schema).await?;
    contents.extend(config.service.settings.clone().zip(said.written));
    let templates = Templates::load(&config.root, Toolkit::of(&config.root)?)?;
    contents.extend(examples::all(config, &said.table, &templates)?);
    contents.extend(compose::all(config, &said.table, &templates)?);
    contents.extend(own::all(config, &said.table, &templates)?);
    if let Some(github) = &config.github {
        contents.extend(workflows::all(config, &github.workflows, &said.table, &templates)?);
    }
    if config.names_schema() {
        contents.push((SCHEMA.into(), Reference::new().schema_text()));
    }
    let mut files = Vec::new();
    for (name, content) in contents {
        let there = text(&config.root, &name)?.unwrap_or_default();
        files.push(Rendered { name, content, there });
    }
    let left = workflows::left(&config.root, files.iter().map(|file| &file.name));
    Ok(Rendering { files, left, table: said.table, not_compared: said.not_compared })
}

/// The text of a file of the project; none where nothing is. A link would show another file in the diff.
fn text(root: &Utf8Path, path: &Utf8Path) -> Result<Option<String>> {
    let Some(bytes) = project::read_own(root, path).with_context(|| format!("read {path}"))? else { return Ok(None) };
    String::from_utf8(bytes).map(Some).with_context(|| format!("{path} is not UTF-8"))
}
