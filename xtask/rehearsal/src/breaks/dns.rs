//! Another zone answers for the name of the service.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use devservers::http::ask;

use crate::stage::Stage;

/// moto selects the service by the credential's scope, and checks no signature.
const WHO: &str =
    "AWS4-HMAC-SHA256 Credential=AK/20260101/us-east-1/route53/aws4_request, SignedHeaders=host, Signature=x";

/// The path of Route 53's zones.
const ZONES: &str = "/2013-04-01/hostedzone";

/// How long the gate waits here: long enough for a container of this machine to start, and too short for a user to wait in vain.
const TIMEOUT: Duration = Duration::from_secs(40);

/// Another user of the account makes a zone of the name itself. Its name servers then answer instead of those of the zone that the
/// record is in.
pub async fn rehearse(stage: &Stage<'_>) -> Result<Vec<String>> {
    let domain = stage.environment.domain().context("the environment has no domain, so no name can lead elsewhere")?;
    ensure!(
        stage.servers()?.of_stack()?.platform.gateway.is_some(),
        "there is no gateway, so containers have no names"
    );
    let zones = stage.servers()?.of_stack()?.zones();
    let (name, clone) = (&stage.environment.name, stage.clone()?);
    let usual = clone.set_gate_timeout(name, TIMEOUT)?;
    clone.commit("A version whose name leads elsewhere").await?;
    let body = format!(
        "<CreateHostedZoneRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><Name>{domain}</Name>\
         <CallerReference>rehearsal</CallerReference></CreateHostedZoneRequest>"
    );
    let made = call(&zones, "POST", ZONES, &body)?;
    let foreign = made.split_once("<Id>/hostedzone/").and_then(|(_, rest)| rest.split('<').next());
    let foreign = foreign.context("Route 53 answers with the zone's id")?;
    let failed = async {
        let mut deploying = stage.start_deploy(&[]).await?;
        deploying.reaches("address", "failed").await?;
        // The user sees why, and deletes it while the previous release is being restored. That waits for the name as long as the
        // deploy did: it may lead back at any moment, as here.
        anyhow::Ok(deploying)
    };
    let failed = failed.await;
    call(&zones, "DELETE", &format!("{ZONES}/{foreign}"), "")?;
    let failed = failed?.end().await?.expect(&[30])?;
    clone.set_gate_timeout(name, usual)?;
    clone.commit("The gate waits as long as before").await?;
    stage.deploy().await?.expect(&[0])?;
    Ok(vec![
        format!("exit code {}: {}", failed.code.unwrap_or_default(), failed.reason()),
        format!(
            "the other zone deleted, the previous release restored, and deployed: {}",
            stage.serves(&stage.version().await?).await?
        ),
    ])
}

fn call(endpoint: &str, method: &str, path: &str, body: &str) -> Result<String> {
    let headers = [("Authorization", WHO), ("Content-Type", "text/xml")];
    let answer = ask(endpoint, method, path, &headers, body).context("ask the Route 53 of this machine")?;
    ensure!((200..300).contains(&answer.status), "{method} {path}: {}: {}", answer.status, answer.text());
    Ok(answer.text())
}
