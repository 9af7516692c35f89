use std::os::unix::fs::PermissionsExt as _;

use camino::Utf8PathBuf;
use jiff::Timestamp;

use super::*;
use crate::clients::scaleway::tests::{Api, KEY};
use crate::config::Config;
use crate::image::survey::About;
use crate::report::Report;
use crate::secrets::Redactor;
use crate::state::history::{self, Kind, Outcome, Record};
use crate::state::store::Store;
use devservers::registry::{DockerRegistry, Image, Login as Wants, PASSWORD, USER, digest_of};

const NAME: &str = "space/app";
const NO_QUESTION: How = How { keep: 1, dry_run: false, yes: true };

fn held(name: &str, day: i8, tags: &[&str]) -> Held {
    let created: Timestamp = format!("2026-01-{day:02}T00:00:00Z").parse().unwrap();
    Held {
        digest: digest_of(name.as_bytes()),
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        children: Vec::new(),
        parts: BTreeMap::from([("base".to_owned(), 1000), (name.to_owned(), 10)]),
        about: Some(About { created: Some(created), ..About::default() }),
    }
}

fn index(name: &str, day: i8, tags: &[&str], children: &[&Held]) -> Held {
    let children = children.iter().map(|child| child.digest.clone()).collect();
    Held { children, ..held(name, day, tags) }
}

fn names(plan: &Plan) -> (Vec<&str>, Vec<&str>) {
    let kept = plan.kept.iter().map(|(held, _)| held.tags[0].as_str()).collect();
    (kept, plan.gone.iter().map(|(held, _)| held.tags[0].as_str()).collect())
}

#[test]
fn what_is_needed_or_not_understood_stays_and_of_the_others_the_newest() {
    let mut all: Vec<Held> = (1..=9).rev().map(|day| held(&format!("{day}"), day, &[&format!("t{day}")])).collect();
    all[8].tags.push("latest".to_owned());
    all[7].tags = vec![CACHE_TAG.to_owned()];
    all[6].about = None;
    all[5].about = Some(About::default());
    let needed = digest_of(b"5");
    let needed =
        Needed { by_digest: BTreeMap::from([(needed, vec!["production runs it".to_owned()])]), ..Needed::default() };
    let plan = Plan::make(all.clone(), &needed, 2);
    assert_eq!(names(&plan), (vec!["t9", "t8", "t5", "t4", "t3", "cache", "t1"], vec!["t7", "t6"]));
    assert_eq!(plan.freed, 20, "the base is still in use");
    let text = plan.text();
    for said in ["production runs it", "is latest", "layer cache", "among the 2 newest", "7 stay, 2 go"] {
        assert!(text.contains(said), "{text}");
    }
    assert_eq!(names(&Plan::make(all.clone(), &needed, 0)).1, ["t9", "t8", "t7", "t6"]);
    assert_eq!(names(&Plan::make(all, &needed, 100)).1, [""; 0]);
}

#[test]
fn what_a_kept_index_names_stays_and_what_only_a_deleted_one_names_goes_with_it() {
    let (shared, own, tagged) = (held("shared", 1, &["s"]), held("own", 1, &[]), held("tagged", 1, &["tagged"]));
    let kept = index("kept", 5, &["kept"], &[&shared]);
    let gone = index("gone", 4, &["gone"], &[&shared, &own, &tagged]);
    let all = vec![kept, gone, shared.clone(), tagged.clone()];
    let plan = Plan::make(all.clone(), &Needed::default(), 1);
    assert_eq!(names(&plan), (vec!["kept", "s"], vec!["gone", "tagged"]));
    assert_eq!(plan.kept[1].1, "is part of kept");
    assert_eq!(plan.gone[0].1, std::slice::from_ref(&own.digest));
    // An environment may have been told the digest of an image in the index.
    let needed = BTreeMap::from([(own.digest, vec!["production runs it".to_owned()])]);
    let plan = Plan::make(all, &Needed { by_digest: needed, ..Needed::default() }, 0);
    assert_eq!(names(&plan), (vec!["gone", "s", "tagged"], vec!["kept"]));
}

/// A project with one environment whose images are in this registry.
struct Project {
    _folder: tempfile::TempDir,
    config: Config,
}

impl Project {
    fn new(address: &str) -> Self {
        drop(rustls::crypto::ring::default_provider().install_default());
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
        let yaml = format!(
            "project: p\nservice: {{ package: p, settings: s.json, readiness: /r }}\nimage: {{ name: app }}\nenvironments:\n  \
             production: {{ target: scaleway, registry: '{address}/space', keep_releases: 1 }}\n"
        );
        fs_err::write(root.join("deploy.yaml"), yaml).unwrap();
        let secrets = root.join(".env.production");
        fs_err::write(&secrets, format!("REGISTRY_USERNAME={USER}\nREGISTRY_PASSWORD={PASSWORD}\n")).unwrap();
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

    async fn prune(&self, how: How) -> Result<(), Failure> {
        let report = Report::new(Audience::Plain, false, Redactor::default());
        prune(&Images::find(&self.config, "production", &report)?, how, Audience::Plain).await
    }
}

#[tokio::test]
async fn a_real_registry_loses_what_nothing_needs() {
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
    project.deployed(&digests[0]).await;
    project.deployed(&digests[1]).await;

    // A dry run, and one that nobody is there to answer, change nothing.
    project.prune(How { dry_run: true, ..NO_QUESTION }).await.unwrap();
    let refused = project.prune(How { yes: false, ..NO_QUESTION }).await.unwrap_err();
    assert_eq!(refused.exit_code(), 21);
    assert!(refused.into_error().to_string().contains("image prune production --yes"));
    for tag in ["one", "two", "three", "four", "six", "cache"] {
        assert_eq!(registry.head(NAME, tag).0, 200, "{tag}");
    }

    project.prune(NO_QUESTION).await.unwrap();
    let there = |tag: &str| registry.head(NAME, tag).0 == 200;
    // What runs, what ran before, latest, the newest, the cache.
    assert!(["two", "one", "also-one", "three", "latest", "six", "cache"].into_iter().all(there));
    assert!(!there("four") && !there(&digests[3]));
    let report = Report::new(Audience::Plain, false, Redactor::default());
    let images = Images::find(&project.config, "production", &report).unwrap();
    let repository = images.repository().await.unwrap();
    assert_eq!(repository.tags().await.unwrap(), ["also-one", "cache", "latest", "one", "six", "three", "two"]);

    // What is compared after the question must not depend on which answer came first.
    let seen = survey(repository).await.unwrap();
    assert!(seen.iter().any(|held| held.tags == ["latest", "three"]));
    for _ in 0..5 {
        assert_eq!(survey(repository).await.unwrap(), seen);
    }

    // With a deploy more, the first is neither run nor gone back to.
    project.deployed(&digests[2]).await;
    project.prune(How { keep: 0, ..NO_QUESTION }).await.unwrap();
    assert_eq!(repository.tags().await.unwrap(), ["cache", "latest", "three", "two"]);
    project.prune(How { keep: 0, ..NO_QUESTION }).await.unwrap();
}

#[tokio::test]
async fn records_that_cannot_be_read_stop_it() {
    let Some(registry) = testkit::or_skip("image prune, damaged records", DockerRegistry::start(Wants::Password))
    else {
        return;
    };
    let project = Project::new(&registry.address);
    registry.push(NAME, &Image { tags: &["one"], created: "2026-01-01T00:00:00Z", version: "1", layer: 10 });
    fs_err::create_dir_all(project.config.root.join(".deploy/production/records")).unwrap();
    fs_err::write(project.config.root.join(".deploy/production/records/1.json"), "{").unwrap();
    let error = format!("{:#}", project.prune(How { keep: 0, ..NO_QUESTION }).await.unwrap_err().into_error());
    assert!(error.contains("records/1.json") && error.contains("which images it needs"), "{error}");
    assert_eq!(registry.head(NAME, "one").0, 200);
}

#[tokio::test]
async fn a_registry_that_does_not_delete_says_so() {
    let Some(registry) = testkit::or_skip("image prune, refused", DockerRegistry::start_with(Wants::Password, false))
    else {
        return;
    };
    let project = Project::new(&registry.address);
    registry.push(NAME, &Image { tags: &["one"], created: "2026-01-01T00:00:00Z", version: "1", layer: 10 });
    let error = format!("{:#}", project.prune(How { keep: 0, ..NO_QUESTION }).await.unwrap_err().into_error());
    assert!(error.contains("storage.delete.enabled") && error.contains("0 of 1"), "{error}");
}

#[tokio::test]
async fn where_only_tags_can_be_deleted_none_goes_that_names_something_kept() {
    drop(rustls::crypto::ring::default_provider().install_default());
    let (old, new) = (held("old", 1, &["old", "also-old"]), held("new", 2, &["new"]));
    let api =
        Api::start(vec![("old", &old.digest), ("also-old", &old.digest), ("new", &new.digest), ("moved", &new.digest)]);
    let registries = scaleway::Registries::new(&api.url(), "fr-par", &KEY.into()).unwrap();
    let plan = Plan::make(vec![new, old.clone()], &Needed::default(), 1);
    let mut deleted = Vec::new();
    delete_tags(&registries, NAME, &plan, &mut deleted).await.unwrap();
    assert_eq!(
        (api.names(), deleted.as_slice()),
        (vec!["new".to_owned(), "moved".to_owned()], [old.digest.clone()].as_slice())
    );

    // Somebody gave what goes a tag meanwhile.
    let api = Api::start(vec![("old", &old.digest), ("release", &old.digest)]);
    let registries = scaleway::Registries::new(&api.url(), "fr-par", &KEY.into()).unwrap();
    let error = delete_tags(&registries, NAME, &plan, &mut Vec::new()).await.unwrap_err().to_string();
    assert!(error.contains("release"), "{error}");
    assert_eq!(api.names(), ["old", "release"]);
}
