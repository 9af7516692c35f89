//! The host that the API redirects to: the bytes of assets and logs.

use super::Inner;
use crate::http::{Request, Response};

impl Inner {
    /// Answers a request to it. It takes signed addresses only, and no token beside the signature.
    pub fn object(&self, request: &Request) -> Response {
        if request.header("authorization").is_some() {
            return refused(400, "InvalidAuthenticationInfo");
        }
        let path = request.path.split('?').next().unwrap_or_default();
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let ([kind, owner, name, id], Some("valid")) = (&parts[..], request.query("signature")) else {
            return refused(403, "AuthenticationFailed");
        };
        match id.parse().ok().and_then(|id| self.bytes(kind, owner, name, id)) {
            Some((media_type, bytes)) => Response::new(200).body(media_type, bytes),
            None => refused(404, "BlobNotFound"),
        }
    }

    fn bytes(&self, kind: &str, owner: &str, name: &str, id: u64) -> Option<(&'static str, Vec<u8>)> {
        let state = self.lock();
        let repository = state.repositories.get(&(owner.to_owned(), name.to_owned()))?;
        if kind == "assets" {
            let asset = repository.releases.assets.iter().find(|asset| asset.value["id"] == id)?;
            return Some(("application/octet-stream", asset.bytes.clone()));
        }
        let job = repository.workflows.jobs.iter().find(|job| job.value["id"] == id)?;
        Some(("text/plain", job.log.clone().into_bytes()))
    }
}

fn refused(status: u16, code: &str) -> Response {
    Response::new(status).body("application/xml", format!("<Error><Code>{code}</Code></Error>"))
}
