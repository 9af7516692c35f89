//! Whether those who ask for a zone are sent to it.

use std::collections::BTreeSet;

use anyhow::Result;

use crate::bootstrap::item::Item;
use crate::clients::dns::Delegation;

/// Compares what the parent answers with the zone's name servers. What is to be done takes a person: the parent's records are
/// at a registrar, or in somebody else's zone.
pub fn item<M>(zone: &str, servers: &[String], answered: Result<Delegation>) -> Item<M> {
    let wanted: BTreeSet<String> = servers.iter().cloned().collect();
    let should = format!("to the {} above", servers.len());
    let set = format!(
        "at the registrar of {zone}, or where the zone above it is kept, set these name servers and no others:\n{}",
        servers.join("\n")
    );
    let Delegation { by, name_servers } = match answered {
        Ok(answered) => answered,
        Err(error) => {
            let next =
                format!("ask by hand: dig +trace NS {zone}; where only one server may be asked: DNS_SERVER=ADDRESS");
            return Item::unknown("delegation", format!("could not be compared: {error:#}"), should, next);
        }
    };
    if name_servers == wanted {
        return Item::good("delegation", format!("{by}: to these name servers"));
    }
    if name_servers.is_empty() {
        return Item::by_hand("delegation", format!("{by}: to nobody"), should, set);
    }
    let list = |servers: Vec<&String>| servers.into_iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let strange = list(name_servers.difference(&wanted).collect());
    let missing = list(wanted.difference(&name_servers).collect());
    let is = match (strange.is_empty(), missing.is_empty()) {
        (true, _) => format!("{by}: not to {missing}"),
        (false, true) => format!("{by}: also to {strange}"),
        (false, false) => format!("{by}: to {strange}, and not to {missing}"),
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
        ! delegation the name servers of org: to nobody; should be to the 2 above
                     → at the registrar of example.org, or where the zone above it is kept, set these name servers and no others:
                       ns-1.example.net
                       ns-2.example.net
        ! delegation the name servers of org: not to ns-2.example.net; should be to the 2 above
                     → at the registrar of example.org, or where the zone above it is kept, set these name servers and no others:
                       ns-1.example.net
                       ns-2.example.net
        ! delegation the name servers of org: also to ns.other.net; should be to the 2 above
                     → at the registrar of example.org, or where the zone above it is kept, set these name servers and no others:
                       ns-1.example.net
                       ns-2.example.net
        ! delegation the name servers of org: to ns.other.net, and not to ns-1.example.net, ns-2.example.net; should be to the 2 above
                     → at the registrar of example.org, or where the zone above it is kept, set these name servers and no others:
                       ns-1.example.net
                       ns-2.example.net
        ? delegation could not be compared: no answer in 12 s
                     → ask by hand: dig +trace NS example.org; where only one server may be asked: DNS_SERVER=ADDRESS
        ");
    }
}
