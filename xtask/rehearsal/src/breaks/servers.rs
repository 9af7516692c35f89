//! Servers that are away for some time.

use std::time::Duration;

use anyhow::Result;

use crate::stage::Stage;

/// How long each is away: longer than the few attempts of a command that only asks, shorter than a deploy waits.
const AWAY: Duration = Duration::from_secs(5);

/// The bucket of the state: away for some seconds, then for good.
pub async fn state(stage: &Stage<'_>) -> Result<Vec<String>> {
    let pause = |stage: &Stage<'_>| stage.servers()?.of_stack().map(|servers| servers.storage.borrow_mut().pause());
    let go_on = |stage: &Stage<'_>| stage.servers()?.of_stack()?.storage.borrow_mut().go_on();
    // OpenTofu holds what it has made until it has saved it.
    away(stage, [("apply", "progress"), ("plan", "started")], pause, go_on).await
}

/// The registry: away for some seconds, then for good.
pub async fn registry(stage: &Stage<'_>) -> Result<Vec<String>> {
    let pause = |stage: &Stage<'_>| stage.servers()?.registry().map(|registry| registry.borrow_mut().pause());
    let go_on = |stage: &Stage<'_>| stage.servers()?.registry()?.borrow_mut().go_on();
    away(stage, [("build", "started"), ("build", "started")], pause, go_on).await
}

/// Takes a server away when a step of a deploy is in a state: for some seconds in the first, for good in the second.
async fn away(
    stage: &Stage<'_>,
    [some, good]: [(&str, &str); 2],
    pause: impl Fn(&Stage<'_>) -> Result<()>,
    go_on: impl Fn(&Stage<'_>) -> Result<()>,
) -> Result<Vec<String>> {
    stage.clone()?.commit("A version that is deployed although a server was away").await?;
    let mut running = stage.start_deploy(&[]).await?;
    running.reaches(some.0, some.1).await?;
    pause(stage)?;
    let back = async {
        tokio::time::sleep(AWAY).await;
        go_on(stage)
    };
    let (ended, back) = tokio::join!(running.end(), back);
    back?;
    ended?.expect(&[0])?;
    let version = stage.version().await?;
    let mut proof = vec![format!(
        "away for {} s in mid-deploy, and tried again: {}",
        AWAY.as_secs(),
        stage.serves(&version).await?
    )];

    stage.clone()?.commit("A version that waits for a server").await?;
    let mut running = stage.start_deploy(&[]).await?;
    running.reaches(good.0, good.1).await?;
    pause(stage)?;
    let failed = running.end().await;
    go_on(stage)?;
    let failed = failed?.expect(&[1])?;
    proof.push(format!("away for good: exit code 1: {}", failed.reason()));
    stage.deploy().await?.expect(&[0])?;
    proof.push(format!("back, and deployed: {}", stage.serves(&stage.version().await?).await?));
    Ok(proof)
}
