//! The registry that images are pushed to. At Scaleway it is a namespace, which somebody has to make before the first push; the
//! stack, which comes later, takes it over.

use anyhow::{Context as _, Result, anyhow};
use secrecy::ExposeSecret as _;

use super::item::Item;
use super::{Foundation, How, bootstrap, variable};
use crate::check::Check;
use crate::clients::registry::Repository;
use crate::clients::registry::error::RegistryError;
use crate::clients::scaleway::{Namespace, Registries};
use crate::env::Env;
use crate::failure::Failure;
use crate::image::ServiceImage;

/// The stack's variable for the project that all of it belongs to, and Scaleway's own name for the same.
const PROJECT: (&str, &str) = ("project_id", "SCW_DEFAULT_PROJECT_ID");

/// Looks at the registry and mends what can be mended.
pub async fn registry(images: &ServiceImage<'_>, how: How) -> Result<(), Failure> {
    let registry = ImageRegistry {
        env: images.env,
        repository: images.repository().await?.clone(),
        scaleway: Scaleway::find(images).await?,
    };
    Box::pin(bootstrap(&registry, how, images.env)).await
}

/// Whether Scaleway's API lets us in, for an environment whose images are in its registry.
pub async fn check(images: &ServiceImage<'_>) -> Option<Check> {
    images.env.environment.registry()?;
    let asked = async {
        let Some(at) = Scaleway::find(images).await.map_err(Failure::into_error)? else { return Ok(None) };
        at.api.check().await?;
        anyhow::Ok(Some(format!("its API lets us in, in {}", at.region)))
    };
    match asked.await {
        Ok(None) => None,
        Ok(Some(found)) => Some(Check::good("scaleway", found)),
        Err(error) => Some(Check::bad("scaleway", format!("{error:#}"), "look at SCW_SECRET_KEY")),
    }
}

/// The registry of an environment.
struct ImageRegistry<'a> {
    env: &'a Env<'a>,
    repository: Repository,
    scaleway: Option<Scaleway>,
}

/// A namespace at Scaleway, whether it is there or not.
struct Scaleway {
    api: Registries,
    region: String,
    namespace: String,
    /// The project that it should be in, if that is said anywhere.
    project: Option<String>,
}

/// What it takes to mend something.
enum Mend {
    /// Make the namespace, in this project.
    Make(String),
    /// Let nobody pull without a key.
    Close(Namespace),
}

impl Foundation for ImageRegistry<'_> {
    type Mend = Mend;

    fn title(&self) -> String {
        let registry = self.env.environment.registry().unwrap_or_default();
        format!("the registry of {}: {registry}", self.env.environment.name)
    }

    fn command(&self) -> String {
        format!("cargo xtask bootstrap registry {}", self.env.environment.name)
    }

    async fn look(&self) -> Result<Vec<Item<Mend>>, Failure> {
        let Some(at) = &self.scaleway else {
            self.repository.check().await.context("log in")?;
            return Ok(vec![
                Item::good("log-in", format!("{} lets us in", self.repository.host())),
                self.push().await?,
            ]);
        };
        let Some(namespace) = at.api.namespace(&at.namespace).await.context("look for the namespace")? else {
            return Ok(self.without(at));
        };
        let id = format!("{}/{}", at.region, namespace.id);
        let about = format!("namespace {}", namespace.name);
        if let Some(project) = at.project.as_ref().filter(|project| **project != namespace.project_id) {
            let next = "take another name for `registry` in deploy.yaml, or say that project: the stack would make it anew, \
                        without its images";
            let (is, should) =
                (format!("in the project {}", namespace.project_id), format!("in the project {project}"));
            return Ok(vec![Item::refused(about, is, should, next)]);
        }
        let mut items = vec![match namespace.status.as_str() {
            "ready" => Item::good(about, "ready"),
            status => Item::by_hand(about, status, "ready", "look at it in Scaleway's console"),
        }];
        items.push(if namespace.is_public {
            let (is, should) = ("everyone may pull", "only who has a key");
            Item::differs("access", is, should, "make it private", Mend::Close(namespace))
        } else {
            Item::good("access", "only who has a key may pull")
        });
        items.push(variable::item(self.env, "registry_namespace_id", &id)?);
        items.push(self.push().await?);
        Ok(items)
    }

    async fn mend(&self, mend: &Mend) -> Result<(), Failure> {
        let at = self.scaleway.as_ref().context("only Scaleway's registries are mended")?;
        let project = match mend {
            Mend::Close(namespace) => {
                return Ok(at.api.close_namespace(namespace).await.context("make it private")?);
            }
            Mend::Make(project) => project,
        };
        if at.api.create_namespace(&at.namespace, project).await.context("make the namespace")?.is_some() {
            return Ok(());
        }
        // An answer that was lost was asked for again, and then the name is taken by the first one.
        if at.api.namespace(&at.namespace).await.context("look for the namespace")?.is_some() {
            return Ok(());
        }
        let Scaleway { namespace, region, .. } = at;
        Err(Failure::Refused(anyhow!(
            "the namespace {namespace} in {region} is somebody else's: a name is there once in a region\n  \
             take another for `registry` in deploy.yaml"
        )))
    }
}

impl ImageRegistry<'_> {
    /// What there is to do without a namespace.
    fn without(&self, at: &Scaleway) -> Vec<Item<Mend>> {
        let about = format!("namespace {}", at.namespace);
        let is = format!("not among this key's in {}", at.region);
        let make = match &at.project {
            Some(project) => Item::differs(about, is, "there and private", "make it", Mend::Make(project.clone())),
            None => {
                let (variable, name) = PROJECT;
                let next = format!("say in which project: {variable} among `variables` in deploy.yaml, or {name}");
                Item::by_hand(about, is, "there and private", next)
            }
        };
        vec![
            make,
            Item::waits("access", "not known yet", "only who has a key may pull"),
            Item::waits("registry_namespace_id", "not known yet", format!("{}/ and a UUID", at.region)),
            Item::waits("push", "not to be tried yet", "let in"),
        ]
    }

    /// Whether a push is let in, tried.
    async fn push(&self) -> Result<Item<Mend>, Failure> {
        let name = format!("{}/{}", self.repository.host(), self.repository.name());
        match self.repository.check_push().await {
            Ok(()) => Ok(Item::good("push", format!("let in to {name}: begun and taken back"))),
            Err(error @ RegistryError::Unauthorized { .. }) => {
                let text = error.to_string();
                let (is, next) = text.split_once("\n  ").unwrap_or((&text, "look at the credentials"));
                Ok(Item::by_hand("push", is, "let in", next))
            }
            Err(error) => Err(Failure::Failed(anyhow::Error::new(error).context(format!("try a push to {name}")))),
        }
    }
}

impl Scaleway {
    /// The namespace of the environment's registry; none where that is not Scaleway's. Asks nothing of it.
    async fn find(images: &ServiceImage<'_>) -> Result<Option<Self>, Failure> {
        let repository = images.repository().await?;
        let Some(region) = repository.host().scaleway_region() else { return Ok(None) };
        let Some((namespace, _)) = repository.name().split_once('/') else {
            let registry = images.env.environment.registry().unwrap_or_default();
            let text =
                format!("{registry} names no namespace; at Scaleway it is a part of `registry`: {registry}/NAME");
            return Err(Failure::Usage(anyhow!(text)));
        };
        let Some(api) = images.scaleway(region).await? else {
            let file = format!(".env.{}", images.env.name());
            return Err(anyhow!(
                "SCW_SECRET_KEY has no value\n  put it into {file} (mode 0600) or into the environment"
            )
            .into());
        };
        Ok(Some(Self {
            api,
            region: region.to_owned(),
            namespace: namespace.to_owned(),
            project: project(images.env)?,
        }))
    }
}

/// The project that the stack is told to be in, else the one that Scaleway's own programs take.
fn project(env: &Env<'_>) -> Result<Option<String>> {
    let (variable, name) = PROJECT;
    let written = env.environment.stack().and_then(|stack| stack.variables.get(variable));
    if let Some(written) = written {
        return Ok(Some(written.clone()));
    }
    Ok(env.value(name)?.map(|given| given.expose_secret().to_owned()))
}

#[cfg(test)]
mod tests;
