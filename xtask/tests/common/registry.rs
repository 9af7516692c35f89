//! A real image registry (Debian's `docker-registry`), what is put into it without an engine, and a server of tokens for
//! it. Also the toolkit's own unit tests use it.

#![allow(dead_code, reason = "who shares this file does not use all of it")]

#[path = "standin.rs"]
pub mod standin;
#[path = "tokens.rs"]
pub mod tokens;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use self::tokens::Tokens;

pub const USER: &str = "deployer";
/// It has characters that differ between the alphabets of base64.
pub const PASSWORD: &str = "s3cret~?>~~~pass";
/// `htpasswd -nB` of the two.
const HTPASSWD: &str = "deployer:$2b$05$abcdefghijklmnopqrstuuRSI5fkN3GBNVOr3IDTM7cqlW4aM5YBe\n";

const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// How a registry wants to know who asks.
pub enum Login {
    Nobody,
    Password,
    Token(Tokens),
}

/// A registry that ends with this value.
pub struct DockerRegistry {
    /// `127.0.0.1:<port>`.
    pub address: String,
    pub login: Login,
    requests: Arc<Mutex<Vec<String>>>,
    process: Child,
    _folder: tempfile::TempDir,
}

/// An image to put into a registry. Every image differs from every other by its created and its layer.
pub struct Image<'a> {
    pub tags: &'a [&'a str],
    /// RFC 3339.
    pub created: &'a str,
    pub version: &'a str,
    /// Bytes of its only layer.
    pub layer: usize,
}

impl DockerRegistry {
    /// Starts one that deletes. None where none is installed; with `CI=true` that is a failure.
    pub fn start(test: &str, login: Login) -> Option<Self> {
        Self::start_with(test, login, true)
    }

    /// Starts one that is open to all who share the network of this process.
    pub fn beside(test: &str, pid: u32) -> Option<Self> {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{pid}/ns/net")).arg("docker-registry");
        Self::start_by(command, test, Login::Nobody, true)
    }

    /// Starts one.
    pub fn start_with(test: &str, login: Login, deletes: bool) -> Option<Self> {
        Self::start_by(Command::new("docker-registry"), test, login, deletes)
    }

    fn start_by(mut command: Command, test: &str, login: Login, deletes: bool) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let auth = match &login {
            Login::Nobody => Value::Null,
            Login::Password => {
                fs_err::write(path("htpasswd"), HTPASSWD).unwrap();
                json!({"htpasswd": {"realm": "test", "path": path("htpasswd")}})
            }
            Login::Token(tokens) => {
                fs_err::write(path("root.pem"), tokens.certificate()).unwrap();
                let token = json!({
                    "realm": tokens.realm(), "service": tokens::SERVICE, "issuer": tokens::ISSUER, "rootcertbundle": path("root.pem"),
                });
                json!({ "token": token })
            }
        };
        let mut config = json!({
            "version": "0.1",
            "log": {"level": "info"},
            "storage": {"filesystem": {"rootdirectory": path("data")}, "delete": {"enabled": deletes}},
            "http": {"addr": "127.0.0.1:0"},
        });
        if !auth.is_null() {
            config["auth"] = auth;
        }
        // YAML understands JSON.
        fs_err::write(path("config.yml"), config.to_string()).unwrap();
        command.args(["serve", &path("config.yml")]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = match command.spawn() {
            Ok(process) => process,
            Err(error) => {
                assert!(std::env::var_os("CI").is_none(), "docker-registry cannot be started: {error}");
                eprintln!("SKIPPED {test}: docker-registry is not installed (Debian's package docker-registry)");
                return None;
            }
        };
        // It says the port that it was given.
        let mut log = BufReader::new(process.stderr.take().unwrap());
        let mut line = String::new();
        let address = loop {
            line.clear();
            assert!(log.read_line(&mut line).unwrap() > 0, "docker-registry ended before it listened");
            if let Some((_, rest)) = line.split_once("listening on ") {
                break rest.split(['"', ',', ' ']).next().unwrap().to_owned();
            }
        };
        // A full pipe would stop it.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (answered, log) = (Arc::clone(&requests), BufReader::new(process.stdout.take().unwrap()));
        std::thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                answered.lock().unwrap().extend(line.split('"').nth(1).map(str::to_owned));
            }
        });
        Some(Self { address, login, requests, process, _folder: folder })
    }

    /// The requests that were answered, oldest first: `HEAD /v2/… HTTP/1.1`.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// A folder with a Docker configuration that knows this registry's password.
    #[allow(dead_code, reason = "not everybody who shares this file has Docker's client")]
    pub fn docker_config(&self) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let auth = json!({ "auth": STANDARD.encode(format!("{USER}:{PASSWORD}")) });
        let config = json!({ "auths": { self.address.as_str(): auth } });
        fs_err::write(folder.path().join("config.json"), config.to_string()).unwrap();
        folder
    }

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

    /// One request, for what a test must see without the toolkit: status and headers.
    pub fn head(&self, repository: &str, wanted: &str) -> (u16, String) {
        // With fewer kinds, it makes up a manifest of another kind, with another digest.
        let docker = "application/vnd.docker.distribution.manifest";
        let accept = format!("{OCI_MANIFEST}, {OCI_INDEX}, {docker}.v2+json, {docker}.list.v2+json");
        let (status, headers, _) =
            self.ask("HEAD", repository, &format!("/v2/{repository}/manifests/{wanted}"), &[("Accept", &accept)], b"");
        (status, headers)
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
        let (status, _, body) = self.ask("PUT", repository, &path, &[("Content-Type", media_type)], bytes);
        assert_eq!(status, 201, "{body}");
    }

    fn put_blob(&self, repository: &str, bytes: &[u8]) -> String {
        let digest = digest_of(bytes);
        let (status, headers, body) =
            self.ask("POST", repository, &format!("/v2/{repository}/blobs/uploads/"), &[], b"");
        assert_eq!(status, 202, "{body}");
        let location = headers.lines().find_map(|line| line.strip_prefix("Location: ")).unwrap();
        let path = &location[location.find("/v2/").unwrap()..];
        let separator = if path.contains('?') { '&' } else { '?' };
        let (status, _, body) = self.ask("PUT", repository, &format!("{path}{separator}digest={digest}"), &[], bytes);
        assert_eq!(status, 201, "{body}");
        digest
    }

    fn ask(
        &self,
        method: &str,
        repository: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> (u16, String, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let length = body.len();
        // HTTP/1.0: no chunks, and the connection's end is the body's.
        let mut head = format!("{method} {path} HTTP/1.0\r\nHost: {}\r\nContent-Length: {length}\r\n", self.address);
        match &self.login {
            Login::Nobody => {}
            Login::Password => {
                let pair = STANDARD.encode(format!("{USER}:{PASSWORD}"));
                head.push_str(&format!("Authorization: Basic {pair}\r\n"));
            }
            Login::Token(tokens) => {
                let token = tokens.mint(&format!("repository:{repository}:pull,push,delete"), 600);
                head.push_str(&format!("Authorization: Bearer {token}\r\n"));
            }
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        stream.write_all(format!("{head}\r\n").as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (headers, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = headers.split(' ').nth(1).unwrap().parse().unwrap();
        (status, headers.replace('\r', ""), body.to_owned())
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// `sha256:<hex>` of bytes.
pub fn digest_of(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}
