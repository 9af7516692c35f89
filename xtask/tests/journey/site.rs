//! A deployed clone and the output of all its commands.

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use sha2::{Digest as _, Sha256};

use crate::checkout::Checkout;
use crate::person::{Person, Said};
use crate::processes;
use crate::workshop::{Workshop, give};

/// The clone of one scenario. Dropping it kills its processes and deletes its files.
pub struct Site {
    pub name: &'static str,
    pub checkout: Checkout,
    pub port: u16,
    person: Person,
    /// The target folder, unless it is the clone's own.
    target: Option<PathBuf>,
    /// The other scenarios wait for this one's build.
    makes_build: AtomicBool,
    said: Mutex<String>,
}

impl Site {
    /// A fresh clone in this folder of the workshop, with its own port.
    pub fn new(name: &'static str, person: Person, below: &str, postgres: &str) -> Self {
        let workshop = Workshop::of_this_run();
        let parent = workshop.folder.join(below);
        fs_err::create_dir_all(&parent).unwrap();
        if let Some((uid, gid)) = person.user {
            fs_err::os::unix::fs::chown(&parent, Some(uid), Some(gid)).unwrap();
        }
        let checkout = Checkout::clone_into(parent.join("project"), person.user);
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        checkout.configure(|local| {
            local["port"] = port.into();
            local["postgres"] = postgres.into();
        });
        checkout.commit("A port and a PostgreSQL for the journey");
        let target = workshop.copy_build(&parent.join("target"));
        if let Some(target) = &target {
            checkout.age();
            person.user.inspect(|user| give(target, *user));
        }
        let makes_build = target.is_none().into();
        let site = Self { name, checkout, port, person, target, makes_build, said: Mutex::default() };
        site.note(&format!("{} of {}", site.checkout.version(), site.folder().display()));
        site
    }

    pub fn folder(&self) -> &Path {
        &self.checkout.folder
    }

    /// `.deploy/local`
    pub fn state(&self) -> PathBuf {
        self.folder().join(".deploy/local")
    }

    /// The real folder of PostgreSQL: for root, `.deploy/local/postgres` may be a link.
    pub fn postgres(&self) -> PathBuf {
        let folder = self.state().join("postgres");
        fs_err::canonicalize(&folder).unwrap_or(folder)
    }

    /// Runs `cargo xtask` with these words in the clone.
    pub fn xtask(&self, words: &str) -> Said {
        let mut command = self.person.command("cargo", self.folder());
        command.arg("xtask").args(words.split(' '));
        if let Some(target) = &self.target {
            command.env("CARGO_TARGET_DIR", target);
        }
        let said = self.person.run(command);
        self.hear(&said.all());
        let code = said.code.map_or("a signal".to_owned(), |code| code.to_string());
        self.note(&format!("cargo xtask {words}: {code} after {:.1} s", said.took.as_secs_f64()));
        said
    }

    /// Runs another program in the clone as the same user. Its output is not searched for secrets.
    pub fn run(&self, program: &str, args: &[&str]) -> Said {
        let mut command = self.person.command(program, self.folder());
        command.args(args);
        self.person.run(command)
    }

    /// Runs `cargo xtask deploy`, which must deploy the version of HEAD.
    pub fn deploy(&self) -> Said {
        let said = self.xtask("deploy").expect(0);
        let (version, address) = (self.checkout.version(), format!("http://localhost:{}", self.port));
        said.says(&[&version, &address, ".deploy/local/secrets.env"])
    }

    /// Gives the build of the first deploy to the other scenarios, if they wait for it.
    pub fn share_build(&self) {
        if self.makes_build.load(Ordering::Relaxed) {
            Workshop::of_this_run().share_build(&self.folder().join("target"));
            // Not before: if the copy fails, another scenario has to make the build.
            self.makes_build.store(false, Ordering::Relaxed);
        }
    }

    /// The result of `status --json`.
    pub fn status(&self) -> serde_json::Value {
        let said = self.xtask("status --json").expect(0);
        let event: serde_json::Value = serde_json::from_str(said.out.lines().last().unwrap()).unwrap();
        event["detail"].clone()
    }

    /// The id of the process that serves.
    pub fn service_pid(&self) -> i32 {
        let status = self.status();
        let instances = status["supervisor"]["instances"].as_array().unwrap();
        let serving = instances.iter().find(|instance| instance["role"] == "serving").unwrap();
        i32::try_from(serving["pid"].as_i64().unwrap()).unwrap()
    }

    /// A value of `.deploy/local/secrets.env`.
    pub fn secret(&self, name: &str) -> String {
        let text = fs_err::read_to_string(self.state().join("secrets.env")).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name}=")));
        line.unwrap_or_else(|| panic!("secrets.env has no {name}")).to_owned()
    }

    /// The password of this site's account. No other site has it: what one scenario shows, another must not find.
    pub fn password(&self) -> String {
        format!("correct-horse-battery-{}", self.name)
    }

    /// Every process of the clone.
    pub fn processes(&self) -> std::collections::BTreeMap<i32, String> {
        processes::below(&[self.folder().to_owned(), self.postgres()])
    }

    /// Runs `stop` and checks that no process is left.
    pub fn stop(&self) -> Said {
        let said = self.xtask("stop").expect(0);
        assert_eq!(self.processes(), std::collections::BTreeMap::new(), "it runs on after `stop`");
        drop(TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).expect("the port is free after `stop`"));
        said
    }

    /// Keeps output for the search for secrets.
    pub fn hear(&self, text: &str) {
        self.said.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push_str(text);
    }

    /// The output of all commands.
    pub fn everything_said(&self) -> String {
        self.said.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }

    /// Prints progress without buffering: a scenario takes minutes.
    pub fn note(&self, text: &str) {
        writeln!(std::io::stderr(), "{}: {text}", self.name).ok();
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let postgres = self.postgres();
        // The supervisor first, because it restarts the service. A postmaster's child processes end with it.
        let mut left: Vec<(i32, String)> = self.processes().into_iter().collect();
        left.sort_by_key(|(_, line)| !line.contains(" supervise "));
        for (pid, _) in left {
            processes::kill(pid);
        }
        testkit::until("the scenario's processes have ended", || self.processes().is_empty());
        if let Some(parent) = self.state().canonicalize().ok().filter(|state| !postgres.starts_with(state)) {
            self.note(&format!("{} was kept for {}", postgres.display(), parent.display()));
            fs_err::remove_dir_all(&postgres).ok();
        }
        for sockets in self.sockets() {
            fs_err::remove_dir_all(sockets).ok();
        }
        if self.makes_build.load(Ordering::Relaxed) {
            Workshop::of_this_run().give_up_build();
        }
        if let Some(target) = &self.target {
            fs_err::remove_dir_all(target).ok();
        }
        fs_err::remove_dir_all(self.folder()).ok();
    }
}

impl Site {
    /// The folders in /tmp that the toolkit uses for sockets when a path is too long.
    fn sockets(&self) -> Vec<PathBuf> {
        let hash =
            |path: &Path, bytes: usize| hex::encode(&Sha256::digest(path.as_os_str().as_encoded_bytes())[..bytes]);
        let (supervisor, postgres) = (hash(&self.state(), 8), hash(&self.postgres(), 6));
        let entries = std::fs::read_dir("/tmp").into_iter().flatten().flatten();
        let is_ours =
            |name: &str| name.starts_with("xtask-") && (name.ends_with(&supervisor) || name.ends_with(&postgres));
        entries.filter(|entry| entry.file_name().to_str().is_some_and(is_ours)).map(|entry| entry.path()).collect()
    }
}
