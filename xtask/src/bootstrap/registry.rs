//! The registry that images are pushed to. At Scaleway it is a namespace that must exist before the first push, and so before
//! the stack; the stack imports it later.

use anyhow::{Context as _, Result, anyhow};
use secrecy::ExposeSecret as _;

use super::item::Item;
use super::{Prerequisite, variable};
use crate::check::Check;
use crate::clients::registry::Repository;
use crate::clients::registry::error::RegistryError;
use crate::clients::scaleway::{Namespace, Registries};
use crate::env::Env;
use crate::failure::Failure;
use crate::image::ServiceImage;

/// The stack's variable for its project, and the name that Scaleway's own programs read.
const PROJECT: (&str, &str) = ("project_id", "SCW_DEFAULT_PROJECT_ID");

/// The registry of an environment.
pub struct ImageRegistry<'a> {
    env: &'a Env<'a>,
    repository: Repository,
    scaleway: Option<Scaleway>,
}

/// A namespace at Scaleway. It need not exist.
struct Scaleway {
    api: Registries,
    region: String,
    namespace: String,
    /// The project that it should be in, if the configuration says.
    project: Option<String>,
}

/// What fixing an item takes.
pub enum Fix {
    /// Create the namespace in this project.
    Create(String),
    /// Make the namespace private.
    MakePrivate(Namespace),
}

/// Doctor's check: whether Scaleway's API accepts the key. None for another registry.
pub async fn check(image: &ServiceImage<'_>) -> Option<Check> {
    image.env.environment.registry()?;
    let asked = async {
        let Some(at) = Scaleway::find(image).await.map_err(Failure::into_error)? else { return Ok(None) };
        at.api.check().await?;
        anyhow::Ok(Some(format!("the API accepts the key, in {}", at.region)))
    };
    match asked.await {
        Ok(None) => None,
        Ok(Some(found)) => Some(Check::good("scaleway", found)),
        Err(error) => Some(Check::bad("scaleway", format!("{error:#}"), "check SCW_SECRET_KEY")),
    }
}

impl<'a> ImageRegistry<'a> {
    /// The registry of an image. Fails if the environment has none. No request is made yet.
    pub async fn find(image: &ServiceImage<'a>) -> Result<Self, Failure> {
        let (repository, scaleway) = (image.repository().await?.clone(), Scaleway::find(image).await?);
        Ok(Self { env: image.env, repository, scaleway })
    }

    /// The items when the namespace does not exist.
    fn without(&self, at: &Scaleway) -> Vec<Item<Fix>> {
        let about = format!("namespace {}", at.namespace);
        let is = format!("not found in {} with this key", at.region);
        let should = "a private namespace";
        let namespace = match &at.project {
            Some(project) => Item::differs(about, is, should, "create it", Fix::Create(project.clone())),
            None => {
                let (variable, name) = PROJECT;
                let next = format!("name its project: set {variable} in `variables` in deploy.yaml, or {name}");
                Item::by_hand(about, is, should, next)
            }
        };
        vec![
            namespace,
            Item::waits("access", "not known yet", "private"),
            Item::waits("registry_namespace_id", "not known yet", format!("{}/<UUID>", at.region)),
            Item::waits("push", "not tried yet", "accepted"),
        ]
    }

    /// Whether the registry accepts a push. Starts an upload and cancels it.
    async fn push(&self) -> Result<Item<Fix>, Failure> {
        let name = format!("{}/{}", self.repository.host(), self.repository.name());
        match self.repository.check_push().await {
            Ok(()) => Ok(Item::good("push", format!("accepted for {name}; the test upload was cancelled"))),
            Err(error @ RegistryError::Unauthorized { .. }) => {
                let text = error.to_string();
                let (is, next) = text.split_once("\n  ").unwrap_or((&text, "check the credentials"));
                Ok(Item::by_hand("push", is, "accepted", next))
            }
            Err(error) => Err(Failure::Failed(anyhow::Error::new(error).context(format!("try a push to {name}")))),
        }
    }
}

impl Prerequisite for ImageRegistry<'_> {
    type Fix = Fix;

    fn title(&self) -> String {
        let registry = self.env.environment.registry().unwrap_or_default();
        format!("image registry of {}: {registry}", self.env.name())
    }

    fn command(&self) -> String {
        format!("cargo xtask bootstrap registry {}", self.env.name())
    }

    async fn inspect(&self) -> Result<Vec<Item<Fix>>, Failure> {
        let Some(at) = &self.scaleway else {
            self.repository.check().await.context("log in to the registry")?;
            let login = Item::good("log-in", format!("{} accepts the credentials", self.repository.host()));
            return Ok(vec![login, self.push().await?]);
        };
        let Some(namespace) = at.api.namespace(&at.namespace).await.context("find the namespace")? else {
            return Ok(self.without(at));
        };
        let id = format!("{}/{}", at.region, namespace.id);
        let about = format!("namespace {}", namespace.name);
        if let Some(project) = at.project.as_ref().filter(|project| **project != namespace.project_id) {
            let (variable, _) = PROJECT;
            let next = format!(
                "use another `registry` in deploy.yaml, or set {variable} to the namespace's project: the stack would replace \
                 the namespace and lose its images"
            );
            let (is, should) = (format!("in project {}", namespace.project_id), format!("in project {project}"));
            return Ok(vec![Item::refused(about, is, should, next)]);
        }
        let mut items = vec![match namespace.status.as_str() {
            "ready" => Item::good(about, "ready"),
            status => Item::by_hand(about, status, "ready", "check it in Scaleway's console"),
        }];
        items.push(if namespace.is_public {
            let is = "public: anyone can pull its images";
            Item::differs("access", is, "private", "make it private", Fix::MakePrivate(namespace))
        } else {
            Item::good("access", "private")
        });
        items.push(variable::item(self.env, "registry_namespace_id", &id)?);
        items.push(self.push().await?);
        Ok(items)
    }

    async fn fix(&self, fix: &Fix) -> Result<(), Failure> {
        let at = self.scaleway.as_ref().context("only a registry at Scaleway has fixes")?;
        let project = match fix {
            Fix::MakePrivate(namespace) => {
                return Ok(at.api.close_namespace(namespace).await.context("make the namespace private")?);
            }
            Fix::Create(project) => project,
        };
        if at.api.create_namespace(&at.namespace, project).await.context("create the namespace")?.is_some() {
            return Ok(());
        }
        // The name is taken: by the first try when its answer was lost, or by another account.
        if at.api.namespace(&at.namespace).await.context("find the namespace")?.is_some() {
            return Ok(());
        }
        let Scaleway { namespace, region, .. } = at;
        Err(Failure::Refused(anyhow!(
            "the namespace {namespace} in {region} belongs to another account; a name is unique in its region\n  \
             use another `registry` in deploy.yaml"
        )))
    }
}

impl Scaleway {
    /// The namespace of the environment's registry; none for a registry that is not Scaleway's. No request is made yet.
    async fn find(image: &ServiceImage<'_>) -> Result<Option<Self>, Failure> {
        let repository = image.repository().await?;
        let Some(region) = repository.host().scaleway_region() else { return Ok(None) };
        let Some((namespace, _)) = repository.name().split_once('/') else {
            let registry = image.env.environment.registry().unwrap_or_default();
            return Err(Failure::Usage(anyhow!(
                "{registry} names no namespace; at Scaleway, write `registry: {registry}/NAMESPACE` in deploy.yaml"
            )));
        };
        let Some(api) = image.scaleway(region).await? else {
            let file = format!(".env.{}", image.env.name());
            return Err(anyhow!(
                "SCW_SECRET_KEY has no value\n  put it into {file} (mode 0600) or into the environment"
            )
            .into());
        };
        let (region, namespace) = (region.to_owned(), namespace.to_owned());
        Ok(Some(Self { api, region, namespace, project: project(image.env)? }))
    }
}

/// The stack's project: from its variables, else from the variable that Scaleway's own programs read.
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
