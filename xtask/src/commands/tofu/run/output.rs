//! `tofu output`

use std::collections::BTreeMap;

use anyhow::anyhow;
use serde_json::{Map, Value, json};

use super::{enter, initialize};
use crate::commands::Context;
use crate::commands::tofu::OutputArgs;
use crate::env::Env;
use crate::failure::Failure;
use crate::report::Audience;
use crate::secrets::MASK;
use crate::tofu;
use crate::tools::tofu::Output;

impl OutputArgs {
    /// Runs the command.
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let env = context.env(&self.stack.environment)?;
        let workspace = enter(&env, "output").await?;
        initialize(&workspace).await?;
        let outputs = tofu::outputs(&workspace, &env.stop).await?;
        match &self.name {
            Some(name) => show_one(&env, &outputs, name),
            None => {
                show_all(&env, &outputs);
                Ok(())
            }
        }
    }
}

fn show_all(env: &Env<'_>, outputs: &BTreeMap<String, Output>) {
    let masked = |output: &Output| if output.sensitive { Value::from(MASK) } else { output.value.clone() };
    let lines: Vec<String> =
        outputs.iter().map(|(name, output)| format!("{name} = {}", text(&masked(output)))).collect();
    let detail: Map<String, Value> = outputs.iter().map(|(name, output)| (name.clone(), masked(output))).collect();
    let text = if lines.is_empty() { "there are no outputs".to_owned() } else { lines.join("\n") };
    env.report.result(json!({ "outputs": detail }), &text);
}

/// Prints one value alone, also a sensitive one: the user asked for it by its name.
fn show_one(env: &Env<'_>, outputs: &BTreeMap<String, Output>, name: &str) -> Result<(), Failure> {
    let environment = env.name();
    let Some(output) = outputs.get(name) else {
        let names: Vec<&str> = outputs.keys().map(String::as_str).collect();
        let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        return Err(Failure::Usage(anyhow!("{environment} has no output {name}; its outputs: {names}")));
    };
    if env.report.audience() == Audience::Events {
        if !output.sensitive {
            env.report.result(json!({ "name": name, "value": output.value }), "");
            return Ok(());
        }
        return Err(Failure::Refused(anyhow!(
            "{name} is sensitive, and events are usually logged; repeat it without --json: cargo xtask tofu output {environment} {name}"
        )));
    }
    // Not through the redactor, which may know the value.
    env.report.data(&format!("{}\n", text(&output.value)));
    Ok(())
}

/// A string as it is, anything else as JSON.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
