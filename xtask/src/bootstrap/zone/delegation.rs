//! Whether the parent zone delegates to the zone's name servers.

use std::collections::BTreeSet;

use anyhow::Result;

use crate::bootstrap::item::Item;
use crate::clients::dns::Delegation;

/// Compares the parent's answer with the zone's name servers. A difference has to be fixed by hand: the parent's records are
/// at a registrar, or in a zone of another account.
pub fn item<F>(zone: &str, servers: &[String], answered: Result<Delegation>) -> Item<F> {
    let wanted: BTreeSet<String> = servers.iter().cloned().collect();
    let should = format!("to the {} above", servers.len());
    let set = format!(
        "at the registrar of {zone}, or in the zone above it, set exactly these name servers:\n{}",
        servers.join("\n")
    );
    let Delegation { by, name_servers } = match answered {
        Ok(answered) => answered,
        Err(error) => {
            let next = format!(
                "query it by hand: dig +trace NS {zone}; if the network allows one DNS server only, set DNS_SERVER=ADDRESS"
            );
            return Item::unknown("delegation", format!("could not be queried: {error:#}"), should, next);
        }
    };
    if name_servers == wanted {
        return Item::good("delegation", format!("{by}: to these name servers"));
    }
    if name_servers.is_empty() {
        return Item::by_hand("delegation", format!("{by}: none"), should, set);
    }
    let list = |servers: Vec<&String>| servers.into_iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let other = list(name_servers.difference(&wanted).collect());
    let missing = list(wanted.difference(&name_servers).collect());
    let is = match (other.is_empty(), missing.is_empty()) {
        (true, _) => format!("{by}: not to {missing}"),
        (false, true) => format!("{by}: also to {other}"),
        (false, false) => format!("{by}: to {other}, and not to {missing}"),
    };
    Item::by_hand("delegation", is, should, set)
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;
    use insta::assert_snapshot;

    use super::*;
    use crate::report::Paint;

    fn said(answered: Result<&[&str]>) -> String {
        let delegation = |names: &[&str]| Delegation {
            by: "the name servers of org".to_owned(),
            name_servers: names.iter().map(|name| (*name).to_owned()).collect(),
        };
        let servers = ["ns-1.example.net".to_owned(), "ns-2.example.net".to_owned()];
        item::<()>("example.org", &servers, answered.map(delegation)).text(10, Paint::new(false))
    }

    #[test]
    fn every_difference_is_named() {
        let all = [
            said(Ok(&["ns-2.example.net", "ns-1.example.net"])),
            said(Ok(&[])),
            said(Ok(&["ns-1.example.net"])),
            said(Ok(&["ns-1.example.net", "ns-2.example.net", "ns.other.net"])),
            said(Ok(&["ns.other.net"])),
            said(Err(anyhow!("no answer in 12 s"))),
        ];
        assert_snapshot!(all.join("\n"), @r"
        ✓ delegation the name servers of org: to these name servers
        ! delegation the name servers of org: none; should be to the 2 above
                     → at the registrar of example.org, or in the zone above it, set exactly these name servers:
                       ns-1.example.net
                       ns-2.example.net
        ! delegation the name servers of org: not to ns-2.example.net; should be to the 2 above
                     → at the registrar of example.org, or in the zone above it, set exactly these name servers:
                       ns-1.example.net
                       ns-2.example.net
        ! delegation the name servers of org: also to ns.other.net; should be to the 2 above
                     → at the registrar of example.org, or in the zone above it, set exactly these name servers:
                       ns-1.example.net
                       ns-2.example.net
        ! delegation the name servers of org: to ns.other.net, and not to ns-1.example.net, ns-2.example.net; should be to the 2 above
                     → at the registrar of example.org, or in the zone above it, set exactly these name servers:
                       ns-1.example.net
                       ns-2.example.net
        ? delegation could not be queried: no answer in 12 s
                     → query it by hand: dig +trace NS example.org; if the network allows one DNS server only, set DNS_SERVER=ADDRESS
        ");
    }
}
