//! The templates: the toolkit's own, and those of the project, which take the place of one with the same name.
//!
//! In the toolkit's own, `{= … =}` stands for a value, because `${{ … }}` is GitHub's. A project's `templates/env.example.j2` keeps
//! minijinja's own `{{ … }}`.

use anyhow::{Context as _, Result};
use camino::Utf8Path;
use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, UndefinedBehavior, Value};

/// The folder of a project's templates.
pub(super) const FOLDER: &str = "templates";

/// The list of settings of a project that has a template for it.
const OF_SETTINGS: &str = "env.example";

/// The toolkit's own, by the name that a template and a project know them by.
const OWN: [(&str, &str); 14] = [
    ("ci.yml", include_str!("../../templates/ci.yml.j2")),
    ("deploy.yml", include_str!("../../templates/deploy.yml.j2")),
    ("drift.yml", include_str!("../../templates/drift.yml.j2")),
    ("rehearse.yml", include_str!("../../templates/rehearse.yml.j2")),
    ("prune.yml", include_str!("../../templates/prune.yml.j2")),
    ("binaries.yml", include_str!("../../templates/binaries.yml.j2")),
    ("dependabot.yml", include_str!("../../templates/dependabot.yml.j2")),
    ("docker-compose.yml", include_str!("../../templates/docker-compose.yml.j2")),
    ("env.environment.example", include_str!("../../templates/env.environment.example.j2")),
    ("parts/begin.yml", include_str!("../../templates/parts/begin.yml.j2")),
    ("parts/check_release.yml", include_str!("../../templates/parts/check_release.yml.j2")),
    ("parts/env.yml", include_str!("../../templates/parts/env.yml.j2")),
    ("parts/hook.yml", include_str!("../../templates/parts/hook.yml.j2")),
    ("parts/pending.yml", include_str!("../../templates/parts/pending.yml.j2")),
];

/// All templates of a project.
pub struct Templates {
    own: Environment<'static>,
    of_settings: Option<String>,
}

impl Templates {
    pub fn load(root: &Utf8Path) -> Result<Self> {
        let mut own = environment(true)?;
        for (name, text) in OWN {
            match of_project(root, name)? {
                Some(other) => own.add_template_owned(name, other),
                None => own.add_template(name, text),
            }
            .with_context(|| format!("read the template {FOLDER}/{name}.j2"))?;
        }
        Ok(Self { own, of_settings: of_project(root, OF_SETTINGS)? })
    }

    /// Renders one of the toolkit's own, or what the project has in its place.
    pub fn render(&self, name: &str, values: Value) -> Result<String> {
        let template = self.own.get_template(name).with_context(|| format!("find the template {name}"))?;
        template.render(values).with_context(|| format!("render {FOLDER}/{name}.j2"))
    }

    /// Renders another template of the project.
    pub fn render_text(&self, path: &Utf8Path, text: &str, values: Value) -> Result<String> {
        self.own.render_named_str(path.as_str(), text, values).with_context(|| format!("render {path}"))
    }

    /// Renders the project's list of settings, if it has one.
    pub fn render_settings(&self, values: Value) -> Result<Option<String>> {
        let Some(source) = &self.of_settings else { return Ok(None) };
        let rendered = environment(false)?.render_named_str("env.example.j2", source, values);
        rendered.map(Some).with_context(|| format!("render {FOLDER}/env.example.j2"))
    }
}

/// Whether the name is one that the toolkit renders itself.
pub(super) fn is_known(name: &str) -> bool {
    name == OF_SETTINGS || OWN.iter().any(|(own, _)| *own == name)
}

fn of_project(root: &Utf8Path, name: &str) -> Result<Option<String>> {
    super::text(root, &Utf8Path::new(FOLDER).join(format!("{name}.j2")))
}

/// An undefined name is an error. A line with nothing but a tag leaves no line.
fn environment(own: bool) -> Result<Environment<'static>> {
    let mut templates = Environment::new();
    templates.set_undefined_behavior(UndefinedBehavior::Strict);
    let mut syntax = SyntaxConfig::builder();
    syntax.trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true);
    if own {
        syntax.variable_delimiters("{=", "=}");
    }
    templates.set_syntax(syntax.build().context("set up the templates' syntax")?);
    Ok(templates)
}
