//! What is put into a registry without a Docker engine.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{DockerRegistry, Login, PASSWORD, USER};
use crate::http::{self, Answer};

const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// An image to put into a registry. Images that differ in `created` or `version` have different digests.
pub struct Image<'a> {
    pub tags: &'a [&'a str],
    /// RFC 3339.
    pub created: &'a str,
    pub version: &'a str,
    /// Bytes of its only layer.
    pub layer: usize,
}

impl DockerRegistry {
    /// Puts an image into a repository, under its tags: its digest.
    pub fn push(&self, repository: &str, image: &Image<'_>) -> String {
        let (digest, _, bytes) = self.put_image(repository, image);
        for tag in image.tags {
            self.put_manifest(repository, tag, OCI_MANIFEST, &bytes);
        }
        digest
    }

    /// Puts images of `linux/amd64`, `linux/arm64`, … and an index of them into a repository: the index's digest and theirs.
    pub fn push_index(&self, repository: &str, tags: &[&str], images: &[Image<'_>]) -> (String, Vec<String>) {
        let platforms = ["amd64", "arm64", "riscv64"];
        let children: Vec<Value> = images
            .iter()
            .zip(platforms)
            .map(|(image, architecture)| {
                let (digest, size, _) = self.put_image(repository, image);
                let platform = json!({"os": "linux", "architecture": architecture});
                json!({"mediaType": OCI_MANIFEST, "digest": digest, "size": size, "platform": platform})
            })
            .collect();
        let digests = children.iter().map(|child| child["digest"].as_str().unwrap().to_owned()).collect();
        let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children}).to_string();
        let digest = digest_of(index.as_bytes());
        for tag in tags {
            self.put_manifest(repository, tag, OCI_INDEX, index.as_bytes());
        }
        (digest, digests)
    }

    /// Puts what BuildKit keeps as a layer cache into a repository: an index of layers.
    pub fn push_cache(&self, repository: &str, tag: &str) -> String {
        let layer = self.put_blob(repository, tag.as_bytes());
        let config = self.put_blob(repository, br#"{"layers":[],"records":[]}"#);
        let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [
            {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": layer, "size": tag.len()},
            {"mediaType": "application/vnd.buildkit.cacheconfig.v0", "digest": config, "size": 26},
        ]})
        .to_string();
        self.put_manifest(repository, tag, OCI_INDEX, index.as_bytes());
        digest_of(index.as_bytes())
    }

    /// Asks for a manifest by tag or digest: status and headers.
    pub fn head(&self, repository: &str, wanted: &str) -> (u16, String) {
        // If it is asked for fewer kinds, the registry converts the manifest, which changes the digest.
        let docker = "application/vnd.docker.distribution.manifest";
        let accept = format!("{OCI_MANIFEST}, {OCI_INDEX}, {docker}.v2+json, {docker}.list.v2+json");
        let path = format!("/v2/{repository}/manifests/{wanted}");
        let answer = self.ask("HEAD", repository, &path, &[("Accept", &accept)], b"");
        (answer.status, answer.head)
    }

    fn put_image(&self, repository: &str, image: &Image<'_>) -> (String, usize, Vec<u8>) {
        let layer: Vec<u8> = image.created.bytes().chain(image.version.bytes()).cycle().take(image.layer).collect();
        let config = json!({
            "created": image.created, "os": "linux", "architecture": "amd64",
            "config": {
                "User": "10001", "Env": ["PATH=/usr/bin", "PORT=8080"], "Entrypoint": ["/usr/bin/app"], "Cmd": ["serve"],
                "Labels": {"org.opencontainers.image.version": image.version, "org.opencontainers.image.revision": "0123456789abcdef0123456789abcdef01234567"},
                "Healthcheck": {"Test": ["CMD", "/usr/bin/app", "healthy"]},
            },
            "rootfs": {"type": "layers", "diff_ids": [digest_of(&layer)]},
            "history": [{"created_by": "COPY app /usr/bin/app # buildkit"}, {"created_by": "USER 10001", "empty_layer": true}],
        })
        .to_string();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": OCI_MANIFEST,
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": self.put_blob(repository, config.as_bytes()), "size": config.len(),
            },
            "layers": [{
                "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
                "digest": self.put_blob(repository, &layer), "size": layer.len(),
            }],
        })
        .to_string()
        .into_bytes();
        let digest = digest_of(&manifest);
        self.put_manifest(repository, &digest, OCI_MANIFEST, &manifest);
        (digest, manifest.len(), manifest)
    }

    fn put_manifest(&self, repository: &str, tag: &str, media_type: &str, bytes: &[u8]) {
        let path = format!("/v2/{repository}/manifests/{tag}");
        let answer = self.ask("PUT", repository, &path, &[("Content-Type", media_type)], bytes);
        assert_eq!(answer.status, 201, "{}", answer.text());
    }

    fn put_blob(&self, repository: &str, bytes: &[u8]) -> String {
        let digest = digest_of(bytes);
        let answer = self.ask("POST", repository, &format!("/v2/{repository}/blobs/uploads/"), &[], b"");
        assert_eq!(answer.status, 202, "{}", answer.text());
        let location = answer.header("Location").unwrap();
        let path = &location[location.find("/v2/").unwrap()..];
        let separator = if path.contains('?') { '&' } else { '?' };
        let answer = self.ask("PUT", repository, &format!("{path}{separator}digest={digest}"), &[], bytes);
        assert_eq!(answer.status, 201, "{}", answer.text());
        digest
    }

    fn ask(&self, method: &str, repository: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut headers = headers.to_vec();
        let basic = |password: &str| format!("Basic {}", STANDARD.encode(format!("{USER}:{password}")));
        let authorization = match &self.login {
            Login::Open => None,
            Login::Password => Some(basic(PASSWORD)),
            Login::Own(password) => Some(basic(password)),
            Login::Token(tokens) => {
                Some(format!("Bearer {}", tokens.mint(&format!("repository:{repository}:pull,push,delete"), 600)))
            }
        };
        headers.extend(authorization.as_deref().map(|value| ("Authorization", value)));
        http::ask(&self.address, method, path, &headers, body).unwrap()
    }
}

/// `sha256:<hex>` of bytes.
pub fn digest_of(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}
