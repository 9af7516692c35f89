//! What the tree makes: the program, the web UI and the files beside them, built and put into the release's folder.

use anyhow::{Context as _, Result, bail};
use camino::Utf8PathBuf;

use super::shipped::Shipped;
use super::{Local, releases};
use crate::hash::{sha256_file, sha256_folder};
use crate::release::{Artifact, ArtifactForm, Migration, Published, PublishedForm, Source};
use crate::report::Ongoing;
use crate::sqlx::Schema;
use crate::tools::cargo::{self, Profile};
use crate::tools::cmd::{Cmd, Inherited};
use crate::tools::{git, npm};
use crate::web::{self, Decision};

/// Names of changed files in an error.
const LISTED: usize = 5;

impl Local<'_> {
    /// Compiles the tree as it stands. A tree that changes during the build fails the step: the version would not name what
    /// was built.
    pub async fn build(&self, source: &Source, step: &Ongoing) -> Result<Artifact> {
        if let Some(images) = &self.images {
            return Box::pin(images.build(source, step)).await;
        }
        let service = &self.env.config.service;
        let (root, binary, hidden) = (self.env.root(), service.binary.as_str(), self.env.config.secret_names());
        let progress = |text: &str| step.progress(&format!("{binary}: {text}"));
        let before = git::Snapshot::take(root).await?;
        let database = match Schema::find(self.env)? {
            Some(schema) => schema.for_build(step).await?,
            None => None,
        };
        let build = cargo::Build {
            root,
            package: &service.package,
            binary,
            profile: Profile::Release,
            locked: source.is_clean(),
            database: database.as_ref().map(|(_, url)| url),
            hidden: &hidden,
        };
        let program = async {
            if service.command.is_none() {
                return cargo::build(&build, progress, |line| step.output(line)).await.map(Some);
            }
            if let Some(command) = &service.build {
                self.run_build(command, &hidden, step).await?;
            }
            Ok(None)
        };
        let node = self.web().await?;
        let (program, web) = tokio::try_join!(program, async {
            let Some(Decision::Build(node)) = node else { return Ok(None) };
            let (_, digest) = web::build(self.env.config, node, &hidden, step).await?;
            Ok(Some(digest))
        })?;
        let now = git::source(root, git::Filters::Run).await?;
        if now.version != source.version {
            let changed = before.differences(&git::Snapshot::take(root).await?);
            let why = match changed.iter().all(|name| name.rsplit('/').next() == Some("Cargo.lock")) {
                true => "cargo has brought that up to date",
                false => "what was built is neither; if the build writes these, let git ignore them",
            };
            bail!(
                "the tree changed while it was built: {}\n  it was {} and is {}; {why}\n  type: cargo xtask deploy {}",
                listed(&changed),
                source.version,
                now.version,
                self.env.name()
            );
        }
        let mut sources = match &program {
            Some(program) => cargo::sources(root, program)?,
            None => Vec::new(),
        };
        if let (Some(folder), Some(_)) = (&service.web, &web) {
            let read = web::environment_files(&root.join(folder))?;
            sources.extend(read.into_iter().filter_map(|file| fs_err::canonicalize(file).ok()));
        }
        let unnamed = git::unnamed(root, &sources).await?;
        if !unnamed.is_empty() {
            self.env.report.warn(&format!(
                "the build reads files that git ignores or that are outside of the repository, so the version does not name \
                 them, and an edit of them alone is not deployed: {}",
                listed(&unnamed)
            ));
        }
        let files = self.shipped().await?;
        let form = match (program, files) {
            (Some(program), files) => {
                let (sha256, size) = (sha256_file(&program)?, fs_err::metadata(&program)?.len());
                // Set already after an earlier build of this process, which had the same place.
                self.program.set(program).ok();
                ArtifactForm::Binary { sha256, size, web, files: files.map(|files| files.sha256()).transpose()? }
            }
            (None, files) => {
                let files = files.context("a command has no files")?;
                ArtifactForm::Files { sha256: files.sha256()?, size: files.size()?, web }
            }
        };
        Ok(Artifact { source: source.clone(), migrations: Migration::of(self.env.config)?, form })
    }

    /// Whether the program and the web UI are still there, unchanged.
    pub async fn has_built(&self, artifact: &Artifact) -> bool {
        if let Some(images) = &self.images {
            return Box::pin(images.has_built(artifact)).await;
        }
        let (program, files, web) = match &artifact.form {
            ArtifactForm::Binary { sha256, web, files, .. } => (Some(sha256), files.as_ref(), web),
            ArtifactForm::Files { sha256, web, .. } => (None, Some(sha256), web),
            ArtifactForm::Image { .. } => return false,
        };
        let same_program = match self.built_program().await {
            Ok(built) => built.map(|built| sha256_file(&built)).transpose(),
            Err(error) => Err(error),
        };
        let same_files = self.shipped().await.and_then(|files| files.map(|files| files.sha256()).transpose());
        let same_web = web.as_ref().is_none_or(|web| {
            self.built_web().is_some_and(|folder| sha256_folder(&folder).is_ok_and(|sha| sha == *web))
        });
        let builds_web = matches!(self.web().await, Ok(Some(Decision::Build(_))));
        same_program.is_ok_and(|sha| sha.as_ref() == program)
            && same_files.is_ok_and(|sha| sha.as_ref() == files)
            && same_web
            && builds_web == web.is_some()
    }

    /// Puts an artifact into the folder that it will run from; an image stays in the Docker engine.
    pub async fn publish(&self, artifact: &Artifact, step: &Ongoing) -> Result<Published> {
        if let Some(images) = &self.images {
            return Box::pin(images.publish(artifact, step)).await;
        }
        let program = self.built_program().await?;
        let web = match &artifact.form {
            ArtifactForm::Binary { web: Some(_), .. } | ArtifactForm::Files { web: Some(_), .. } => self.built_web(),
            _ => None,
        };
        let shipped = self.shipped().await?;
        let files = releases::Files { program: program.as_deref(), web: web.as_deref(), shipped: shipped.as_ref() };
        let form = match (&program, &self.env.config.service.command) {
            (_, Some(command)) => PublishedForm::Command { command: command.clone() },
            (Some(program), None) => {
                let name = program.file_name().context("the built program has no name")?;
                PublishedForm::Folder { program: name.to_owned() }
            }
            (None, None) => bail!("nothing was built that could run"),
        };
        let published = Published {
            source: artifact.source.clone(),
            // Of what was built: what is copied must still be that.
            digest: match &artifact.form {
                ArtifactForm::Binary { sha256, web, files, .. } => {
                    releases::digest([Some(sha256.clone()), web.clone(), files.clone()])
                }
                ArtifactForm::Files { sha256, web, .. } => releases::digest([None, web.clone(), Some(sha256.clone())]),
                ArtifactForm::Image { .. } => bail!("what was built is an image, and this target runs programs"),
            },
            migrations: artifact.migrations.clone(),
            form,
        };
        releases::publish(&self.releases(), &published, &files)?;
        Ok(published)
    }

    /// Whether a build of now has the web UI.
    pub(super) async fn web(&self) -> Result<Option<&Decision>> {
        Ok(self.web.get_or_try_init(|| web::decide(self.env.config)).await?.as_ref())
    }

    /// The program in cargo's target folder; none where a command of deploy.yaml runs the service.
    async fn built_program(&self) -> Result<Option<Utf8PathBuf>> {
        let service = &self.env.config.service;
        if service.command.is_some() {
            return Ok(None);
        }
        let find = || cargo::built_program(self.env.root(), &service.binary, Profile::Release);
        Ok(Some(self.program.get_or_try_init(find).await?.clone()))
    }

    /// The files beside the program, as they are in the tree; none where deploy.yaml has none.
    async fn shipped(&self) -> Result<Option<Shipped>> {
        let service = &self.env.config.service;
        if service.command.is_none() && service.files.is_empty() {
            return Ok(None);
        }
        Shipped::of_tree(self.env.root(), &service.files).await.map(Some)
    }

    /// Runs `service.build` in the project's root, without the service's secrets.
    async fn run_build(&self, command: &[String], hidden: &[String], step: &Ongoing) -> Result<()> {
        let (name, args) = command.split_first().context("`service.build` is empty")?;
        let program = if name.contains('/') { self.env.root().join(name).into_string() } else { name.clone() };
        // What looks like a secret is not passed on, but for the tokens of package registries that a known program reads.
        let inherited = match Inherited::of(&program) {
            Inherited::Named(known) => Inherited::Build(known),
            build => build,
        };
        let build = Cmd::new(program).args(args.iter().map(String::as_str)).dir(self.env.root()).inherits(inherited);
        step.progress(&shlex::try_join(command.iter().map(String::as_str)).unwrap_or_default());
        let build = build.without_env(hidden.iter().cloned()).env("CI", "true").env("NO_COLOR", "1");
        build.run_lines(|line| step.output(line)).await.context("run `service.build` of deploy.yaml")
    }

    fn built_web(&self) -> Option<Utf8PathBuf> {
        let web = self.env.config.service.web.as_ref()?;
        Some(npm::built(&self.env.root().join(web)))
    }
}

/// The names, or the first of them and how many more there are.
fn listed(names: &[String]) -> String {
    match names.len().saturating_sub(LISTED) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names[..LISTED].join(", ")),
    }
}
