//! `tofu output`: what the stack tells of itself. A value that is marked as sensitive is shown to whoever asks for it by
//! its name, and to nobody else.

use std::io::Write as _;

use anyhow::{Result, anyhow};
use serde_json::{Value, json};

use super::{Infra, ready};
use crate::failure::Failure;
use crate::report::Audience;
use crate::secrets::MASK;

/// Shows all outputs, or the value of the one of this name, as it is, with nothing around it.
pub async fn output(infra: &Infra<'_>, name: Option<&str>) -> Result<(), Failure> {
    let _lock = infra.enter("output")?;
    ready::prepare(infra, false).await?;
    let tofu = infra.tofu()?;
    let outputs = infra.ask(tofu.outputs()).await?;
    let Some(name) = name else {
        let shown = |output: &crate::tools::tofu::Output| match output.sensitive {
            true => Value::from(MASK),
            false => output.value.clone(),
        };
        let lines: Vec<String> =
            outputs.iter().map(|(name, output)| format!("{name} = {}", text(&shown(output)))).collect();
        let detail: serde_json::Map<String, Value> =
            outputs.iter().map(|(name, output)| (name.clone(), shown(output))).collect();
        let text = if lines.is_empty() { "there are no outputs".to_owned() } else { lines.join("\n") };
        infra.report.result(json!({ "outputs": detail }), &text);
        return Ok(());
    };
    let Some(output) = outputs.get(name) else {
        let known: Vec<&str> = outputs.keys().map(String::as_str).collect();
        return Err(Failure::Usage(anyhow!(
            "{} has no output {name}; there are: {}",
            infra.name,
            if known.is_empty() { "none".to_owned() } else { known.join(", ") }
        )));
    };
    if !output.sensitive {
        infra.report.result(json!({ "name": name, "value": output.value }), &text(&output.value));
        return Ok(());
    }
    if infra.report.audience() == Audience::Events {
        return Err(Failure::Refused(anyhow!(
            "{name} is sensitive, and events are kept; type it without --json: cargo xtask tofu output {} {name}",
            infra.name
        )));
    }
    // Around the redactor, which may know the value: it was asked for. A reader that went away is no failure of ours.
    drop(writeln!(std::io::stdout(), "{}", text(&output.value)));
    Ok(())
}

/// A text as it is, anything else as JSON.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
