use camino::Utf8PathBuf;
use insta::assert_snapshot;
use tempfile::TempDir;

use std::collections::BTreeSet;

use super::*;
use crate::bootstrap::{Outcome, fixable, judge};
use crate::clients::patience::Patience;
use crate::clients::registry::credentials::Credentials;
use crate::clients::registry::reference::Reference;
use crate::clients::scaleway::tests::{Api, KEY, PROJECT};
use crate::config::Config;
use crate::report::{Audience, Paint, Report};
use crate::secrets::Redactor;
use crate::signals::Stop;
use devservers::registry::{DockerRegistry, Login as Asks};

/// An environment with a stack at Scaleway. Its registry runs on this machine.
struct Site {
    api: Api,
    config: Config,
    /// Docker's registry, which has no namespaces.
    registry: DockerRegistry,
    _folder: TempDir,
}

impl Site {
    fn new(test: &str, namespace: &str, variables: &str) -> Option<Self> {
        drop(rustls::crypto::ring::default_provider().install_default());
        let registry = testkit::or_skip(test, DockerRegistry::start(Asks::Open))?;
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
        let yaml = format!(
            "project: shop\nservice: {{ package: app, settings: s.json, readiness: /health }}\nimage: {{ name: app }}\nenvironments:\n  \
             production:\n    target: scaleway\n    registry: rg.fr-par.scw.cloud/{namespace}\n    stack: infra\n    \
             state: {{ bucket: shop-state, region: fr-par, provider: scaleway }}\n    variables: {{ {variables} }}\n"
        );
        fs_err::write(root.join("deploy.yaml"), yaml).unwrap();
        fs_err::create_dir(root.join("infra")).unwrap();
        fs_err::write(root.join("infra/main.tf"), "variable \"registry_namespace_id\" {\n}\n").unwrap();
        Some(Self { api: Api::start(Vec::new()), config: Config::load(&root).unwrap(), registry, _folder: folder })
    }

    /// Inspects the registry, and with `fix` fixes what differs first.
    async fn run(&self, fix: bool) -> Result<Outcome, Failure> {
        let env = self.env();
        let registry = self.registry(&env);
        let (mut items, mut fixed) = (registry.inspect().await?, BTreeSet::new());
        if fix {
            for (item, _, fix) in fixable(&items, &fixed.clone()) {
                registry.fix(fix).await?;
                fixed.insert(item.about.clone());
            }
            items = registry.inspect().await?;
        }
        judge(&items, &fixed, &registry.command())
    }

    /// The items as people see them.
    async fn text(&self) -> String {
        let env = self.env();
        let items = self.registry(&env).inspect().await.unwrap();
        let text = items.iter().map(|item| item.text(21, Paint::new(false))).collect::<Vec<_>>().join("\n");
        text.replace(&self.registry.address, "REGISTRY")
    }

    fn env(&self) -> Env<'_> {
        let report = Report::new(Audience::Plain, false, Redactor::default());
        Env::find(&self.config, "production", &report, &Stop::channel().1).unwrap()
    }

    fn registry<'a>(&self, env: &'a Env<'a>) -> ImageRegistry<'a> {
        let (_, namespace) = env.environment.registry().unwrap().split_once('/').unwrap();
        let reference: Reference = format!("{}/{namespace}/app", self.registry.address).parse().unwrap();
        let repository = Repository::new(&reference, Credentials::anonymous(), &Patience::default()).unwrap();
        let scaleway = Scaleway {
            api: Registries::new(&self.api.url(), "fr-par", &KEY.into()).unwrap(),
            region: "fr-par".to_owned(),
            namespace: namespace.to_owned(),
            project: project(env).unwrap(),
        };
        ImageRegistry { env, repository, scaleway: Some(scaleway) }
    }
}

#[tokio::test]
async fn a_namespace_is_created_once_and_private() {
    let test = "a_namespace_is_created_once_and_private";
    let Some(site) = Site::new(test, "shop", &format!("project_id: {PROJECT}")) else { return };
    assert_snapshot!(site.text().await, @r"
    ✗ namespace shop        not found in fr-par with this key; should be a private namespace
                            → create it
    · access                not known yet; will be private
    · registry_namespace_id not known yet; will be fr-par/<UUID>
    · push                  not tried yet; will be accepted
    ");
    // An inspection changes nothing.
    assert_eq!(site.run(false).await.unwrap(), Outcome::Pending);
    assert_eq!(site.api.changes(), [""; 0]);

    // It is created. The variable of the stack has to be set by hand.
    assert_eq!(site.run(true).await.unwrap(), Outcome::Pending);
    let made = format!(r#"POST {{"is_public":false,"name":"shop","project_id":"{PROJECT}"}}"#);
    assert_eq!(site.api.changes(), [made.as_str()]);
    assert_snapshot!(site.text().await, @r"
    ✓ namespace shop        ready
    ✓ access                private
    ! registry_namespace_id not in deploy.yaml; should be fr-par/n-2
                            → add it to `variables` of production in deploy.yaml: registry_namespace_id: fr-par/n-2
    ✓ push                  accepted for REGISTRY/shop/app; the test upload was cancelled
    ");

    // A second run changes nothing.
    assert_eq!(site.run(true).await.unwrap(), Outcome::Pending);
    assert_eq!(site.api.changes().len(), 1);
}

#[tokio::test]
async fn a_namespace_that_the_stack_imports_meets_every_item() {
    let test = "a_namespace_that_the_stack_imports_meets_every_item";
    let variables = format!("project_id: {PROJECT}, registry_namespace_id: fr-par/n-1");
    let Some(site) = Site::new(test, "space", &variables) else { return };
    assert_eq!(site.run(false).await.unwrap(), Outcome::Met);
    assert_snapshot!(site.text().await, @r"
    ✓ namespace space       ready
    ✓ access                private
    ✓ registry_namespace_id fr-par/n-1
    ✓ push                  accepted for REGISTRY/space/app; the test upload was cancelled
    ");
    // The registry logs a request after its answer.
    let is_cancel = |line: &String| line.starts_with("DELETE /v2/space/app/blobs/uploads/");
    testkit::until("the test upload is cancelled", || site.registry.requests().iter().any(is_cancel));

    site.api.change("space", |namespace| namespace.is_public = true);
    assert_eq!(site.run(false).await.unwrap(), Outcome::Pending);
    assert_eq!(site.run(true).await.unwrap(), Outcome::Met);
    assert!(!site.api.namespace("space").unwrap().is_public);

    site.api.change("space", |namespace| namespace.status = "locked".to_owned());
    assert_eq!(site.run(false).await.unwrap(), Outcome::Pending);
}

#[tokio::test]
async fn a_namespace_of_another_account_or_project_is_refused() {
    let test = "a_namespace_of_another_account_or_project_is_refused";
    let Some(taken) = Site::new(test, "taken", &format!("project_id: {PROJECT}")) else { return };
    let refused = taken.run(true).await.unwrap_err();
    assert!(matches!(refused, Failure::Refused(_)));
    assert_snapshot!(refused.into_error(), @r"
    the namespace taken in fr-par belongs to another account; a name is unique in its region
      use another `registry` in deploy.yaml
    ");

    let other = "00000000-0000-0000-0000-000000000002";
    let Some(elsewhere) = Site::new(test, "space", &format!("project_id: {other}")) else { return };
    let refused = elsewhere.run(true).await.unwrap_err();
    assert!(matches!(refused, Failure::Refused(_)));
    assert_snapshot!(refused.into_error(), @r"
    namespace space: in project 00000000-0000-0000-0000-000000000001; xtask does not touch it
      use another `registry` in deploy.yaml, or set project_id to the namespace's project: the stack would replace the namespace and lose its images
    ");
    assert_eq!(elsewhere.api.changes(), [""; 0]);

    // The configuration names no project.
    let Some(nowhere) = Site::new(test, "shop", "") else { return };
    assert_eq!(nowhere.run(true).await.unwrap(), Outcome::Pending);
    assert_eq!(nowhere.api.changes(), [""; 0]);
    assert!(nowhere.text().await.contains("SCW_DEFAULT_PROJECT_ID"));
}
