//! A fresh clone of this repository, and the changes that a developer makes in it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use camino::Utf8Path;
use testkit::git;
use xtask::release::Migration;
use xtask::tools::sqlx::cache::{self, Cache};
use xtask::tools::sqlx::locked_version;

use crate::workshop::{give, run, said};

/// A clone of the tree under test, uncommitted changes included.
pub struct Checkout {
    pub folder: PathBuf,
    owner: Option<(u32, u32)>,
}

impl Checkout {
    /// Clones into this folder, which must not exist, for this owner.
    pub fn clone_into(folder: PathBuf, owner: Option<(u32, u32)>) -> Self {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        // Hard links would give the repository's own files to the clone's owner.
        run(git(source).args(["clone", "--quiet", "--no-hardlinks"]).arg(source).arg(&folder));
        let checkout = Self { folder, owner: None };
        checkout.overlay(source);
        if let Some(owner) = owner {
            give(&checkout.folder, owner);
        }
        Self { owner, ..checkout }
    }

    /// Makes the files older than any build: cargo then takes a copy of a build of the same files for one of these.
    pub fn age(&self) {
        let touch = ["-name", ".git", "-prune", "-o", "-exec", "touch", "--no-dereference", "--date=@0", "{}", "+"];
        run(Command::new("find").arg(&self.folder).args(touch));
    }

    /// Commits the uncommitted changes of the source.
    fn overlay(&self, source: &Path) {
        let here = |args: &[&str]| {
            let mut git = git(source);
            git.args(args);
            git
        };
        let changes = here(&["diff", "HEAD", "--binary"]).output().unwrap();
        assert!(changes.status.success(), "git diff: {}", String::from_utf8_lossy(&changes.stderr));
        if !changes.stdout.is_empty() {
            let mut apply = self.git(&["apply", "--whitespace=nowarn"]).stdin(Stdio::piped()).spawn().unwrap();
            std::io::Write::write_all(&mut apply.stdin.take().unwrap(), &changes.stdout).unwrap();
            assert!(apply.wait().unwrap().success());
        }
        for file in said(&mut here(&["ls-files", "--others", "--exclude-standard", "-z"])).split_terminator('\0') {
            let to = self.folder.join(file);
            fs_err::create_dir_all(to.parent().unwrap()).unwrap();
            fs_err::copy(source.join(file), to).unwrap();
        }
        self.commit("What is not committed yet");
    }

    /// Commits everything, even without changes.
    pub fn commit(&self, message: &str) {
        run(&mut self.git(&["add", "--all"]));
        let who = ["-c", "user.name=Journey", "-c", "user.email=journey@example.org"];
        run(&mut self.git(&[&who[..], &["commit", "--quiet", "--allow-empty", "-m", message]].concat()));
        // This process makes the commit, but the clone belongs to the user who deploys it.
        if let Some(owner) = self.owner {
            give(&self.folder.join(".git"), owner);
        }
    }

    /// Removes the last commit.
    pub fn take_back(&self) {
        run(&mut self.git(&["reset", "--quiet", "--hard", "HEAD~1"]));
        if let Some(owner) = self.owner {
            give(&self.folder.join(".git"), owner);
        }
    }

    /// The version of a deploy of the clean tree.
    pub fn version(&self) -> String {
        said(&mut self.git(&["rev-parse", "--short=12", "HEAD"]))
    }

    /// Replaces the first occurrence of a text in a file of the service.
    pub fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.folder.join(file);
        let text = fs_err::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file} no longer says {from:?}: let the journey change another line");
        self.write(file, &text.replacen(from, to, 1));
    }

    pub fn write(&self, file: &str, text: &str) {
        let path = self.folder.join(file);
        fs_err::write(&path, text).unwrap();
        if let Some((uid, gid)) = self.owner {
            fs_err::os::unix::fs::chown(&path, Some(uid), Some(gid)).unwrap();
        }
    }

    /// Changes keys of the local environment in deploy.yaml.
    pub fn configure(&self, change: impl FnOnce(&mut serde_yaml::Value)) {
        let text = fs_err::read_to_string(self.folder.join("deploy.yaml")).unwrap();
        let mut config: serde_yaml::Value = serde_yaml::from_str(&text).unwrap();
        change(&mut config["environments"]["local"]);
        self.write("deploy.yaml", &serde_yaml::to_string(&config).unwrap());
    }

    /// Adds a migration after the last one and returns its file name.
    pub fn add_migration(&self, name: &str, sql: &str) -> String {
        let folder = self.folder.join("app/migrations");
        let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let last = names.filter_map(|name| name.split('_').next()?.parse::<u32>().ok()).max().unwrap();
        let file = format!("{:04}_{name}.sql", last + 1);
        self.write(&format!("app/migrations/{file}"), sql);
        file
    }

    /// Stamps the query cache, as `sqlx prepare` does after a migration that changes no query. That would compile all dependencies
    /// of the service a second time; it has tests of its own.
    pub fn stamp_queries(&self) {
        let root = Utf8Path::from_path(&self.folder).unwrap();
        let folder = root.join(cache::FOLDER);
        let cache = Cache::read(&folder).unwrap().unwrap();
        let files = root.join("app/migrations").read_dir_utf8().unwrap().map(|file| file.unwrap().into_path());
        let mut migrations: Vec<Migration> = files
            .map(|file| Migration::read(file.file_name().unwrap().to_owned(), &fs_err::read(&file).unwrap()))
            .collect();
        migrations.sort_by(|one, other| one.name.cmp(&other.name));
        let sqlx = locked_version(root).unwrap().unwrap();
        cache.write(&folder, &cache.stamp(&migrations, &sqlx)).unwrap();
    }

    fn git(&self, args: &[&str]) -> Command {
        let mut git = git(&self.folder);
        // The clone may belong to another user by now.
        git.args(["-c", &format!("safe.directory={}", self.folder.display())]).args(args);
        git
    }
}
