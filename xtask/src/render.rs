//! Files that are written from data: the service's table of settings, and what the templates make of it.

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment as Templates, UndefinedBehavior, context};
use similar::TextDiff;

use crate::config::{Config, SettingsTable};
use crate::fs::{project, replace_source};
use crate::tools::cargo::{self, Profile};
use crate::tools::cmd::Cmd;

/// Rendered files, each from the template of its name in `templates/`.
const RENDERED: [(&str, &str); 1] = [(".env.example", "env.example.j2")];

/// One rendered file.
pub struct Rendered {
    /// Relative to the project's root.
    pub name: Utf8PathBuf,
    /// What it should be.
    pub content: String,
    /// What it is; empty where it is missing.
    pub there: String,
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

    /// Writes the file.
    pub fn write(&self, config: &Config) -> Result<()> {
        replace_source(&config.root.join(&self.name), self.content.as_bytes())
    }
}

/// Renders every file and compares it with the tree. Changes nothing. The service's program says its settings: this one, or
/// one that is compiled now.
pub async fn render(config: &Config, program: Option<&Utf8Path>) -> Result<Vec<Rendered>> {
    let mut rendered = Vec::new();
    for (name, content) in contents(config, program).await? {
        let there = text(&config.root, &name)?.unwrap_or_default();
        rendered.push(Rendered { name, content, there });
    }
    Ok(rendered)
}

/// What each file should be, the settings table first: the others are made from it.
async fn contents(config: &Config, program: Option<&Utf8Path>) -> Result<Vec<(Utf8PathBuf, String)>> {
    let service = &config.service;
    let mut contents = Vec::new();
    let table = match &service.schema {
        Some(args) => {
            let (root, package, binary) = (&config.root, &service.package, &service.binary);
            let program = match program {
                Some(program) => program.to_owned(),
                None => {
                    let (profile, locked, database) = (Profile::Dev, false, None);
                    let hidden = &config.secret_names();
                    let build = cargo::Build { root, package, binary, profile, locked, database, hidden };
                    cargo::build(&build, |_| {}, |_| {}).await?
                }
            };
            let said = Cmd::new(program).args(args.iter().map(String::as_str)).capture().await;
            let said = said.context("ask the service for its settings")? + "\n";
            let table = SettingsTable::parse(&said, &service.settings)?;
            contents.push((service.settings.clone(), said));
            table
        }
        None => config.settings_table()?,
    };
    let mut templates = Templates::new();
    templates.set_undefined_behavior(UndefinedBehavior::Strict);
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true).build();
    templates.set_syntax(syntax.context("set up the templates' syntax")?);
    for (target, template) in RENDERED {
        let path = Utf8Path::new("templates").join(template);
        let Some(source) = text(&config.root, &path)? else { continue };
        let rendered = templates
            .render_named_str(
                template,
                &source,
                context! { project => &config.project, settings => Serde(&table.settings) },
            )
            .with_context(|| format!("render {path}"))?;
        contents.push((Utf8PathBuf::from(target), rendered));
    }
    Ok(contents)
}

/// The text of a file of the project; none where nothing is. A link would show another file in the diff.
fn text(root: &Utf8Path, path: &Utf8Path) -> Result<Option<String>> {
    let Some(bytes) = project::read_own(root, path).with_context(|| format!("read {path}"))? else { return Ok(None) };
    String::from_utf8(bytes).map(Some).with_context(|| format!("{path} is not UTF-8"))
}
