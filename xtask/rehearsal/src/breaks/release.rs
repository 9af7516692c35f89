//! Releases that do not serve.

use anyhow::{Context as _, Result};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use xtask::config::SuppliedBy;

use crate::stage::Stage;

/// The type of the resource that runs the service.
const CONTAINER: &str = "scaleway_container";

/// A value of the environment is wrong, so the release never gets ready, and neither does the one before it with the same value.
/// It is set right, and the release is deployed.
pub async fn health(stage: &Stage<'_>) -> Result<Vec<String>> {
    let before = stage.version().await?;
    stage.clone()?.commit("A version with a wrong value").await?;
    let table = stage.config.settings_table()?;
    let database = table.settings.iter().find(|setting| setting.supplied_by == Some(SuppliedBy::Postgres));
    let (name, wrong) = match database {
        Some(setting) => {
            let secrets = stage.secrets();
            let url = secrets.get(&setting.name).context("the database has a URL")?.expose_secret();
            (setting.name.as_str(), with_another_password(url)?)
        }
        None => ("TF_VAR_release", "another-release".to_owned()),
    };
    stage.write_env_file(&[(name, SecretString::from(wrong))])?;
    let failed = stage.deploy().await?.expect(&[30, 31])?;
    let mut proof =
        vec![format!("{name} is wrong: exit code {}: {}", failed.code.unwrap_or_default(), failed.reason())];
    proof.push(match failed.code {
        Some(30) => stage.serves(&before).await?,
        _ => "nothing served until it was set right: the release before it gets the same value".to_owned(),
    });
    stage.write_env_file(&[])?;
    stage.deploy().await?.expect(&[0])?;
    proof.push(format!("set right, and deployed again: {}", stage.serves(&stage.version().await?).await?));
    Ok(proof)
}

/// The release's container ends at once. The one before it is restored.
pub async fn crash(stage: &Stage<'_>) -> Result<Vec<String>> {
    let (before, clone) = (stage.version().await?, stage.clone()?);
    let dockerfile = stage.config.image.as_ref().context("there is an image")?.dockerfile.clone();
    let path = clone.root.join(dockerfile);
    let text = fs_err::read_to_string(&path)?;
    fs_err::write(&path, format!("{}\nENTRYPOINT [\"/no/such/program\"]\n", text.trim_end()))?;
    clone.commit("A version whose program is missing").await?;
    let public = stage.public().await?;
    let (failed, load) = public.while_it_runs(stage.deploy()).await;
    let failed = failed?.expect(&[30])?;
    let serves = stage.serves(&before).await?;
    clone.revert().await?;
    stage.deploy().await?.expect(&[0])?;
    Ok(vec![
        format!("exit code 30: {}", failed.reason()),
        format!("restored: {serves}; {load}"),
        format!("taken back, and deployed: {}", stage.serves(&stage.version().await?).await?),
    ])
}

/// The platform refuses the change of the container once.
pub async fn apply(stage: &Stage<'_>) -> Result<Vec<String>> {
    let before = stage.version().await?;
    stage.clone()?.commit("A version that the platform refuses").await?;
    let refusal =
        json!([{ "type": CONTAINER, "during": "update", "times": 1, "fault": { "fail": "the platform refuses it" } }]);
    stage.servers()?.of_stack()?.cloud.borrow().faults(&refusal)?;
    let failed = stage.deploy().await?.expect(&[1, 30])?;
    let serves = stage.serves(&before).await?;
    stage.servers()?.of_stack()?.cloud.borrow().faults(&json!([]))?;
    stage.deploy().await?.expect(&[0])?;
    Ok(vec![
        format!("exit code {}: {}", failed.code.unwrap_or_default(), failed.reason()),
        serves,
        format!("deployed again: {}", stage.serves(&stage.version().await?).await?),
    ])
}

/// The same URL with a password that the server does not accept.
fn with_another_password(url: &str) -> Result<String> {
    let (begin, rest) = url.rsplit_once('@').context("the URL has a password")?;
    let (user, _) = begin.rsplit_once(':').context("the URL has a password")?;
    Ok(format!("{user}:wrong-password@{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_password_is_replaced() {
        let wrong = with_another_password("postgres://a:b%40c@10.0.0.1:5/d?sslmode=require").unwrap();
        assert_eq!(wrong, "postgres://a:wrong-password@10.0.0.1:5/d?sslmode=require");
    }
}
