//! What the stack of an environment's media gives the service: outputs of its last apply.

use anyhow::anyhow;
use secrecy::SecretString;

use super::{Workspace, init_if_changed, outputs};
use crate::config::{Media, Target};
use crate::env::Env;
use crate::failure::Failure;
use crate::release::{MediaSettings, MediaValue};
use crate::report::Ongoing;
use crate::signals::Stop;
use crate::tools::git;
use crate::tools::tofu::Output;

/// The present settings of an environment's media. Empty where it has no stack for them.
pub async fn settings(env: &Env<'_>, step: &Ongoing, stop: &Stop) -> Result<MediaSettings, Failure> {
    let (Some(media), Some(of_media)) = (&env.environment.media, env.media()) else {
        return Ok(MediaSettings::default());
    };
    let source = git::source(env.root(), git::Filters::Run).await?;
    let workspace = Workspace::enter(&of_media, source, &format!("read the outputs of {}", of_media.name())).await?;
    init_if_changed(&workspace, step, stop).await?;
    read(&workspace, media, stop).await
}

/// The same of a working folder that is initialized.
pub async fn read(workspace: &Workspace<'_>, media: &Media, stop: &Stop) -> Result<MediaSettings, Failure> {
    let outputs = outputs(workspace, stop).await?;
    let mut settings = MediaSettings::default();
    for (setting, path) in &media.settings {
        let (name, key) = path.split_once('.').map_or((path.as_str(), None), |(name, key)| (name, Some(key)));
        let found = outputs.get(name).and_then(|output| value(output, key));
        let value = found.ok_or_else(|| {
            let (folder, name) = (&media.stack.folder, workspace.name());
            let next = match &workspace.env.environment.target {
                Target::Media(media) if outputs.is_empty() => {
                    format!("it is applied by: cargo xtask deploy {}", media.of)
                }
                _ => format!("its outputs are shown by: cargo xtask tofu output {name}"),
            };
            Failure::Refused(anyhow!(
                "the stack {folder} gives no {setting}: {name} has no output {path} with a text\n  {next}"
            ))
        })?;
        if value.sensitive {
            workspace.env.report.redactor().learn_value(&value.text);
        }
        settings.0.insert(setting.clone(), value);
    }
    Ok(settings)
}

/// The text of an output, or of what it has under a key.
fn value(output: &Output, key: Option<&str>) -> Option<MediaValue> {
    let value = key.map_or(Some(&output.value), |key| output.value.get(key))?;
    let text = match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Number(number) => number.to_string(),
        serde_json::Value::Bool(flag) => flag.to_string(),
        serde_json::Value::Null | serde_json::Value::Array(_) | serde_json::Value::Object(_) => return None,
    };
    Some(MediaValue { text: SecretString::from(text), sensitive: output.sensitive })
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;
    use serde_json::json;

    use super::*;

    #[test]
    fn an_output_is_a_text_or_has_one_under_a_key() {
        let of = |written: serde_json::Value, key| {
            value(&Output { sensitive: true, value: written }, key).map(|value| value.text.expose_secret().to_owned())
        };
        assert_eq!(of(json!("a.b"), None).as_deref(), Some("a.b"));
        assert_eq!(of(json!({ "a.b": "c" }), Some("a.b")).as_deref(), Some("c"));
        assert_eq!(of(json!(3), None).as_deref(), Some("3"));
        for (written, key) in [(json!(null), None), (json!({ "a": "b" }), None), (json!({ "a": "b" }), Some("c"))] {
            assert_eq!(of(written, key), None);
        }
    }
}
