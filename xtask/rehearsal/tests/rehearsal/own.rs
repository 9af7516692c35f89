//! This repository's own production, with its stack, its image and its database, and with its media at AWS.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use reqwest::{Certificate, Client, Method};
use serde_json::{Value, json};
use serde_yaml::Value as Yaml;
use testkit::git::commit;
use testkit::{Ran, clone_for_image};

use crate::shop::{Shop, account, rehearsal};

/// What `infra/aws/README.md` says of an environment whose media are there, with what a rehearsal lacks of an account.
const MEDIA: &str = r#"
settings: { STORAGE_BACKEND: s3, SPOOL_DIR: /tmp/spool }
rehearsal: { settings: { S3_ENDPOINT: '{aws_endpoint}' } }
media:
  stack: infra/aws
  protect: [aws_s3_bucket.media, aws_sqs_queue.uploads, aws_sqs_queue.dead_letters]
  variables:
    project: meemi
    environment: production
    account_id: "123456789012"
    region: eu-north-1
    bucket: meemi-media
    state_bucket: meemit-tofu-state
    state_key: meemi/production-media.tfstate
    allowed_origins: '["https://meemit.mainittu.fi"]'
    signing_public_keys: '{ key-0123456789ab = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----" }'
    github_repository: mainittu/meemi
  settings:
    S3_BUCKET: bucket
    S3_REGION: region
    S3_ACCESS_KEY_ID: service_access_key_id
    S3_SECRET_ACCESS_KEY: service_secret_access_key
    QUEUE_URL: queue_url
"#;

#[test]
fn this_repositorys_own_production_is_deployed_broken_and_recovered_and_takes_a_presigned_upload() {
    let test = "this_repositorys_own_production_is_deployed_broken_and_recovered_and_takes_a_presigned_upload";
    // For what it looks for.
    let Some(_shop) = Shop::open(test) else { return };
    let folder = tempfile::Builder::new().prefix("xtask-test-").tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap().join("clone");
    clone_for_image(&root);
    let deploy = with_media(&root);
    for base in deploy["image"]["bases"].as_mapping().unwrap().values() {
        devservers::bases::make_available(base.as_str().unwrap()).unwrap();
    }
    let said = folder.path().join("stderr");
    let mut command = rehearsal(&root, &["production", "--break", "health", "--keep", "--json"]);
    let _clean = Clean(&root);
    let mut running =
        command.stdout(Stdio::piped()).stderr(fs_err::File::create(&said).unwrap().into_file()).spawn().unwrap();
    let lines = BufReader::new(running.stdout.take().unwrap()).lines();
    let mut events = lines.map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
    // The build of its image takes minutes.
    let (mut seen, mut has_uploaded) = (Vec::new(), false);
    for event in events.by_ref() {
        let is_kept = event["detail"]["text"].as_str().is_some_and(|text| text.starts_with("kept: "));
        seen.push(event);
        if is_kept {
            xtask::program::block_on(async {
                upload_past_the_service(&root).await;
                Ok(())
            })
            .unwrap();
            Ran::of(&mut rehearsal(&root, &["clean", "production"])).expect(0);
            has_uploaded = true;
        }
    }
    let (code, stderr) = (running.wait().unwrap().code(), fs_err::read_to_string(said).unwrap());
    assert_eq!((code, has_uploaded), (Some(0), true), "{seen:#?}\n{stderr}");

    let account = account(&seen);
    all_is_done(&account);
    assert!(proof(&account, "servers").contains("PostgreSQL with TLS"));
    assert!(proof(&account, "media").contains("applied with the approval"));
    assert!(proof(&account, "deploy under load").contains(" 0 failed"));
    // The service reports what it lacks; then it is deployed with the right password.
    assert!(proof(&account, "a release that never gets ready").contains("DATABASE_URL is wrong"));
    let said = json!(seen).to_string() + &stderr;
    assert!(!said.contains("postgres://rehearsal:"), "{said}");
}

/// Ends what a failed test has left.
struct Clean<'a>(&'a Path);

impl Drop for Clean<'_> {
    fn drop(&mut self) {
        drop(Ran::of(&mut rehearsal(self.0, &["clean", "production"])));
    }
}

/// Commits that the media of production are at AWS: deploy.yaml.
fn with_media(root: &Path) -> Yaml {
    let path = root.join("deploy.yaml");
    let mut deploy: Yaml = serde_yaml::from_str(&fs_err::read_to_string(&path).unwrap()).unwrap();
    let media: Yaml = serde_yaml::from_str(MEDIA).unwrap();
    let production = &mut deploy["environments"]["production"];
    let settings = media["rehearsal"]["settings"].clone();
    production["rehearsal"]["settings"] = settings;
    for key in ["settings", "media"] {
        production[key] = media[key].clone();
    }
    fs_err::write(&path, serde_yaml::to_string(&deploy).unwrap()).unwrap();
    commit(root, "Media at AWS");
    deploy
}

/// Puts a picture into the bucket of the stack by a signed URL. The bucket tells the queue of it, and a worker in the container makes
/// it a media, which is read from the bucket again.
async fn upload_past_the_service(root: &Path) {
    let service = Service::of(root);
    let registered = service.ask(Method::POST, "/api/auth/register", None, &service.first_account()).await;
    let token = registered["token"].as_str().unwrap().to_owned();
    let ask = async |method, path: &str, body| service.ask(method, path, Some(&token), &body).await;
    let picture =
        fs_err::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../app/web/public/icons/icon-192.png")).unwrap();
    let create = json!({ "content_type": "image/png", "file_name": "icon.png", "content_length": picture.len() });
    let upload = ask(Method::POST, "/api/image/v1/upload/create-presigned-url", create).await;
    let (id, url) = (upload["image_id"].as_str().unwrap(), upload["upload_url"].as_str().unwrap());
    let put = Client::new().put(url).header("content-type", "image/png").body(picture.clone()).send().await.unwrap();
    assert!(put.status().is_success(), "{put:?}");

    // The address of the containers' network is every user's.
    let (host, _) = url.split_once("http://").and_then(|(_, rest)| rest.split_once('/')).unwrap();
    for path in ["", "meemi-media", "moto-api/data.json"] {
        let answer = Client::new().get(format!("http://{host}/{path}")).send().await.unwrap();
        assert_eq!(answer.status(), 403, "{path}");
    }

    // Nothing but the queue tells the service.
    let settled = ask(Method::GET, &format!("/api/image/v1/upload/{id}?wait=50"), Value::Null).await;
    assert_eq!(settled["status"], "ready", "{settled}");
    let download = ask(Method::GET, &format!("/api/image/v1/download/get-signed-url/{id}"), Value::Null).await;
    let got = Client::new().get(download["download_url"].as_str().unwrap()).send().await.unwrap();
    assert!(got.status().is_success() && got.bytes().await.unwrap() == picture);
}

/// The service at its public address, behind the platform's gateway.
struct Service {
    client: Client,
    bootstrap_token: String,
}

impl Service {
    fn of(root: &Path) -> Self {
        let folder: PathBuf = root.join(".deploy/rehearsal-production");
        let account = serde_json::from_slice(&fs_err::read(folder.join("account.json")).unwrap()).unwrap();
        all_is_done(&account);
        let servers = proof(&account, "servers");
        let gateway = servers.lines().find_map(|line| line.strip_prefix("the platform's gateway at ")).unwrap();
        let ca = fs_err::read(folder.join("servers/stand-in/ca/ca.pem")).unwrap();
        let client = Client::builder()
            .no_proxy()
            .resolve("meemit.mainittu.fi", gateway.parse().unwrap())
            .tls_certs_only([Certificate::from_pem(&ca).unwrap()])
            .build()
            .unwrap();
        let secrets = fs_err::read_to_string(folder.join("project/.env.production")).unwrap();
        let token = secrets.lines().find_map(|line| line.strip_prefix("BOOTSTRAP_TOKEN=")).unwrap();
        Self { client, bootstrap_token: token.trim_matches(['\'', '"']).to_owned() }
    }

    fn first_account(&self) -> Value {
        let password = "correct horse battery staple";
        json!({ "username": "ada", "password": password, "bootstrap_token": self.bootstrap_token })
    }

    /// What it answers, which must be a success.
    async fn ask(&self, method: Method, path: &str, token: Option<&str>, body: &Value) -> Value {
        let mut request = self.client.request(method, format!("https://meemit.mainittu.fi{path}"));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if !body.is_null() {
            request = request.json(body);
        }
        let response = request.send().await.unwrap();
        let (status, body) = (response.status(), response.text().await.unwrap());
        assert!(status.is_success(), "{path}: {status} {body}");
        serde_json::from_str(&body).unwrap()
    }
}

#[track_caller]
fn all_is_done(account: &Value) {
    let chapters = account["chapters"].as_array().unwrap();
    assert!(chapters.iter().all(|chapter| chapter["outcome"] == "done"), "{account:#}");
}

/// What proves a chapter of an account.
fn proof(account: &Value, name: &str) -> String {
    let mut chapters = account["chapters"].as_array().unwrap().iter();
    let proof = &chapters.find(|chapter| chapter["name"] == name).unwrap_or_else(|| panic!("{account:#}"))["proof"];
    proof.as_array().unwrap().iter().map(|line| format!("{}\n", line.as_str().unwrap())).collect()
}
