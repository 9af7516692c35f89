//! What a bootstrap finds out and a stack takes as a variable: its value must reach the stack, and stay the same.

use anyhow::Result;
use camino::Utf8Path;
use secrecy::ExposeSecret as _;

use super::item::Item;
use crate::env::Env;

/// The item of a variable of the environment's stack that should have this value. A stack that does not declare it takes
/// nothing; then the value is only said.
pub fn item<M>(env: &Env<'_>, name: &'static str, value: &str) -> Result<Item<M>> {
    let (config, environment) = (env.config, env.environment);
    let Some(stack) = environment.stack() else { return Ok(Item::good(name, value)) };
    let outside = format!("TF_VAR_{name}");
    let given = env.value(&outside)?;
    let given = given.as_ref().map(|given| (given.expose_secret().to_owned(), outside.as_str()));
    let written = stack.variables.get(name).map(|written| (written.clone(), "deploy.yaml"));
    Ok(match given.or(written) {
        Some((given, _)) if given == value => Item::good(name, value),
        Some((given, place)) => {
            Item::by_hand(name, format!("{given} in {place}"), value, format!("write {value} there"))
        }
        None if declares(&config.root.join(&stack.folder), name)? => {
            let next = format!("write into `variables` of {} in deploy.yaml: {name}: {value}", environment.name);
            Item::by_hand(name, "not in deploy.yaml", value, next)
        }
        None => Item::good(name, value),
    })
}

/// Whether the files of a stack have a variable of this name, as `fmt` writes it.
fn declares(folder: &Utf8Path, name: &str) -> Result<bool> {
    for entry in fs_err::read_dir(folder)? {
        let path = entry?.path();
        let is_stack = path.extension().is_some_and(|extension| extension == "tf" || extension == "tofu");
        if is_stack && fs_err::read_to_string(path)?.contains(&format!("variable \"{name}\" {{")) {
            return Ok(true);
        }
    }
    Ok(false)
}
