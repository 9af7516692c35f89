//! Amazon's services as moto plays them: S3 with all of its settings, Route 53, SQS, IAM. It looks at no signature. It is
//! installed from its Python package, once for this machine.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

const VERSION: &str = "5.2.5";

/// What it says before its address, once it listens.
const LISTENS: &str = "Running on ";

/// A server that has nothing yet and keeps what it gets in memory. It ends with this value.
pub struct Moto {
    process: Child,
    endpoint: String,
}

impl Moto {
    /// Starts one. Fails with what this machine lacks. Installs it where it is not there yet, which takes half a minute.
    pub fn start() -> Result<Self, String> {
        let packages = packages()?;
        let mut command = Command::new("python3");
        command.args(["-m", "moto.server", "--host", "127.0.0.1", "--port", "0"]).env("PYTHONPATH", packages);
        command.env("PYTHONUNBUFFERED", "1").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = command.spawn().map_err(|error| error.to_string())?;
        let said = BufReader::new(process.stderr.take().ok_or("its standard error is not there")?);
        let (send, address) = mpsc::channel();
        // It says a line of each request, and would wait for a reader that is gone.
        std::thread::spawn(move || {
            let mut before = String::new();
            for line in said.lines().map_while(Result::ok) {
                match line.split_once(LISTENS) {
                    Some((_, address)) => drop(send.send(Ok(address.trim().to_owned()))),
                    None if before.len() < 10_000 => before.push_str(&format!("{line}\n")),
                    None => {}
                }
            }
            drop(send.send(Err(format!("moto ended: {before}"))));
        });
        match address.recv().unwrap_or_else(|_| Err("moto said nothing".to_owned())) {
            Ok(endpoint) => Ok(Self { process, endpoint }),
            Err(why) => {
                process.wait().ok();
                Err(why)
            }
        }
    }

    /// Its address, of all services.
    pub fn endpoint(&self) -> String {
        self.endpoint.clone()
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// The folder of its packages, filled if it is not there yet.
fn packages() -> Result<PathBuf, String> {
    let cache = Path::new("/var/cache/xtask");
    let packages = cache.join(format!("moto-{VERSION}"));
    fs_err::create_dir_all(cache).map_err(|error| error.to_string())?;
    // Tests run side by side, and one of them installs.
    let lock = fs_err::File::create(cache.join("moto.lock")).map_err(|error| error.to_string())?;
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).map_err(|error| error.to_string())?;
    if packages.exists() {
        return Ok(packages);
    }
    let installed = tempfile::tempdir_in(cache).map_err(|error| error.to_string())?;
    let whole = installed.path().join("whole");
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--root-user-action=ignore"]);
    pip.arg("--target").arg(&whole).arg(format!("moto[server]=={VERSION}"));
    let output = pip.output().map_err(|error| format!("takes moto, which is installed with Python: {error}"))?;
    if !output.status.success() {
        return Err(format!("pip does not install moto: {}", String::from_utf8_lossy(&output.stderr)));
    }
    fs_err::rename(whole, &packages).map_err(|error| error.to_string())?;
    Ok(packages)
}
