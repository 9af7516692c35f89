//! What a stack returns about its container and where people reach it.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr as _;

use anyhow::{Context as _, Result, anyhow};
use serde::Deserialize;

use crate::clients::dns::Kind;
use crate::failure::Failure;
use crate::signals::Stop;
use crate::tofu::{self, Workspace};
use crate::tools::tofu::Output;

/// The outputs of a stack that a deploy reads.
#[derive(Debug)]
pub struct Outputs {
    /// `endpoint`: the container's own address.
    pub endpoint: String,
    /// `url`: where people reach it, if that is another address.
    pub url: Option<String>,
    /// `container_id`: `<region>/<UUID>`.
    pub container: Option<String>,
    /// `dns_record`: the record of the public address.
    pub record: Option<DnsRecord>,
}

/// A DNS record as the stack made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsRecord {
    /// The name that it is of.
    pub name: String,
    /// Its type.
    pub kind: Kind,
    /// Its values, as [`Kind::plain`] writes them.
    pub values: BTreeSet<String>,
    /// How many seconds resolvers keep it.
    pub ttl: u32,
}

impl Outputs {
    /// The outputs of the last apply. The working folder is initialized.
    pub async fn read(workspace: &Workspace<'_>, stop: &Stop) -> Result<Self, Failure> {
        let outputs = tofu::outputs(workspace, stop).await?;
        Ok(Self::of(&outputs, workspace.stack.folder.as_str())?)
    }

    fn of(outputs: &BTreeMap<String, Output>, stack: &str) -> Result<Self> {
        let text = |name: &str| outputs.get(name)?.value.as_str().filter(|text| !text.is_empty());
        let missing = || format!("the stack {stack} has no output `endpoint` with its container's address");
        let endpoint = address(text("endpoint").with_context(missing)?);
        let record = outputs.get("dns_record").filter(|output| !output.value.is_null());
        let record = record.map(|output| DnsRecord::read(&output.value)).transpose();
        Ok(Self {
            url: text("url").map(address).filter(|url| *url != endpoint),
            endpoint,
            container: text("container_id").map(str::to_owned),
            record: record.with_context(|| format!("the output `dns_record` of the stack {stack}"))?,
        })
    }
}

impl DnsRecord {
    fn read(value: &serde_json::Value) -> Result<Self> {
        #[derive(Deserialize)]
        struct Raw {
            name: String,
            r#type: String,
            ttl: u32,
            values: Vec<String>,
        }
        let Raw { name, r#type, ttl, values } =
            Raw::deserialize(value).context("expected an object with name, type, ttl and values")?;
        let kind = Kind::from_str(&r#type).map_err(|why| anyhow!(why))?;
        Ok(Self { name, kind, values: values.iter().map(|value| kind.plain(value)).collect(), ttl })
    }
}

/// With a scheme and without a slash at its end.
fn address(text: &str) -> String {
    let text = text.trim_end_matches('/');
    if text.contains("://") { text.to_owned() } else { format!("https://{text}") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(outputs: serde_json::Value) -> Result<Outputs> {
        let outputs = outputs.as_object().unwrap().iter();
        let output = |value: &serde_json::Value| Output { sensitive: false, value: value.clone() };
        Outputs::of(&outputs.map(|(name, value)| (name.clone(), output(value))).collect(), "infra/x")
    }

    #[test]
    fn what_a_stack_returns_is_read() {
        let record = json!({ "zone_id": "Z1", "name": "a.example.org", "type": "CNAME", "ttl": 300, "values": ["X.Example.net."] });
        let outputs = json!({ "endpoint": "x.example.net", "url": "https://a.example.org/", "container_id": "fr-par/1", "dns_record": record });
        let outputs = of(outputs).unwrap();
        assert_eq!(
            (outputs.endpoint.as_str(), outputs.url.as_deref()),
            ("https://x.example.net", Some("https://a.example.org"))
        );
        let record = outputs.record.unwrap();
        assert_eq!((record.kind, record.ttl), (Kind::Cname, 300));
        assert_eq!(record.values.iter().collect::<Vec<_>>(), ["x.example.net"]);
        // The container's own address is no other one.
        let own =
            of(json!({ "endpoint": "https://x.example.net", "url": "https://x.example.net/", "dns_record": null }))
                .unwrap();
        assert!(own.url.is_none() && own.record.is_none() && own.container.is_none());
    }

    #[test]
    fn an_output_that_cannot_be_read_is_named() {
        let error = format!("{:#}", of(json!({ "endpoint": null })).unwrap_err());
        assert!(error.contains("infra/x") && error.contains("`endpoint`"), "{error}");
        let error = of(json!({ "endpoint": "a", "dns_record": { "name": "a", "type": "MX", "ttl": 1, "values": [] } }));
        let error = format!("{:#}", error.unwrap_err());
        assert!(error.contains("`dns_record`") && error.contains("\"MX\""), "{error}");
    }
}
