//! What a deploy to an Easypanel takes.

use super::Panel;
use crate::check::Check;
use crate::clients::easypanel::{App, Contents, Easypanel, PanelError};
use crate::config::SuppliedBy;
use crate::needs::EASYPANEL_TOKEN;
use crate::settings;
use crate::targets::host::containers::folder;
use crate::targets::host::settings::resolved;

const APP: &str = "app";

/// Every check. None changes anything.
pub(super) async fn checks(panel: &Panel<'_>) -> Vec<Check> {
    let env = panel.env;
    let mut checks = vec![match resolved(env, None) {
        Ok(settings) => {
            let (plain, secret) = (settings.plain.len(), settings.secrets.iter().count());
            Check::good("settings", format!("{plain} settings, {secret} secrets"))
        }
        Err(failure) => Check::failed("settings", failure),
    }];
    if let Ok(table) = settings::table(env) {
        checks.extend(settings::unknown::checks(env, &table));
    }
    let name = env.name();
    let api = match panel.api().await {
        Ok(api) => api,
        Err(error) => {
            checks.push(Check::bad("panel", format!("{error:#}"), fix(name, error.downcast_ref())));
            return checks;
        }
    };
    match api.contents().await {
        Ok(contents) => {
            let found = format!("{}, Easypanel {}", panel.target.panel, api.shape().versions());
            checks.push(Check::good("panel", found));
            checks.extend(services(panel, &contents));
        }
        Err(error) => checks.push(Check::bad("panel", error.to_string(), fix(name, Some(&error)))),
    }
    if checks.iter().all(|check| !check.is_bad()) {
        checks.extend(folders(panel, api).await);
    }
    checks
}

/// What helps where the panel does not do what it is asked.
fn fix(environment: &str, error: Option<&PanelError>) -> String {
    match error {
        Some(PanelError::Away { .. }) => "check `panel` in deploy.yaml, and the network".to_owned(),
        Some(PanelError::Refused { .. } | PanelError::Other { .. }) => {
            "check `panel` in deploy.yaml: it is the address of an Easypanel".to_owned()
        }
        Some(PanelError::Unauthorized { .. }) | None => format!(
            "put a token of the panel's API (Settings, Users, Generate API Key) into .env.{environment}: {EASYPANEL_TOKEN}=…"
        ),
    }
}

/// Whether the panel has the project and each of the services.
fn services(panel: &Panel<'_>, contents: &Contents) -> Vec<Check> {
    let (at, project) = (&panel.target.panel, &panel.target.project);
    if !contents.has_project(project) {
        let found = format!("{at} has no project {project}, or the token's user may not see it");
        return vec![Check::bad("project", found, "create it in the panel, or correct `project` in deploy.yaml")];
    }
    let of = |name: &String| {
        let mut all = contents.services.iter();
        match all.find(|service| service.project_name == *project && service.name == *name) {
            None => Check::bad(
                "service",
                format!("the project {project} has no service {name}"),
                "create it in the panel: + Service, App; or correct `services` in deploy.yaml",
            ),
            Some(service) if service.kind != APP => Check::bad(
                "service",
                format!(
                    "{name} is a service of the kind {}, and only those of the kind {APP} run an image",
                    service.kind
                ),
                "create another one in the panel: + Service, App",
            ),
            Some(_) => Check::good("service", format!("{project}/{name}")),
        }
    };
    panel.target.services.iter().map(of).collect()
}

/// Whether each folder of data is on a volume: in a container it lasts until the next deploy.
async fn folders(panel: &Panel<'_>, api: &Easypanel) -> Vec<Check> {
    let Ok(table) = settings::table(panel.env) else { return Vec::new() };
    let given = resolved(panel.env, None).map(|settings| settings.plain).unwrap_or_default();
    let folders = table.settings.iter().filter_map(|setting| match &setting.supplied_by {
        Some(SuppliedBy::DataFolder(name)) if !given.contains_key(&setting.name) => Some(folder(name)),
        _ => None,
    });
    let folders: Vec<String> = folders.collect();
    let mut checks = Vec::new();
    for app in panel.apps().filter(|_| !folders.is_empty()) {
        match api.inspect(&app).await {
            Ok(inspected) => {
                let bare = folders.iter().filter(|folder| !inspected.mounts(folder));
                checks.extend(bare.map(|folder| loses(&app, folder)));
            }
            Err(error) => checks.push(Check::bad("service", error.to_string(), "see what the panel says of it")),
        }
    }
    checks
}

fn loses(app: &App, folder: &str) -> Check {
    Check::doubtful(
        "data",
        format!(
            "nothing is mounted at {folder} of {}, so its files are lost with the next deploy; add a volume in the panel: Mounts",
            app.service
        ),
    )
}
