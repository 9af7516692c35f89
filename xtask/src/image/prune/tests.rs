use std::os::unix::fs::PermissionsExt as _;

use camino::Utf8PathBuf;
use jiff::Timestamp;

use super::*;
use crate::clients::scaleway::tests::{Api, KEY};
use crate::config::Config;
use crate::env::Env;
use crate::image::list::Metadata;
use crate::report::{Audience, Report};
use crate::secrets::Redactor;
use crate::signals::Stop;
use crate::state::history::{self, Kind, Outcome, Record};
use crate::state::store::Store;
use devservers::registry::{DockerRegistry, Image, Login as Wants, PASSWORD, USER, digest_of};

const NAME: &str = "space/app";

fn keep(count: usize) -> Options<'static> {
    Options { keep: count, never_deployed: &[] }
}

fn stored(name: &str, day: i8, tags: &[&str]) -> StoredImage {
    let created: Timestamp = format!("2026-01-{day:02}T00:00:00Z").parse().unwrap();
    StoredImage {
        digest: digest_of(name.as_bytes()),
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        children: Vec::new(),
        blobs: BTreeMap::from([("base".to_owned(), 1000), (name.to_owned(), 10)]),
        metadata: Some(Metadata { created: Some(created), ..Metadata::default() }),
    }
}

fn index(name: &str, day: i8, tags: &[&str], children: &[&StoredImage]) -> StoredImage {
    let children = children.iter().map(|child| child.digest.clone()).collect();
    StoredImage { children, ..stored(name, day, tags) }
}

fn in_use(digest: String) -> Usage {
    let by_digest = BTreeMap::from([(digest, vec!["production runs it".to_owned()])]);
    Usage { by_digest, ..Usage::default() }
}

fn names(plan: &Plan) -> (Vec<&str>, Vec<&str>) {
    let kept = plan.keep.iter().map(|(image, _)| image.tags[0].as_str()).collect();
    (kept, plan.delete.iter().map(|(image, _)| image.tags[0].as_str()).collect())
}

#[test]
fn a_layer_cache_that_was_replaced_is_deleted() {
    let old = StoredImage { metadata: None, ..stored("old", 1, &["signed-aa"]) };
    let now = StoredImage { metadata: None, ..stored("now", 2, &["cache", "signed-bb"]) };
    let plan = Plan::new(vec![now, old], Usage::default(), keep(0));
    assert_eq!(names(&plan), (vec!["cache"], vec!["signed-aa"]));
}

#[test]
fn images_in_use_or_not_understood_stay_and_of_the_others_the_newest() {
    let mut all: Vec<StoredImage> =
        (1..=9).rev().map(|day| stored(&format!("{day}"), day, &[&format!("t{day}")])).collect();
    all[8].tags.push("latest".to_owned());
    all[7].tags = vec![CACHE_TAG.to_owned()];
    all[6].metadata = None;
    all[5].metadata = Some(Metadata::default());
    let usage = || in_use(digest_of(b"5"));
    let plan = Plan::new(all.clone(), usage(), keep(2));
    assert_eq!(names(&plan), (vec!["t9", "t8", "t5", "t4", "t3", "cache", "t1"], vec!["t7", "t6"]));
    assert_eq!(plan.freed, 20, "the base is still in use");
    let reasons: Vec<&str> = plan.keep.iter().map(|(_, reason)| reason.as_str()).collect();
    let newest = "one of the 2 newest";
    let expected = [
        newest,
        newest,
        "production runs it",
        "has no creation time",
        "is not an image",
        "is the layer cache",
        "has the tag latest",
    ];
    assert_eq!(reasons, expected);
    assert_eq!(names(&Plan::new(all.clone(), usage(), keep(0))).1, ["t9", "t8", "t7", "t6"]);
    assert_eq!(names(&Plan::new(all, usage(), keep(100))).1, [""; 0]);
}

#[test]
fn children_of_a_kept_index_stay_and_those_that_only_a_deleted_one_names_go_with_it() {
    let (shared, own, tagged) = (stored("shared", 1, &["s"]), stored("own", 1, &[]), stored("tagged", 1, &["tagged"]));
    let kept = index("kept", 5, &["kept"], &[&shared]);
    let gone = index("gone", 4, &["gone"], &[&shared, &own, &tagged]);
    let all = vec![kept, gone, shared.clone(), tagged.clone()];
    let plan = Plan::new(all.clone(), Usage::default(), keep(1));
    assert_eq!(names(&plan), (vec!["kept", "s"], vec!["gone", "tagged"]));
    assert_eq!(plan.keep[1].1, "is part of kept");
    assert_eq!(plan.delete[0].1, std::slice::from_ref(&own.digest));
    // A record can name the digest of a manifest in the index.
    let plan = Plan::new(all, in_use(own.digest), keep(0));
    assert_eq!(names(&plan), (vec!["gone", "s", "tagged"], vec!["kept"]));
}

#[test]
fn an_environment_without_a_live_release_is_refused_until_a_flag_names_it() {
    let usage = || Usage { unknown: vec!["production".to_owned(), "staging".to_owned()], ..Usage::default() };
    let named = |names: &[&str]| {
        let never_deployed: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        Plan::new(Vec::new(), usage(), Options { keep: 1, never_deployed: &never_deployed }).guard()
    };
    for (names, missing) in [(&[][..], "--never-deployed production"), (&["production"], "--never-deployed staging")] {
        let refused = named(names).unwrap_err();
        assert_eq!(refused.exit_code(), 21);
        let text = refused.into_error().to_string();
        assert!(text.contains("nothing was deleted") && text.contains(missing), "{text}");
    }
    named(&["staging", "production"]).unwrap();
}

/// A project with one environment whose images are in this registry, and one that is local.
struct Project {
    _folder: tempfile::TempDir,
    config: Config,
}

impl Project {
    fn new(address: &str) -> Self {
        Self::with(address, "")
    }

    /// The same with more environments.
    fn with(address: &str, environments: &str) -> Self {
        drop(rustls::crypto::ring::default_provider().install_default());
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
        let yaml = format!(
            "project: p\nservice: {{ package: p, settings: s.json, readiness: /r }}\nimage: {{ name: app }}\nenvironments:\n  \
             local: {{ target: local, port: 3000 }}\n  \
             production: {{ target: scaleway, registry: '{address}/space', keep_releases: 1 }}\n{environments}"
        );
        fs_err::write(root.join("deploy.yaml"), yaml).unwrap();
        fs_err::create_dir(root.join("infra")).unwrap();
        let secrets = root.join(".env.production");
        fs_err::write(
            &secrets,
            format!("REGISTRY_HOST={address}\nREGISTRY_USERNAME={USER}\nREGISTRY_PASSWORD={PASSWORD}\n"),
        )
        .unwrap();
        fs_err::set_permissions(&secrets, std::fs::Permissions::from_mode(0o600)).unwrap();
        Self { config: Config::load(&root).unwrap(), _folder: folder }
    }

    async fn deployed(&self, digest: &str) {
        let store = Store::folder(self.config.root.join(".deploy/production"));
        let previous = history::read_all(&store).await.unwrap().last().map(|record| record.id.clone());
        let id = format!("{}-{digest}", Timestamp::now());
        let mut record = Record::begin(id, Kind::Deploy, "production", 1);
        record.digest = Some(digest.to_owned());
        record.previous = previous;
        record.end(Outcome::Live, None);
        history::append(&store, &record).await.unwrap();
    }

    async fn with_image<T>(
        &self,
        work: impl AsyncFnOnce(&ServiceImage<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let report = Report::new(Audience::Plain, false, Redactor::default());
        let (_, stop) = Stop::channel();
        let env = Env::find(&self.config, "production", &report, &stop)?;
        work(&ServiceImage::find(&env)?).await
    }

    async fn prune(&self, options: Options<'_>) -> Result<Vec<String>, Failure> {
        self.with_image(async |image| delete(image, &make_plan(image, options).await?).await).await
    }

    async fn tags(&self) -> Vec<String> {
        self.with_image(async |image| Ok(image.repository().await?.tags().await.unwrap())).await.unwrap()
    }
}

#[tokio::test]
async fn a_real_registry_loses_the_images_that_no_environment_uses() {
    let Some(registry) = testkit::or_skip("image prune", DockerRegistry::start(Wants::Password)) else { return };
    let project = Project::new(&registry.address);
    let days = ["01", "02", "03", "04", "05", "06"];
    let created = days.map(|day| format!("2026-01-{day}T00:00:00Z"));
    let image = |day: usize, tags| Image { tags, created: &created[day - 1], version: days[day - 1], layer: 1000 };
    let digests = [
        registry.push(NAME, &image(1, &["one", "also-one"])),
        registry.push(NAME, &image(2, &["two"])),
        registry.push(NAME, &image(3, &["three", "latest"])),
        registry.push_index(NAME, &["four"], &[image(4, &[]), image(5, &[])]).0,
    ];
    registry.push(NAME, &image(6, &["six"]));
    registry.push_cache(NAME, "cache");

    // Without a record nothing is deleted.
    let refused = project.prune(keep(1)).await.unwrap_err();
    assert_eq!(refused.exit_code(), 21);
    assert!(refused.into_error().to_string().contains("--never-deployed production"));
    project.deployed(&digests[0]).await;
    project.deployed(&digests[1]).await;
    for tag in ["one", "two", "three", "four", "six", "cache"] {
        assert_eq!(registry.head(NAME, tag).0, 200, "{tag}");
    }

    assert_eq!(project.prune(keep(1)).await.unwrap(), [digests[3].clone()]);
    let exists = |tag: &str| registry.head(NAME, tag).0 == 200;
    // The live release, the one before, latest, the newest, the cache.
    assert!(["two", "one", "also-one", "three", "latest", "six", "cache"].into_iter().all(exists));
    assert!(!exists("four") && !exists(&digests[3]));
    assert_eq!(project.tags().await, ["also-one", "cache", "latest", "one", "six", "three", "two"]);

    // The plan that is compared after the question does not depend on the order of the answers.
    let listed = || project.with_image(list);
    let first = listed().await.unwrap();
    assert!(first.iter().any(|image| image.tags == ["latest", "three"]));
    for _ in 0..5 {
        assert_eq!(listed().await.unwrap(), first);
    }

    // After one more deploy the first image is neither live nor the one before.
    project.deployed(&digests[2]).await;
    project.prune(keep(0)).await.unwrap();
    assert_eq!(project.tags().await, ["cache", "latest", "three", "two"]);
    assert_eq!(project.prune(keep(0)).await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn records_that_cannot_be_read_stop_it() {
    let Some(registry) = testkit::or_skip("image prune, damaged records", DockerRegistry::start(Wants::Password))
    else {
        return;
    };
    registry.push(NAME, &Image { tags: &["one"], created: "2026-01-01T00:00:00Z", version: "1", layer: 10 });
    let project = Project::new(&registry.address);
    fs_err::create_dir_all(project.config.root.join(".deploy/production/records")).unwrap();
    fs_err::write(project.config.root.join(".deploy/production/records/1.json"), "{").unwrap();
    let error = format!("{:#}", project.prune(keep(0)).await.unwrap_err().into_error());
    assert!(error.contains("records/1.json") && error.contains("deploy records of production"), "{error}");
    assert_eq!(registry.head(NAME, "one").0, 200);

    // Another environment's records are in a bucket that this machine has no key for, or that does not answer.
    let away = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let staging = format!(
        "  staging:\n    target: scaleway\n    registry: {}/space\n    stack: infra\n    \
         state: {{ bucket: p-state, region: eu, provider: other, endpoint: 'http://{away}' }}\n",
        registry.address
    );
    let project = Project::with(&registry.address, &staging);
    project.deployed(&digest_of(b"other")).await;
    let secrets = project.config.root.join(".env.staging");
    for (keys, reason) in [("", "access key"), ("AWS_ACCESS_KEY_ID=a\nAWS_SECRET_ACCESS_KEY=b\n", "p-state")] {
        fs_err::write(&secrets, keys).unwrap();
        fs_err::set_permissions(&secrets, std::fs::Permissions::from_mode(0o600)).unwrap();
        let error = format!("{:#}", project.prune(keep(0)).await.unwrap_err().into_error());
        assert!(error.contains("deploy records of staging") && error.contains(reason), "{error}");
        assert_eq!(registry.head(NAME, "one").0, 200);
    }
}

#[tokio::test]
async fn records_in_a_bucket_count() {
    use devservers::versitygw::{ACCESS_KEY, REGION, SECRET_KEY, Versitygw};
    let test = "image prune, records in a bucket";
    let Some(registry) = testkit::or_skip(test, DockerRegistry::start(Wants::Password)) else { return };
    let Some(storage) = testkit::or_skip(test, Versitygw::start()) else { return };
    storage.bucket("p-state");
    let image = |day, tags| Image { tags, created: day, version: "1", layer: 10 };
    let digest = registry.push(NAME, &image("2026-01-01T00:00:00Z", &["staging"]));
    registry.push(NAME, &image("2026-01-02T00:00:00Z", &["unused"]));
    let staging = format!(
        "  staging:\n    target: scaleway\n    registry: {}/space\n    stack: infra\n    \
         state: {{ bucket: p-state, region: {REGION}, provider: other, endpoint: '{}' }}\n",
        registry.address,
        storage.endpoint()
    );
    let project = Project::with(&registry.address, &staging);
    project.deployed(&digest_of(b"other")).await;
    let secrets = project.config.root.join(".env.staging");
    fs_err::write(&secrets, format!("AWS_ACCESS_KEY_ID={ACCESS_KEY}\nAWS_SECRET_ACCESS_KEY={SECRET_KEY}\n")).unwrap();
    fs_err::set_permissions(&secrets, std::fs::Permissions::from_mode(0o600)).unwrap();

    let refused = project.prune(keep(0)).await.unwrap_err();
    assert_eq!(refused.exit_code(), 21);
    assert!(refused.into_error().to_string().contains("--never-deployed staging"));
    project
        .with_image(async |image| {
            let staging = image.env.other(image.env.config.environment("staging")?);
            let mut record = Record::begin(history::new_id()?, Kind::Deploy, "staging", 1);
            record.digest = Some(digest.clone());
            record.end(Outcome::Live, None);
            Ok(history::append(staging.store()?, &record).await?)
        })
        .await
        .unwrap();
    project.prune(keep(0)).await.unwrap();
    assert_eq!(project.tags().await, ["staging"]);
}

#[tokio::test]
async fn a_registry_that_refuses_to_delete_is_named() {
    let Some(registry) = testkit::or_skip("image prune, refused", DockerRegistry::start_with(Wants::Password, false))
    else {
        return;
    };
    let project = Project::new(&registry.address);
    registry.push(NAME, &Image { tags: &["one"], created: "2026-01-01T00:00:00Z", version: "1", layer: 10 });
    let never_deployed = ["production".to_owned()];
    let options = Options { keep: 0, never_deployed: &never_deployed };
    let error = format!("{:#}", project.prune(options).await.unwrap_err().into_error());
    assert!(error.contains("storage.delete.enabled") && error.contains("0 of 1"), "{error}");
}

#[tokio::test]
async fn where_only_tags_can_be_deleted_those_of_kept_images_stay() {
    drop(rustls::crypto::ring::default_provider().install_default());
    let (old, new) = (stored("old", 1, &["old", "also-old"]), stored("new", 2, &["new"]));
    let api =
        Api::start(vec![("old", &old.digest), ("also-old", &old.digest), ("new", &new.digest), ("moved", &new.digest)]);
    let registries = scaleway::Registries::new(&api.url(), "fr-par", &KEY.into()).unwrap();
    let plan = Plan::new(vec![new, old.clone()], Usage::default(), keep(1));
    let mut deleted = Vec::new();
    delete_tags(&registries, NAME, &plan, &mut deleted).await.unwrap();
    assert_eq!(
        (api.names(), deleted.as_slice()),
        (vec!["new".to_owned(), "moved".to_owned()], [old.digest.clone()].as_slice())
    );

    // Another user tagged an image of the plan in the meantime.
    let api = Api::start(vec![("old", &old.digest), ("release", &old.digest)]);
    let registries = scaleway::Registries::new(&api.url(), "fr-par", &KEY.into()).unwrap();
    let error = delete_tags(&registries, NAME, &plan, &mut Vec::new()).await.unwrap_err().to_string();
    assert!(error.contains("release"), "{error}");
    assert_eq!(api.names(), ["old", "release"]);
}
