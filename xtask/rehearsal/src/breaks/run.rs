//! Deploys that do not come to their end by themselves.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use serde_json::json;
use xtask::state::lease::Holder;
use xtask::tools::host::Process;

use crate::stage::Stage;

/// How long a lease is held that nothing renews: longer than it takes to look at it.
const HELD: Duration = Duration::from_mins(10);

/// A deploy is killed while OpenTofu applies; the next one says so, and goes on.
pub async fn killed(stage: &Stage<'_>) -> Result<Vec<String>> {
    let (name, before) = (&stage.environment.name, stage.version().await?);
    stage.clone()?.commit("A version whose deploy is killed").await?;
    let slow = json!([{ "type": "scaleway_container", "during": "update", "fault": { "slow": 60.0 } }]);
    stage.servers()?.of_stack()?.cloud.borrow().faults(&slow)?;
    let mut running = stage.start_deploy(&[]).await?;
    running.reaches("apply", "progress").await?;
    running.kill().await?;
    stage.servers()?.of_stack()?.cloud.borrow().faults(&json!([]))?;
    let mut proof = vec![format!("killed with the programs that it ran; {}", stage.serves(&before).await?)];
    let status = stage.status().await?;
    ensure!(status["unfinished"] == true, "`status` does not say that a deploy was interrupted: {status}");
    let mut planned = stage.xtask(&["deploy", name, "--resume", "--plan-only"]).await?.expect(&[10, 20])?;
    if planned.code == Some(20) {
        // OpenTofu has left the lock of its state, and the error says how it is removed.
        let unlock = planned.typed()?;
        proof.push(format!("exit code 20: {}; typed: cargo xtask {}", planned.reason(), unlock.join(" ")));
        stage.xtask(&unlock.iter().map(String::as_str).collect::<Vec<_>>()).await?.expect(&[0])?;
        planned = stage.xtask(&["deploy", name, "--resume", "--plan-only"]).await?.expect(&[10])?;
    }
    let changes = planned.changes()?;
    let resume = ["deploy", name, "--resume", "--approve", planned.text("approval")?];
    let resumed = stage.xtask(&resume).await?.expect(&[0])?;
    // The first of the two that goes on says what was done before.
    let mut said = planned.said.iter().chain(&resumed.said);
    let done = said.find(|said| said.starts_with("resuming")).context("no command said what it resumes")?;
    let serves = stage.serves(&stage.version().await?).await?;
    proof.push(format!("resumed with {changes}; {done}; {serves}"));
    Ok(proof)
}

/// A deploy to a Docker host is killed while it starts a container; the next one goes on.
pub async fn killed_on_host(stage: &Stage<'_>) -> Result<Vec<String>> {
    let (name, before) = (&stage.environment.name, stage.version().await?);
    stage.clone()?.commit("A version whose deploy is killed").await?;
    let mut running = stage.start_deploy(&[]).await?;
    running.reaches("apply", "started").await?;
    running.kill().await?;
    let proof = format!("killed with the programs that it ran; {}", stage.serves(&before).await?);
    let status = stage.status().await?;
    ensure!(status["unfinished"] == true, "`status` does not say that a deploy was interrupted: {status}");
    let resumed = stage.xtask(&["deploy", name, "--resume"]).await?.expect(&[0])?;
    let done = resumed.said.iter().find(|said| said.starts_with("resuming")).context("it says what it resumes")?;
    Ok(vec![proof, format!("{done}; {}", stage.serves(&stage.version().await?).await?)])
}

/// A deploy is stopped, and another one takes its place. Woken, the first one changes nothing. Then a machine goes away with the
/// lease, and its successor is let in by hand.
pub async fn lease(stage: &Stage<'_>) -> Result<Vec<String>> {
    let name = &stage.environment.name;
    stage.clone()?.commit("A version whose deploy sleeps").await?;
    let mut sleeper = stage.start_deploy(&[]).await?;
    sleeper.reaches("provision", "started").await?;
    sleeper.signal(Signal::STOP);
    stage.clone()?.commit("A version that overtakes it").await?;
    let refused = stage.begin().await?.expect(&[20])?.reason();
    stage.xtask(&["lock", "break", name, "--yes"]).await?.expect(&[0])?;
    stage.deploy().await?.expect(&[0])?;
    let version = stage.version().await?;
    sleeper.signal(Signal::CONT);
    let woken = sleeper.end().await?;
    ensure!(woken.code != Some(0), "the deploy that was overtaken went on");
    let mut proof = vec![
        format!("while one deploys, the next is refused: {refused}"),
        format!("woken after another had taken its lease, it stopped: {}", woken.reason()),
        stage.serves(&version).await?,
    ];
    proof.extend(lease_of_another_machine(stage).await?);
    Ok(proof)
}

/// The lease is held by a machine that has gone away. Whether its process still runs cannot be seen from here, so a user looks who it
/// is, and decides.
async fn lease_of_another_machine(stage: &Stage<'_>) -> Result<Vec<String>> {
    let name = &stage.environment.name;
    stage.clone()?.commit("A version that waits for another machine").await?;
    let process = Process { machine: "another machine".to_owned(), pid: 4242, started: 1 };
    let holder = Holder {
        who: "anna@laptop".to_owned(),
        process,
        ..Holder::this_process(format!("deploy {}", stage.version().await?))
    };
    // It must last until a user has looked. The machine that is gone does not renew it.
    stage.hold_lease(holder.with_ttl(HELD)).await?;
    let refused = stage.begin().await?.expect(&[20])?;
    let status = stage.xtask(&["lock", "status", name]).await?.expect(&[0])?;
    let held_by = status.result("locked_by")?["who"].as_str().unwrap_or_default().to_owned();
    ensure!(held_by == "anna@laptop", "`lock status` says that {held_by:?} holds it");
    let typed = refused.typed()?;
    let typed: Vec<&str> = typed.iter().map(String::as_str).collect();
    ensure!(typed == ["lock", "break", name], "the refused deploy says to type {typed:?}");
    // Without a terminal `lock break` does not ask: it says what to type.
    let asked = stage.xtask(&typed).await?.expect(&[21])?;
    let consented = asked.typed()?;
    let consented: Vec<&str> = consented.iter().map(String::as_str).collect();
    stage.xtask(&consented).await?.expect(&[0])?;
    stage.deploy().await?.expect(&[0])?;
    Ok(vec![
        format!("another machine holds the lease: {}", refused.reason()),
        format!("`lock status` names {held_by}; typed: cargo xtask {}", consented.join(" ")),
        stage.serves(&stage.version().await?).await?,
    ])
}
