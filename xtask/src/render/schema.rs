//! The table of settings as the service's own program says it.
//!
//! A check is to be quick, and a build of the service is not. So a check asks the program that is built already, if it is not older
//! than any of its sources: those are in the list that rustc has written beside it. Otherwise the table in the tree counts, and the
//! check says so.

use std::time::SystemTime;

use anyhow::{Context as _, Result};
use camino::{Utf8Path, Utf8PathBuf};

use crate::config::{Config, SettingsTable};
use crate::fs::read_text;
use crate::tools::cargo::{self, Profile};
use crate::tools::cmd::Cmd;

/// Which program of the service is asked for its table of settings.
#[derive(Clone, Copy, Debug)]
pub enum Schema<'a> {
    /// One that is compiled now.
    Build,
    /// The one beside the toolkit's own program, if it is built from the sources of the tree.
    Built,
    /// This one.
    Program(&'a Utf8Path),
}

/// The table of settings.
pub struct Said {
    pub table: SettingsTable,
    /// What its file should be, if the service was asked.
    pub written: Option<String>,
    /// Why it was not asked, if it should have been.
    pub not_compared: Option<String>,
}

/// The table as the program says it. As it is in the tree where the service writes none, or is not asked.
pub async fn table(config: &Config, schema: Schema<'_>) -> Result<Said> {
    let service = &config.service;
    let (Some(args), Some(file)) = (&service.schema, &service.settings) else {
        return Ok(Said { table: config.settings_table()?, written: None, not_compared: None });
    };
    let program = match schema {
        Schema::Program(program) => program.to_owned(),
        Schema::Build => {
            let (root, package, binary) = (&config.root, &service.package, &service.binary);
            let (profile, locked, database) = (Profile::Dev, false, None);
            let hidden = &config.secret_names();
            let build = cargo::Build { root, package, binary, profile, locked, database, hidden };
            cargo::build(&build, |_| {}, |_| {}).await?
        }
        Schema::Built => match built(config)? {
            Ok(program) => program,
            Err(why) => {
                return Ok(Said { table: config.settings_table()?, written: None, not_compared: Some(why) });
            }
        },
    };
    let said = Cmd::new(program).args(args.iter().map(String::as_str)).capture().await;
    let said = said.context("ask the service for its settings")? + "\n";
    let table = SettingsTable::parse(&said, file)?;
    Ok(Said { table, written: Some(said), not_compared: None })
}

/// The service's program beside this one, or why it does not count.
fn built(config: &Config) -> Result<Result<Utf8PathBuf, String>> {
    let binary = &config.service.binary;
    let own = std::env::current_exe().context("find this program")?;
    let folder = own.parent().and_then(Utf8Path::from_path);
    let Some(program) = folder.map(|folder| folder.join(binary)) else {
        return Ok(Err(format!("{binary} is not built")));
    };
    // Where the toolkit's target folder is another project's, so is the program.
    let Ok(sources) = read_text(program.with_extension("d")) else { return Ok(Err(format!("{binary} is not built"))) };
    let Some(built) = changed(&program) else { return Ok(Err(format!("{binary} is not built"))) };
    let mut sources = sources_of(&sources);
    if !sources.iter().any(|source| source.starts_with(&config.root)) {
        return Ok(Err(format!("{binary} is not built")));
    }
    sources.extend(["Cargo.toml", "Cargo.lock"].map(|name| config.root.join(name)));
    let newer = sources.into_iter().find(|source| changed(source).is_none_or(|at| at > built));
    Ok(match newer {
        Some(source) => {
            let source = source.strip_prefix(&config.root).unwrap_or(&source);
            Err(format!("{binary} was built before the last change of {source}"))
        }
        None => Ok(program),
    })
}

/// The files in a list of rustc's: `program: file file`, with a backslash before a blank in a name.
fn sources_of(list: &str) -> Vec<Utf8PathBuf> {
    let Some((_, files)) = list.lines().next().and_then(|line| line.split_once(": ")) else { return Vec::new() };
    let files = files.replace("\\ ", "\0");
    files.split(' ').filter(|file| !file.is_empty()).map(|file| file.replace('\0', " ").into()).collect()
}

fn changed(path: &Utf8Path) -> Option<SystemTime> {
    fs_err::metadata(path).and_then(|meta| meta.modified()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_sources_is_read() {
        let list = "/p/target/debug/app: /p/app/src/main.rs /p/a\\ b/lib.rs\n\n/p/app/src/main.rs:\n";
        assert_eq!(sources_of(list), ["/p/app/src/main.rs", "/p/a b/lib.rs"].map(Utf8PathBuf::from));
    }
}
