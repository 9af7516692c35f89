//! A value that bootstrap finds and the stack takes as a variable.

use anyhow::Result;
use camino::Utf8Path;
use secrecy::ExposeSecret as _;

use super::item::Item;
use crate::env::Env;
use crate::fs::read_text;

/// The item of a variable of the environment's stack. It is good when the stack gets `value`, or declares no variable of
/// this name.
pub fn item<F>(env: &Env<'_>, name: &'static str, value: &str) -> Result<Item<F>> {
    let (config, environment) = (env.config, env.environment);
    let Some(stack) = environment.stack() else { return Ok(Item::good(name, value)) };
    let outside = format!("TF_VAR_{name}");
    let given = env.value(&outside)?;
    let given = given.as_ref().map(|given| (given.expose_secret().to_owned(), outside.as_str()));
    let written = stack.variables.get(name).map(|written| (written.clone(), "deploy.yaml"));
    Ok(match given.or(written) {
        Some((given, _)) if given == value => Item::good(name, value),
        Some((given, source)) => {
            Item::by_hand(name, format!("{given} in {source}"), value, format!("set it to {value} there"))
        }
        None if declares(&config.root.join(&stack.folder), name)? => {
            let next = format!("add it to `variables` of {} in deploy.yaml: {name}: {value}", environment.name);
            Item::by_hand(name, "not in deploy.yaml", value, next)
        }
        None => Item::good(name, value),
    })
}

/// Whether a stack's files declare a variable of this name, in the layout of `tofu fmt`.
pub(super) fn declares(folder: &Utf8Path, name: &str) -> Result<bool> {
    for entry in folder.read_dir_utf8()? {
        let path = entry?.into_path();
        let is_stack = matches!(path.extension(), Some("tf" | "tofu"));
        if is_stack && read_text(path)?.contains(&format!("variable \"{name}\" {{")) {
            return Ok(true);
        }
    }
    Ok(false)
}
