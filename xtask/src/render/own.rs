//! Files of the project that repeat what deploy.yaml says, such as defaults of a stack's variables: `templates/<path>.j2` is rendered to
//! `<path>`, if it has `{= head =}`, which says in the file where it is from.

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};
use minijinja::context;
use minijinja::value::Serde;

use super::templates::{FOLDER, Templates, is_known};
use crate::config::{Config, Environment, SettingsTable, Target};

/// What tells a template of a rendered file from the service's own.
const MARK: &str = "{= head =}";

/// Their names and contents, in the order of their names.
pub fn all(config: &Config, table: &SettingsTable, templates: &Templates) -> Result<Vec<(Utf8PathBuf, String)>> {
    let mut paths = Vec::new();
    collect(&config.root, Utf8Path::new(""), &mut paths)?;
    paths.sort();
    let service = &config.service;
    let of_media = |environment: &&Environment| matches!(environment.target, Target::Media(_));
    let environments = config.environments.values().filter(|one| !of_media(one)).map(environment).collect::<Vec<_>>();
    let values = context! {
        head => templates.head("its template is in templates/, its values are from deploy.yaml"),
        project => &config.project,
        settings => Serde(&table.settings),
        environments,
        service => context! {
            package => &service.package,
            settings => service.settings.as_deref().map(Utf8Path::as_str),
            readiness => &service.readiness,
            migrations => service.migrations.as_deref().map(Utf8Path::as_str),
            web => service.web.as_deref().map(Utf8Path::as_str),
        },
    };
    let one = |path: Utf8PathBuf| {
        let source = Utf8Path::new(FOLDER).join(format!("{path}.j2"));
        let text = super::text(&config.root, &source)?.with_context(|| format!("{source} is gone"))?;
        // A service has templates of its own, often here. One of a rendered file says so in it.
        if !text.contains(MARK) {
            return Ok(None);
        }
        let rendered = templates.render_text(&source, &text, values.clone())?;
        Ok(Some((path, rendered)))
    };
    paths.into_iter().filter_map(|path| one(path).transpose()).collect()
}

fn environment(environment: &Environment) -> minijinja::Value {
    let stack = environment.stack();
    context! {
        name => &environment.name,
        domain => environment.domain(),
        registry => environment.registry(),
        stack => stack.map(|stack| stack.folder.as_str()),
    }
}

/// The paths that templates in this folder are rendered to. No link is followed.
fn collect(root: &Utf8Path, folder: &Utf8Path, paths: &mut Vec<Utf8PathBuf>) -> Result<()> {
    let place = root.join(FOLDER).join(folder);
    if !place.is_dir() {
        return Ok(());
    }
    for entry in place.read_dir_utf8().with_context(|| format!("read {FOLDER}/{folder}"))? {
        let entry = entry?;
        let path = folder.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            collect(root, &path, paths)?;
        } else if let Some(name) = path.as_str().strip_suffix(".j2").filter(|name| !is_known(name)) {
            paths.push(name.into());
        }
    }
    Ok(())
}
