//! Another zone answers for the name of the service.

use anyhow::{Context as _, Result, ensure};
use devservers::http::ask;

use crate::stage::Stage;

/// moto selects the service by the credential's scope, and checks no signature.
const WHO: &str =
    "AWS4-HMAC-SHA256 Credential=AK/20260101/us-east-1/route53/aws4_request, SignedHeaders=host, Signature=x";

/// The path of Route 53's zones.
const ZONES: &str = "/2013-04-01/hostedzone";

/// Another user of the account makes a zone of the name itself. Its name servers then answer instead of those of the zone that the
/// record is in.
pub async fn rehearse(stage: &Stage<'_>) -> Result<Vec<String>> {
    let domain = stage.environment.domain().context("the environment has no domain, so no name can lead elsewhere")?;
    ensure!(stage.servers()?.platform.gateway.is_some(), "there is no gateway, so containers have no names");
    let zones = stage.servers()?.zones();
    stage.clone()?.commit("A version whose name leads elsewhere").await?;
    let body = format!(
        "<CreateHostedZoneRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><Name>{domain}</Name>\
         <CallerReference>rehearsal</CallerReference></CreateHostedZoneRequest>"
    );
    let made = call(&zones, "POST", ZONES, &body)?;
    let foreign = made.split_once("<Id>/hostedzone/").and_then(|(_, rest)| rest.split('<').next());
    let foreign = foreign.context("Route 53 answers with the zone's id")?;
    let failed = stage.deploy().await;
    call(&zones, "DELETE", &format!("{ZONES}/{foreign}"), "")?;
    let failed = failed?.expect(&[30, 31])?;
    stage.deploy().await?.expect(&[0])?;
    Ok(vec![
        format!("exit code {}: {}", failed.code.unwrap_or_default(), failed.reason()),
        format!("the other zone deleted, and deployed: {}", stage.serves(&stage.version().await?).await?),
    ])
}

fn call(endpoint: &str, method: &str, path: &str, body: &str) -> Result<String> {
    let headers = [("Authorization", WHO), ("Content-Type", "text/xml")];
    let answer = ask(endpoint, method, path, &headers, body).context("ask the Route 53 of this machine")?;
    ensure!((200..300).contains(&answer.status), "{method} {path}: {}: {}", answer.status, answer.text());
    Ok(answer.text())
}
