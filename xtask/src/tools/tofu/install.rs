//! Installs OpenTofu: the program of its official release, or a build of its Go module if the release cannot be downloaded.
//!
//! The archive is verified against the release's own list of SHA-256 digests; both are downloaded over TLS. That detects a
//! damaged or replaced archive. It does not detect that the whole release was replaced: the list's signature is not verified,
//! and the digests are not pinned here. Go verifies the modules of a build with its checksum database, unless this machine's
//! Go is configured not to.

use std::io::{Cursor, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use fs_err::os::unix::fs::OpenOptionsExt as _;
use sha2::{Digest as _, Sha256};

use crate::fs::{Lock, private_folder, temporary_folder};
use crate::tools::cmd::Cmd;
use crate::tools::platform;

/// The version that is installed. The tests read the same file.
pub const VERSION: &str = include_str!("version").trim_ascii();

/// The address of OpenTofu's releases, each under `v<version>`.
pub const RELEASES: &str = "https://github.com/opentofu/opentofu/releases/download";

/// OpenTofu's `go.mod` replaces this module (v1.12.6), and `go install …@version` refuses modules that do that. It is built
/// as the tool of a module that has the same replacement.
const HCL: &str =
    "github.com/hashicorp/hcl/v2 v2.20.1 => github.com/opentofu/hcl/v2 v2.20.2-0.20251021132045-587d123c2828";

/// The package of the program.
const PACKAGE: &str = "github.com/opentofu/opentofu/cmd/tofu";

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a download may stall.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// How long to wait for another process that installs it: a build takes minutes.
const PATIENCE: Duration = Duration::from_secs(1200);
/// The largest list of checksums, in bytes; it has a few dozen lines.
const MAX_LIST: usize = 1 << 20;
/// The largest archive, in bytes; they have 30 MB.
const MAX_ARCHIVE: usize = 200 << 20;
/// The largest program, in bytes; it has 110 MB.
const MAX_PROGRAM: u64 = 500 << 20;

/// Prefix of the folders in which the program is made.
const STAGING: &str = ".new-";

/// The program's path in a cache folder of the toolkit.
pub fn place(cache: &Utf8Path) -> Utf8PathBuf {
    cache.join(format!("tofu-{VERSION}")).join("tofu")
}

/// Installs the program in a cache folder, unless it is there, and returns its path. `releases` is the address of the
/// releases ([`RELEASES`]). `on_line` gets progress and Go's output. The program is renamed to its final path only after it
/// has printed its version, so an interrupted installation is never mistaken for a finished one. Fails if the archive does
/// not match the release's digest: a build replaces only a release that cannot be downloaded.
pub async fn install(cache: &Utf8Path, releases: &str, mut on_line: impl FnMut(&str)) -> Result<Utf8PathBuf> {
    let program = place(cache);
    let folder = program.with_file_name("");
    let beside = Utf8Path::new(folder.as_str().trim_end_matches('/'));
    let _lock = Lock::beside(beside, "installing OpenTofu", PATIENCE).await?;
    if platform::is_executable(&program) {
        return Ok(program);
    }
    private_folder(&folder)?;
    remove_unfinished(&folder)?;
    let staging = temporary_folder(STAGING, &folder)?;
    let made = Utf8Path::from_path(staging.path()).context("the cache's path is not UTF-8")?.join("tofu");
    on_line(&format!("downloading OpenTofu {VERSION}, about 30 MB"));
    match fetch(releases, std::env::consts::OS, std::env::consts::ARCH).await? {
        Release::Archive(archive) => {
            let made = made.clone();
            tokio::task::spawn_blocking(move || unpack(archive, &made)).await.context("unpack OpenTofu")??;
        }
        Release::Absent(why) => {
            on_line(&format!("{why}; building it from its Go module, which takes minutes"));
            build(&made, &why, on_line).await?;
        }
    }
    // A program that does not run on this machine is not installed.
    let version = super::version_of(&made).await.context("run the new program")?;
    ensure!(version.split('-').next() == Some(VERSION), "the new program is version {version}, not {VERSION}");
    let executable = std::fs::Permissions::from_mode(0o755);
    for path in [&folder, &made] {
        fs_err::set_permissions(path, executable.clone())?;
    }
    fs_err::rename(&made, &program)?;
    Ok(program)
}

/// A release.
#[derive(Debug)]
enum Release {
    /// The archive for this machine, verified.
    Archive(Vec<u8>),
    /// It cannot be downloaded: why.
    Absent(String),
}

/// Downloads the release's archive for a system and processor, by Rust's names of them.
async fn fetch(releases: &str, system: &str, processor: &str) -> Result<Release> {
    let client = reqwest::Client::builder()
        .user_agent(concat!("xtask/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        // Releases are redirected to a storage service; a redirect to plain HTTP is refused.
        .https_only(releases.starts_with("https:"))
        .build()
        .context("set up the client for downloads")?;
    let at = format!("{releases}/v{VERSION}");
    let list = match download(&client, &format!("{at}/tofu_{VERSION}_SHA256SUMS"), MAX_LIST).await {
        Ok(list) => String::from_utf8(list).context("read the release's list of checksums")?,
        Err(error) => return Ok(Release::Absent(format!("OpenTofu's release cannot be downloaded: {error:#}"))),
    };
    let archive = format!("tofu_{VERSION}_{}_{}.zip", go_name(system), go_name(processor));
    let digest = list.lines().find_map(|line| line.split_once("  ").filter(|(_, name)| *name == archive));
    let Some((expected, _)) = digest else {
        return Ok(Release::Absent(format!("OpenTofu's release has no program for {system} on {processor}")));
    };
    let bytes = download(&client, &format!("{at}/{archive}"), MAX_ARCHIVE).await?;
    let got = hex::encode(Sha256::digest(&bytes));
    ensure!(
        got == expected,
        "{archive} has the SHA-256 {got}, but the release lists {expected}: nothing was installed\n  \
         the download may be damaged; repeat it: cargo xtask setup"
    );
    Ok(Release::Archive(bytes))
}

async fn download(client: &reqwest::Client, url: &str, longest: usize) -> Result<Vec<u8>> {
    let fetch = async {
        let mut response = client.get(url).send().await?.error_for_status()?;
        let mut bytes = Vec::new();
        while let Some(piece) = response.chunk().await? {
            ensure!(bytes.len() + piece.len() <= longest, "it has more than {longest} bytes");
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    };
    fetch.await.with_context(|| format!("download {url}"))
}

/// Go's name of a system or processor.
fn go_name(name: &str) -> &str {
    match name {
        "macos" => "darwin",
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// Extracts the program from a release's archive.
fn unpack(archive: Vec<u8>, program: &Utf8Path) -> Result<()> {
    let mut archive = zip::ZipArchive::new(Cursor::new(archive)).context("read the release's archive")?;
    let packed = archive.by_name("tofu").context("look for `tofu` in the release's archive")?;
    let file = fs_err::OpenOptions::new().write(true).create_new(true).mode(0o755).open(program);
    let bytes = std::io::copy(&mut packed.take(MAX_PROGRAM), &mut file?).context("unpack the release's archive")?;
    ensure!(bytes < MAX_PROGRAM, "the program in the release's archive has more than {MAX_PROGRAM} bytes");
    Ok(())
}

/// Builds the program with Go.
async fn build(program: &Utf8Path, why: &str, mut on_line: impl FnMut(&str)) -> Result<()> {
    if platform::find_program("go").is_none() {
        bail!(
            "{why}; building it needs Go, which is not installed\n  \
             install OpenTofu: https://opentofu.org/docs/intro/install; or install Go and repeat: cargo xtask setup"
        );
    }
    let folder = program.with_file_name("module");
    fs_err::create_dir(&folder)?;
    let module = format!(
        "module tools\n\ngo 1.25.0\n\nrequire github.com/opentofu/opentofu v{VERSION}\n\nreplace {HCL}\n\ntool {PACKAGE}\n"
    );
    fs_err::write(folder.join("go.mod"), module)?;
    let go = |args: &[&str]| Cmd::new("go").args(args.iter().copied()).dir(&folder).env("CGO_ENABLED", "0");
    go(&["mod", "tidy"]).run_lines(&mut on_line).await.context("resolve the Go modules of OpenTofu")?;
    let build = go(&["build", "-trimpath", "-ldflags", "-s -w", "-o", program.as_str(), PACKAGE]);
    build.run_lines(&mut on_line).await.context("build OpenTofu from its Go module")
}

/// Removes what interrupted installations left. The caller holds the lock.
fn remove_unfinished(folder: &Utf8Path) -> Result<()> {
    for entry in folder.read_dir_utf8()? {
        let entry = entry?;
        if entry.file_name().starts_with(STAGING) {
            fs_err::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
