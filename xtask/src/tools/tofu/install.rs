//! OpenTofu onto this machine: the program of its official release, or one that is built from its Go module where that
//! release cannot be had.
//!
//! The release's archive is compared with the SHA-256 that the release itself says, both fetched over TLS. That tells an
//! archive that is damaged or was replaced alone. It does not tell a release that was replaced as a whole: neither is the
//! list's signature verified, nor are the digests pinned here. What Go builds is compared with Go's checksum database, as
//! far as this machine's Go is set to ask that.

use std::io::{Cursor, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use fs_err::os::unix::fs::OpenOptionsExt as _;
use sha2::{Digest as _, Sha256};

use crate::fs::Lock;
use crate::tools::cmd::Cmd;
use crate::tools::platform;

/// The version that is installed, so that every machine runs the same. The tests read the same file.
pub const VERSION: &str = include_str!("version").trim_ascii();

/// Where OpenTofu's releases are, each under `v<version>`.
pub const RELEASES: &str = "https://github.com/opentofu/opentofu/releases/download";

/// OpenTofu's own `go.mod` replaces this module (v1.12.6), which `go install …@version` refuses: so it is built as the
/// tool of a module that replaces it too.
const HCL: &str =
    "github.com/hashicorp/hcl/v2 v2.20.1 => github.com/opentofu/hcl/v2 v2.20.2-0.20251021132045-587d123c2828";

/// The package of the program in its module.
const PACKAGE: &str = "github.com/opentofu/opentofu/cmd/tofu";

/// A host that does not accept a connection by then cannot be reached.
const CONNECT_TAKES: Duration = Duration::from_secs(10);
/// Silence that ends a download.
const SILENCE: Duration = Duration::from_secs(30);
/// How long to wait for another process that installs the same: a build takes minutes.
const TURN: Duration = Duration::from_secs(1200);
/// Bytes that a list of checksums may have; there are a few dozen lines in it.
const LONGEST_LIST: usize = 1 << 20;
/// Bytes that an archive may have; they have 30 MB.
const LONGEST_ARCHIVE: usize = 200 << 20;
/// Bytes that the program in it may have; it has 110 MB.
const LONGEST_PROGRAM: u64 = 500 << 20;

/// How the folders are called in which the program is made.
const STAGING: &str = ".new-";

/// Where the program is or will be, in a cache folder of the toolkit.
pub fn place(cache: &Utf8Path) -> Utf8PathBuf {
    cache.join(format!("tofu-{VERSION}")).join("tofu")
}

/// Installs the program in a cache folder and says where; one that is there is left as it is. `releases` is where releases
/// are ([`RELEASES`]). `on_line` is told what is done and what Go says. The program gets its name when it is whole and has
/// said its version: whoever is killed in the middle leaves nothing that looks whole. Fails, and installs nothing, when
/// the archive is not what the release says; a build stands in only for a release that cannot be had at all.
pub async fn install(cache: &Utf8Path, releases: &str, mut on_line: impl FnMut(&str)) -> Result<Utf8PathBuf> {
    let program = place(cache);
    let folder = program.with_file_name("");
    let beside = Utf8Path::new(folder.as_str().trim_end_matches('/'));
    let _turn = Lock::beside(beside, "installs OpenTofu", TURN).await?;
    if platform::is_executable(&program) {
        return Ok(program);
    }
    fs_err::create_dir_all(&folder)?;
    remove_unfinished(&folder)?;
    let staging = tempfile::Builder::new().prefix(STAGING).tempdir_in(&folder)?;
    let made = Utf8Path::from_path(staging.path()).context("the cache's path is not UTF-8")?.join("tofu");
    on_line(&format!("fetching OpenTofu {VERSION}, about 30 MB"));
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
    // One that does not run here never gets its name.
    let version = super::version_of(&made).await.context("try the program that was made")?;
    ensure!(version.split('-').next() == Some(VERSION), "what was made says that it is {version}, not {VERSION}");
    let everybody = std::fs::Permissions::from_mode(0o755);
    for path in [&folder, &made] {
        fs_err::set_permissions(path, everybody.clone())?;
    }
    fs_err::rename(&made, &program)?;
    Ok(program)
}

/// What came of asking for a release.
#[derive(Debug)]
enum Release {
    /// The archive for this machine, as the release says it is.
    Archive(Vec<u8>),
    /// There is none to be had: why.
    Absent(String),
}

/// Fetches the release's archive for a system and processor, by Rust's names.
async fn fetch(releases: &str, system: &str, processor: &str) -> Result<Release> {
    let client = reqwest::Client::builder()
        .user_agent(concat!("xtask/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TAKES)
        .read_timeout(SILENCE)
        // A release is redirected to its storage, and not to somewhere that anybody on the way can change.
        .https_only(releases.starts_with("https:"))
        .build()
        .context("set up the client for downloads")?;
    let at = format!("{releases}/v{VERSION}");
    let list = match download(&client, &format!("{at}/tofu_{VERSION}_SHA256SUMS"), LONGEST_LIST).await {
        Ok(list) => String::from_utf8(list).context("read the release's list of checksums")?,
        Err(error) => return Ok(Release::Absent(format!("OpenTofu's release cannot be had: {error:#}"))),
    };
    let archive = format!("tofu_{VERSION}_{}_{}.zip", go_name(system), go_name(processor));
    let digest = list.lines().find_map(|line| line.split_once("  ").filter(|(_, name)| *name == archive));
    let Some((expected, _)) = digest else {
        return Ok(Release::Absent(format!("OpenTofu's release has nothing for {system} on {processor}")));
    };
    let bytes = download(&client, &format!("{at}/{archive}"), LONGEST_ARCHIVE).await?;
    let got = hex::encode(Sha256::digest(&bytes));
    ensure!(
        got == expected,
        "{archive} has the SHA-256 {got}, and the release says {expected}: it is not used\n  \
         it may have been damaged on its way; type it again: cargo xtask setup"
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
    fetch.await.with_context(|| format!("fetch {url}"))
}

/// As releases name systems and processors.
fn go_name(name: &str) -> &str {
    match name {
        "macos" => "darwin",
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// Takes the program out of a release's archive.
fn unpack(archive: Vec<u8>, program: &Utf8Path) -> Result<()> {
    let mut archive = zip::ZipArchive::new(Cursor::new(archive)).context("read the release's archive")?;
    let packed = archive.by_name("tofu").context("look for `tofu` in the release's archive")?;
    let file = fs_err::OpenOptions::new().write(true).create_new(true).mode(0o755).open(program);
    let bytes = std::io::copy(&mut packed.take(LONGEST_PROGRAM), &mut file?).context("unpack the release's archive")?;
    ensure!(bytes < LONGEST_PROGRAM, "the program in the release's archive has more than {LONGEST_PROGRAM} bytes");
    Ok(())
}

/// Builds the program with Go, in the folder that it will be in.
async fn build(program: &Utf8Path, why: &str, mut on_line: impl FnMut(&str)) -> Result<()> {
    if platform::find_program("go").is_none() {
        bail!(
            "{why}; and it takes Go to build it, which is not here\n  \
             install OpenTofu: https://opentofu.org/docs/intro/install; or Go, then type again: cargo xtask setup"
        );
    }
    let folder = program.with_file_name("module");
    fs_err::create_dir(&folder)?;
    let module = format!(
        "module tools\n\ngo 1.25.0\n\nrequire github.com/opentofu/opentofu v{VERSION}\n\nreplace {HCL}\n\ntool {PACKAGE}\n"
    );
    fs_err::write(folder.join("go.mod"), module)?;
    let go = |args: &[&str]| Cmd::new("go").args(args.iter().copied()).dir(&folder).env("CGO_ENABLED", "0");
    go(&["mod", "tidy"]).run_lines(&mut on_line).await.context("gather the modules that OpenTofu is built of")?;
    let build = go(&["build", "-trimpath", "-ldflags", "-s -w", "-o", program.as_str(), PACKAGE]);
    build.run_lines(&mut on_line).await.context("build OpenTofu from its Go module")
}

/// What killed processes left: it is this one's turn, so nobody else works on them.
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
