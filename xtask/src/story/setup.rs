//! Installs what is missing on this machine.

use serde_json::json;

use super::preflight::missing_packages;
use super::{Env, Failure};
use crate::tool::apt::Way;
use crate::tool::platform;

/// What the tests take beside what the service needs: real photographs, and Debian's packages that they come in.
const TEST_FILES: [(&str, &str); 2] =
    [("/usr/share/backgrounds/mate", "mate-backgrounds"), ("/usr/share/backgrounds/gnome", "gnome-backgrounds")];

/// Installs the programs that the build and the service's features need, and with `tests` what the tests need too.
pub async fn setup(env: &Env<'_>, tests: bool, dry_run: bool) -> Result<(), Failure> {
    let mut packages = missing_packages(env, |_| true);
    if env.config.service.web.is_some() {
        packages.extend(
            [("node", "nodejs"), ("npm", "npm")]
                .iter()
                .filter(|(program, _)| platform::find_program(program).is_none())
                .map(|(_, package)| *package),
        );
    }
    if tests {
        packages.extend(
            TEST_FILES.iter().filter(|(path, _)| !std::path::Path::new(path).exists()).map(|(_, package)| *package),
        );
    }
    packages.dedup();
    if packages.is_empty() {
        env.report.result(json!({ "missing": packages }), "nothing is missing");
        return Ok(());
    }
    let names = packages.join(" ");
    let way = Way::find(&packages).await?;
    if dry_run {
        env.report.result(json!({ "missing": packages }), &format!("missing: {names}"));
        return Ok(());
    }
    env.report.note(&format!("installing {names}"));
    // A way that only a person can go fails with the command to type.
    way.install(&packages, |line| env.report.detail(line)).await?;
    env.report.result(json!({ "installed": packages }), &format!("installed: {names}"));
    Ok(())
}
