//! Which objects may be in the bucket of a state.

use std::os::unix::fs::PermissionsExt as _;

use camino::Utf8PathBuf;

use super::*;
use crate::clients::s3::error::Result;
use crate::config::Config;
use crate::report::{Audience, Report};
use crate::secrets::Redactor;
use crate::signals::Stop;

const DEPLOY: &str = "project: shop
service: { package: app, settings: s.json, readiness: /health }
image: { name: app }
environments:
  production:
    target: scaleway
    registry: rg.fr-par.scw.cloud/shop
    stack: infra
    state: { bucket: states, region: fr-par, provider: scaleway }
  staging:
    target: scaleway
    registry: rg.fr-par.scw.cloud/shop
    stack: infra
    state: { bucket: states, region: fr-par, provider: scaleway, key: staging-state }
  elsewhere:
    target: scaleway
    registry: rg.fr-par.scw.cloud/shop
    stack: infra
    state: { bucket: others, region: fr-par, provider: scaleway }
";

/// The item of a bucket with these objects.
fn objects(keys: &[&str]) -> Item<Fix> {
    let folder = tempfile::tempdir().unwrap();
    let root = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
    fs_err::write(root.join("deploy.yaml"), DEPLOY).unwrap();
    fs_err::create_dir(root.join("infra")).unwrap();
    let file = root.join(".env.production");
    fs_err::write(&file, "SCW_ACCESS_KEY=SCWKEY\nSCW_SECRET_KEY=secret\n").unwrap();
    fs_err::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let config = Config::load(&root).unwrap();
    let report = Report::new(Audience::Plain, false, Redactor::default());
    let env = Env::find(&config, "production", &report, &Stop::channel().1).unwrap();
    StateBucket::open(&env).unwrap().objects(&answers(keys))
}

fn answers(keys: &[&str]) -> Answers {
    fn unset<T>() -> Result<T> {
        Err(S3Error { what: "ask".to_owned(), kind: Kind::Unset, said: String::new() })
    }
    Answers {
        keys: Ok(keys.iter().map(|key| (*key).to_owned()).collect()),
        region: unset(),
        own: unset(),
        versioning: unset(),
        public_access: unset(),
        acl: unset(),
        encryption: unset(),
        policy: unset(),
        lifecycle: unset(),
        tags: unset(),
    }
}

#[test]
fn states_and_the_stores_of_their_environments_are_accepted() {
    let stores = ["shop/production", "shop/staging"].map(|prefix| {
        let keys = [
            "lease.json",
            "journal.jsonl",
            "plan.json",
            "plans/0f.tfplan",
            "records/00000007-20261121T104423Z-1f2e3d.json",
        ];
        keys.map(|key| format!("{prefix}/{key}"))
    });
    let states = [".xtask/probe-1-0a", "shop/production.tfstate", "shop/production.tfstate.tflock", "staging-state"];
    let keys: Vec<&str> = states.into_iter().chain(stores.iter().flatten().map(String::as_str)).collect();
    let item = objects(&keys);
    assert_eq!((item.verdict, item.is.as_str()), (Verdict::Good, "2 states"));
    assert_eq!(objects(&["shop/production/lease.json"]).is, "no state yet");
}

#[test]
fn the_store_of_an_environment_that_only_its_state_tells_of_is_accepted() {
    // Of another project, or of an environment that is no longer in deploy.yaml.
    for prefix in ["gallery/production", "shop/demo"] {
        let (state, lease) = (format!("{prefix}.tfstate"), format!("{prefix}/lease.json"));
        assert_eq!(objects(&[&state, &lease]).verdict, Verdict::Good, "{prefix}");
        assert!(matches!(objects(&[&lease]).verdict, Verdict::Refused { .. }), "{prefix}");
    }
}

#[test]
fn other_objects_are_refused() {
    for key in [
        "holiday.jpg",
        "lease.json",
        "shop/lease.json",
        "shop/production/holiday.jpg",
        "shop/production/backup/lease.json",
        "shop/production/records",
        "shop/elsewhere/lease.json",
        "shop/local/lease.json",
    ] {
        let item = objects(&["shop/production.tfstate", key, "shop/production/lease.json"]);
        assert_eq!(item.is, key);
        assert!(matches!(item.verdict, Verdict::Refused { .. }), "{key}");
    }
}
