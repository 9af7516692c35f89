//! Where the paths of deploy.yaml lead, after links are resolved.

use camino::Utf8Path;

use super::problem::Problem;
use super::{Config, ConfigError, Target};
use crate::fs::project;

impl Config {
    /// Fails if a path leads out of the project, or to its secrets, by a link or by its name. The file of settings is checked when
    /// it is read.
    pub(super) fn check_paths(self, root: &Utf8Path) -> Result<Self, ConfigError> {
        let service = &self.service;
        let mut paths = vec![
            (vec!["service", "migrations"], service.migrations.as_deref()),
            (vec!["service", "web"], service.web.as_deref()),
            (vec!["image", "dockerfile"], self.image.as_ref().map(|image| image.dockerfile.as_path())),
        ];
        paths.extend(service.files.iter().map(|file| (vec!["service", "files"], Some(file.as_path()))));
        for (name, environment) in &self.environments {
            let stack = environment.stack().map(|stack| stack.folder.as_path());
            let key = match &environment.target {
                Target::Media(media) => vec!["environments", &media.of, "media", "stack"],
                Target::Local(_) | Target::Scaleway(_) | Target::Compose(_) | Target::Easypanel(_) => {
                    vec!["environments", name, "stack"]
                }
            };
            paths.push((key, stack));
        }
        let problem = |(key, path): (Vec<&str>, Option<&Utf8Path>)| {
            let error = project::place(root, path?).err()?;
            let node = self.document.find(&key).map(|(_, value)| value);
            Some(self.document.problem(
                node,
                &key.join("."),
                error.to_string(),
                "name a path of the project".to_owned(),
            ))
        };
        let problems: Vec<Problem> = paths.into_iter().filter_map(problem).collect();
        if problems.is_empty() { Ok(self) } else { Err(ConfigError::new(problems, 0)) }
    }
}
