//! What the platform says of the container that a record names, and what differs from the record.

use anyhow::Context as _;
use serde::Serialize;

use super::Stack;
use crate::clients::registry::http::printable;
use crate::clients::scaleway::Container;
use crate::release::short_digest;
use crate::state::history::Record;
use crate::tofu::unseen;

/// A container as its platform sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// `ready`, `error`, …; none where the platform could not be asked, or has no such container.
    pub status: Option<String>,
    /// The image that it runs, with its digest.
    pub image: Option<String>,
    /// Why its status is not `ready`, or why it could not be asked.
    pub why: Option<String>,
    differs: Vec<String>,
}

impl Stack<'_> {
    /// Asks the platform. Never fails: that it could not be asked is an answer.
    pub async fn seen(&self, record: &Record) -> Seen {
        let asked = async {
            let id = record.container.as_deref();
            let id = id.context("the record names no container; the next deploy's does")?;
            let (api, id) = unseen::containers(self.env, id)?;
            anyhow::Ok(api.container(id).await?)
        };
        match asked.await {
            Ok(container) => Seen::of(container, record),
            Err(error) => Seen { status: None, image: None, why: Some(format!("{error:#}")), differs: Vec::new() },
        }
    }
}

impl Seen {
    /// One line for people.
    pub fn describe(&self) -> String {
        let why = self.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        match (&self.status, &self.image) {
            (Some(status), Some(image)) => {
                let digest = image.rsplit_once('@').map_or(image.as_str(), |(_, digest)| short_digest(digest));
                format!("{status}{why}   {digest}")
            }
            (Some(status), None) => format!("{status}{why}"),
            (None, _) => format!("not asked{why}"),
        }
    }

    /// What is not as the record says, for people.
    pub fn differs(&self) -> &[String] {
        &self.differs
    }

    fn of(container: Option<Container>, record: &Record) -> Self {
        let Some(Container { status, error_message, image }) = container else {
            let gone = "the platform has no such container".to_owned();
            return Self { status: None, image: None, why: Some(gone.clone()), differs: vec![gone] };
        };
        let (status, image) = (printable(&status), image.map(|image| printable(&image)));
        let is_ready = status == "ready";
        let why = error_message.filter(|text| !is_ready && !text.is_empty()).map(|text| printable(&text));
        let mut differs = Vec::new();
        if !is_ready {
            let why = why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
            differs.push(format!("the platform says {status}{why}"));
        }
        if let (Some(image), Some(digest)) = (&image, &record.digest)
            && !image.ends_with(&format!("@{digest}"))
        {
            differs.push(format!("the container runs {image}, and the record says {digest}"));
        }
        Self { status: Some(status), image, why, differs }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::history::Kind;

    #[test]
    fn what_differs_from_the_record_is_named() {
        let mut record = Record::begin("1".to_owned(), Kind::Deploy, "production", 1);
        record.digest = Some("sha256:aa".to_owned());
        let seen = |status: &str, error: &str, image: &str| {
            let container = Container {
                status: status.to_owned(),
                error_message: Some(error.to_owned()),
                image: Some(image.to_owned()),
            };
            Seen::of(Some(container), &record)
        };
        let same = seen("ready", "an old one", "registry.example.com/shop/app@sha256:aa");
        assert_eq!((same.differs.len(), same.describe().as_str()), (0, "ready   sha256:aa"));
        let other = seen("error", "no\nprogram", "registry.example.com/shop/app@sha256:bb");
        assert_eq!(
            other.differs,
            [
                "the platform says error: no program",
                "the container runs registry.example.com/shop/app@sha256:bb, and the record says sha256:aa"
            ]
        );
        assert_eq!(other.describe(), "error: no program   sha256:bb");
        assert_eq!(Seen::of(None, &record).differs, ["the platform has no such container"]);
    }
}
