//! `image inspect`

use serde_json::{Value, json};

use crate::commands::Context;
use crate::commands::image::InspectArgs;
use crate::failure::Failure;
use crate::image::ServiceImage;
use crate::image::inspect::{Inspected, inspect};
use crate::image::list::printable;
use crate::image::size::human_bytes;
use crate::secrets::shortened;
use crate::tools::git;

/// Characters of an instruction in a line.
const SHOWN: usize = 90;

impl InspectArgs {
    /// Runs the command.
    pub async fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let env = context.env(&self.environment.environment)?;
        let image = ServiceImage::find(&env)?;
        let reference = match self.reference {
            Some(reference) => reference,
            None => git::head(env.root()).await?.commit,
        };
        let inspected = inspect(&image, &reference).await?;
        env.report.result(detail(&inspected), &text(&inspected));
        Ok(())
    }
}

fn text(inspected: &Inspected) -> String {
    let mut text = String::new();
    let mut row = |label: &str, value: &str| {
        if !value.is_empty() {
            text.push_str(&format!("  {label:<10}  {}\n", printable(value)));
        }
    };
    let (config, container) = (&inspected.config, &inspected.config.config);
    let user = if container.user.is_empty() { "root" } else { &container.user };
    let command = container.entrypoint.iter().chain(&container.cmd).flatten().cloned().collect::<Vec<_>>();
    let ports = container.exposed_ports.iter().flat_map(|ports| ports.keys().cloned()).collect::<Vec<_>>();
    row("image", &inspected.name);
    row("platform", &config.platform());
    row("created", &config.created.map(|created| created.to_string()).unwrap_or_default());
    row("size", &format!("{} compressed", human_bytes(inspected.size)));
    row("user", user);
    row("command", &command.join(" "));
    row("directory", &container.working_dir);
    row("ports", &ports.join(", "));
    row("health", &container.healthcheck.as_ref().map(|check| check.test.join(" ")).unwrap_or_default());
    for (index, value) in container.env.iter().flatten().enumerate() {
        row(if index == 0 { "env" } else { "" }, value);
    }
    for (index, (name, value)) in container.labels.iter().flatten().enumerate() {
        row(if index == 0 { "labels" } else { "" }, &format!("{name}={value}"));
    }
    for (index, layer) in inspected.layers.iter().enumerate() {
        let instruction = shortened(&layer.instruction, SHOWN);
        row(if index == 0 { "layers" } else { "" }, &format!("{:>10}  {instruction}", human_bytes(layer.bytes)));
    }
    for (index, attached) in inspected.attached.iter().enumerate() {
        let statement = format!("{:>10}  {}", human_bytes(attached.size), attached.name());
        row(if index == 0 { "attached" } else { "" }, &statement);
    }
    text.trim_end().to_owned()
}

fn detail(inspected: &Inspected) -> Value {
    let (config, container) = (&inspected.config, &inspected.config.config);
    let layer =
        |layer: &crate::image::inspect::LayerSize| json!({ "bytes": layer.bytes, "instruction": layer.instruction });
    let attached = |statement: &crate::image::attached::Attached| json!({ "predicate": statement.predicate, "digest": statement.digest, "bytes": statement.size });
    json!({
        "digest": inspected.digest,
        "platform": config.platform(),
        "created": config.created,
        "bytes": inspected.size,
        "user": container.user,
        "entrypoint": container.entrypoint,
        "cmd": container.cmd,
        "working_dir": container.working_dir,
        "ports": container.exposed_ports.as_ref().map(|ports| ports.keys().collect::<Vec<_>>()),
        "healthcheck": container.healthcheck,
        "env": container.env,
        "labels": container.labels,
        "layers": inspected.layers.iter().map(layer).collect::<Vec<_>>(),
        "attached": inspected.attached.iter().map(attached).collect::<Vec<_>>(),
    })
}
