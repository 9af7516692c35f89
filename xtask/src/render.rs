//! Files that are written from data: the service's settings table, and what the templates make of it. `--check` writes
//! nothing and shows what differs.

use anyhow::{Context as _, Result, anyhow};
use camino::Utf8PathBuf;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment as Templates, UndefinedBehavior, context};
use serde_json::json;
use similar::TextDiff;

use crate::config::{Config, SettingsTable};
use crate::failure::Failure;
use crate::report::Report;
use crate::state::store::replace_file;
use crate::tools::cargo::{self, Profile};
use crate::tools::cmd::Cmd;

/// Rendered files, each from the template of its name in `templates/`.
const RENDERED: [(&str, &str); 1] = [(".env.example", "env.example.j2")];

/// Writes every rendered file, or with `check` fails with a diff when one is not what it should be.
pub async fn render(config: &Config, check: bool, report: &Report) -> Result<(), Failure> {
    let mut drifted = Vec::new();
    for (name, content) in contents(config).await? {
        let path = config.root.join(&name);
        let there = match fs_err::read_to_string(&path) {
            Ok(there) => there,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(anyhow::Error::from(error).into()),
        };
        if there == content {
            continue;
        }
        if check {
            let diff = TextDiff::from_lines(&there, &content);
            let diff =
                diff.unified_diff().header(&format!("{name} (in the tree)"), &format!("{name} (rendered)")).to_string();
            report.result(json!({ "file": name, "diff": diff }), &diff);
        } else {
            replace_file(&path, content.as_bytes())?;
            report.result(json!({ "file": name, "written": true }), &format!("wrote {name}"));
        }
        drifted.push(name);
    }
    if check && !drifted.is_empty() {
        let names: Vec<&str> = drifted.iter().map(|name| name.as_str()).collect();
        return Err(anyhow!("not up to date: {}; type: cargo xtask render", names.join(", ")).into());
    }
    if drifted.is_empty() {
        report.note("every rendered file is up to date");
    }
    Ok(())
}

/// What each file should be, the settings table first: the others are made from it.
async fn contents(config: &Config) -> Result<Vec<(Utf8PathBuf, String)>> {
    let service = &config.service;
    let mut contents = Vec::new();
    let table = match &service.schema {
        Some(args) => {
            let program =
                cargo::build(&config.root, &service.package, &service.binary, Profile::Dev, |_| {}, |_| {}).await?;
            let said = Cmd::new(program).args(args.iter().map(String::as_str)).capture().await;
            let said = said.context("ask the service for its settings")? + "\n";
            let table = SettingsTable::parse(&said, &service.settings)?;
            contents.push((service.settings.clone(), said));
            table
        }
        None => SettingsTable::load(&config.root, &service.settings)?,
    };
    let mut templates = Templates::new();
    templates.set_undefined_behavior(UndefinedBehavior::Strict);
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true).build();
    templates.set_syntax(syntax.context("set up the templates' syntax")?);
    for (target, template) in RENDERED {
        let path = config.root.join("templates").join(template);
        if !path.exists() {
            continue;
        }
        let source = fs_err::read_to_string(&path)?;
        let text = templates
            .render_named_str(
                template,
                &source,
                context! { project => &config.project, settings => Serde(&table.settings) },
            )
            .with_context(|| format!("render {path}"))?;
        contents.push((Utf8PathBuf::from(target), text));
    }
    Ok(contents)
}
