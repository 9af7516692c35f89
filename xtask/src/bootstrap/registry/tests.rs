use camino::Utf8PathBuf;
use insta::assert_snapshot;
use tempfile::TempDir;

use super::*;
use crate::clients::registry::credentials::Credentials;
use crate::clients::registry::reference::Reference;
use crate::clients::scaleway::tests::{Api, KEY, PROJECT};
use crate::report::Report;
use crate::secrets::Redactor;
use devservers::registry::{DockerRegistry, Login as Asks};

const CHECK: How = How { check: true, yes: false };
const MEND: How = How { check: false, yes: true };

/// An environment with a stack at Scaleway, whose registry is one of this machine.
struct Site {
    api: Api,
    config: Config,
    // Debian's registry, which knows no namespaces.
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

    async fn run(&self, how: How) -> Result<(), Failure> {
        self.with(|registry| async move {
            let report = Report::new(Audience::Plain, false, Redactor::default());
            bootstrap(&registry, how, Audience::Plain, &report).await
        })
        .await
    }

    /// What is shown of it.
    async fn text(&self) -> String {
        let items = self.with(|registry| async move { registry.look().await }).await.unwrap();
        let text =
            items.iter().map(|item| item.text(21, crate::report::Paint::new(false))).collect::<Vec<_>>().join("\n");
        text.replace(&self.registry.address, "REGISTRY")
    }

    async fn with<'a, T, F: Future<Output = T>>(&'a self, work: impl FnOnce(ImageRegistry<'a>) -> F) -> T {
        let environment = self.config.environment("production").unwrap();
        let (_, namespace) = environment.registry().unwrap().split_once('/').unwrap();
        let reference: Reference = format!("{}/{namespace}/app", self.registry.address).parse().unwrap();
        let repository = Repository::new(&reference, Credentials::anonymous()).unwrap();
        let scaleway = Scaleway {
            api: Registries::new(&self.api.url(), "fr-par", &KEY.into()).unwrap(),
            region: "fr-par".to_owned(),
            namespace: namespace.to_owned(),
            project: project(&self.config, environment).unwrap(),
        };
        work(ImageRegistry { config: &self.config, environment, repository, scaleway: Some(scaleway) }).await
    }
}

#[tokio::test]
async fn a_namespace_is_made_once_and_private_and_told_to_the_stack() {
    let test = "a_namespace_is_made_once_and_private_and_told_to_the_stack";
    let Some(site) = Site::new(test, "shop", &format!("project_id: {PROJECT}")) else { return };
    assert_snapshot!(site.text().await, @r"
    ✗ namespace shop        not among this key's in fr-par; should be there and private
                            → make it
    · access                not known yet; will be only who has a key may pull
    · registry_namespace_id not known yet; will be fr-par/ and a UUID
    · push                  not to be tried yet; will be let in
    ");
    // Only looked at; and without a yes.
    assert!(matches!(site.run(CHECK).await, Err(Failure::Pending)));
    assert!(matches!(site.run(How { check: false, yes: false }).await, Err(Failure::Refused(_))));
    assert_eq!(site.api.changes(), [""; 0]);

    // It is made; that the stack is told takes a person.
    assert!(matches!(site.run(MEND).await, Err(Failure::Pending)));
    let made = format!(r#"POST {{"is_public":false,"name":"shop","project_id":"{PROJECT}"}}"#);
    assert_eq!(site.api.changes(), [made.as_str()]);
    assert_snapshot!(site.text().await, @r"
    ✓ namespace shop        ready
    ✓ access                only who has a key may pull
    ! registry_namespace_id not in deploy.yaml; should be fr-par/n-2
                            → write into `variables` of production in deploy.yaml: registry_namespace_id: fr-par/n-2
    ✓ push                  let in to REGISTRY/shop/app: begun and taken back
    ");

    // Twice changes nothing.
    assert!(matches!(site.run(MEND).await, Err(Failure::Pending)));
    assert_eq!(site.api.changes().len(), 1);
}

#[tokio::test]
async fn a_stack_that_knows_the_namespace_is_all_there_is_to_do() {
    let test = "a_stack_that_knows_the_namespace_is_all_there_is_to_do";
    let variables = format!("project_id: {PROJECT}, registry_namespace_id: fr-par/n-1");
    let Some(site) = Site::new(test, "space", &variables) else { return };
    site.run(CHECK).await.unwrap();
    assert_snapshot!(site.text().await, @r"
    ✓ namespace space       ready
    ✓ access                only who has a key may pull
    ✓ registry_namespace_id fr-par/n-1
    ✓ push                  let in to REGISTRY/space/app: begun and taken back
    ");
    // An upload that was begun is not left behind.
    let asked = site.registry.requests();
    assert!(asked.iter().any(|line| line.starts_with("DELETE /v2/space/app/blobs/uploads/")), "{asked:?}");

    site.api.change("space", |namespace| namespace.is_public = true);
    assert!(matches!(site.run(CHECK).await, Err(Failure::Pending)));
    site.run(MEND).await.unwrap();
    assert!(!site.api.namespace("space").unwrap().is_public);

    site.api.change("space", |namespace| namespace.status = "locked".to_owned());
    assert!(matches!(site.run(CHECK).await, Err(Failure::Pending)));
}

#[tokio::test]
async fn what_is_somebody_elses_or_elsewhere_is_refused() {
    let test = "what_is_somebody_elses_or_elsewhere_is_refused";
    let Some(taken) = Site::new(test, "taken", &format!("project_id: {PROJECT}")) else { return };
    let refused = taken.run(MEND).await.unwrap_err();
    assert!(matches!(refused, Failure::Refused(_)));
    assert_snapshot!(refused.into_error(), @r"
    the namespace taken in fr-par is somebody else's: a name is there once in a region
      take another for `registry` in deploy.yaml
    ");

    let other = "00000000-0000-0000-0000-000000000002";
    let Some(elsewhere) = Site::new(test, "space", &format!("project_id: {other}")) else { return };
    let refused = elsewhere.run(MEND).await.unwrap_err();
    assert!(matches!(refused, Failure::Refused(_)));
    assert_snapshot!(refused.into_error(), @r"
    namespace space is in the project 00000000-0000-0000-0000-000000000001, and is not touched
      take another name for `registry` in deploy.yaml, or say that project: the stack would make it anew, without its images
    ");
    assert_eq!(elsewhere.api.changes(), [""; 0]);

    // Nobody says in which project.
    let Some(nowhere) = Site::new(test, "shop", "") else { return };
    assert!(matches!(nowhere.run(MEND).await, Err(Failure::Pending)));
    assert_eq!(nowhere.api.changes(), [""; 0]);
    assert!(nowhere.text().await.contains("SCW_DEFAULT_PROJECT_ID"));
}
