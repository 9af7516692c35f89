//! The schema that a check compares new migrations with: that of the releases, else that of the main branch. CI of a branch has
//! no records, and a migration is looked at best before it is merged.

use anyhow::Result;
use camino::Utf8Path;

use crate::env::Env;
use crate::release::{Migration, Source};
use crate::report::Notice;
use crate::state::history::{Kind, Record};
use crate::tools::git;

/// The releases that new migrations are compared with.
#[derive(Default)]
pub struct Base {
    /// Those that went live, oldest first; else one that stands for the main branch; empty where there is nothing to compare with.
    pub releases: Vec<Record>,
    /// What the user should know.
    pub notices: Vec<Notice>,
}

impl Base {
    /// The live releases, if there are any. Else the commit where the checked-out one left the main branch, as if it were released.
    pub async fn find(env: &Env<'_>, live: Vec<Record>, migrations: &[Migration]) -> Result<Self> {
        if !live.is_empty() {
            return Ok(Self { releases: live, notices: Vec::new() });
        }
        let (Some(folder), main) = (&env.config.service.migrations, &env.config.source.main_branch) else {
            return Ok(Self::default());
        };
        // Without a repository or a commit there is nothing to compare with either.
        let Ok(Some(commit)) = git::merge_base(env.root(), main).await else {
            return Ok(Self::without(format!(
                "no release is recorded, and this clone does not have the branch {main}, so no migration was taken as new; \
                 in CI, check out with the whole history"
            )));
        };
        let known = at(env.root(), &commit, folder).await?;
        let is_changed =
            |known: &&Migration| migrations.iter().any(|now| now.name == known.name && now.sha256 != known.sha256);
        if let Some(changed) = known.iter().find(is_changed) {
            return Ok(Self::without(format!(
                "{} differs from the branch {main}, so no migration was taken as new; a database that has applied it refuses the \
                 changed one",
                changed.name
            )));
        }
        let mut record = Record::begin(String::new(), Kind::Deploy, env.name(), 0);
        let version = format!("{main} at {}", &commit[..12]);
        record.source = Some(Source { commit, version, subject: String::new(), branch: Some(main.clone()) });
        record.migrations = known;
        Ok(Self { releases: vec![record], notices: Vec::new() })
    }

    fn without(why: String) -> Self {
        Self { releases: Vec::new(), notices: vec![Notice::Note(why)] }
    }
}

/// The migrations of a commit.
async fn at(root: &Utf8Path, commit: &str, folder: &Utf8Path) -> Result<Vec<Migration>> {
    let mut migrations = Vec::new();
    for path in git::files(root, commit, folder).await? {
        let path = Utf8Path::new(&path);
        let Some(name) = path.file_name().filter(|_| path.extension() == Some("sql")) else { continue };
        if let Some(bytes) = git::show_bytes(root, commit, path.as_str()).await? {
            migrations.push(Migration::read(name.to_owned(), &bytes));
        }
    }
    Ok(migrations)
}
