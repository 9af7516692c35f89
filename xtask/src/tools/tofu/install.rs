//! Installs OpenTofu: the program of its official release, or a build of its Go module if the release cannot be downloaded.
//!
//! Both are pinned here: the archive by its SHA-256, the Go module by its hash, which covers the `go.sum` that pins all of its
//! dependencies. So a release that was replaced, or a host that answers in its name, installs nothing.

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

/// SHA-256 of that version's archives, by operating system and processor, as the release's list has them
/// (`tofu_<version>_SHA256SUMS`).
const ARCHIVES: [(&str, &str, &str); 4] = [
    ("linux", "x86_64", "5dc43da4f750f33873dc25e94587128709e819e544b7be9016b255316153c3a8"),
    ("linux", "aarch64", "e573979ba68a17fe7b881752051a694a7efcd970e39521f6a25775197861ed4d"),
    ("macos", "x86_64", "166388e5feed47e107e11721b6366bf91d21e47eccbced75f3cbe0c7184ffd9b"),
    ("macos", "aarch64", "e083ee43790ab9e19ad66d9933e24a7244a1412e1d5728f37999ae2163fdac95"),
];

/// OpenTofu's Go module.
const MODULE: &str = "github.com/opentofu/opentofu";
/// The hash of that version of the module, as Go's checksum database has it.
const MODULE_SUM: &str = "h1:0VT4P8pMmGcCUnQ9JDrJ+Qg2d35Vzm4FFd/9+H7oF98=";

/// The package of the program, in its module.
const PACKAGE: &str = "./cmd/tofu";

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a download may stall.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a download may take: 30 MB at 70 KB a second.
const DOWNLOAD_TIMEOUT: Duration = Duration::from_secs(450);
/// How long to wait for another process that installs it: a build takes minutes.
const PATIENCE: Duration = Duration::from_secs(1200);
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
/// has printed its version, so an interrupted installation is never mistaken for a finished one. Fails if the archive is
/// not the pinned one: a build replaces only a release that cannot be downloaded.
pub async fn install(cache: &Utf8Path, releases: &str, on_line: impl FnMut(&str)) -> Result<Utf8PathBuf> {
    install_pinned(cache, releases, &ARCHIVES, on_line).await
}

/// The same with other pins.
async fn install_pinned(
    cache: &Utf8Path,
    releases: &str,
    pins: &[Pin<'_>],
    mut on_line: impl FnMut(&str),
) -> Result<Utf8PathBuf> {
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
    match fetch(releases, pins, std::env::consts::OS, std::env::consts::ARCH).await? {
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

/// Operating system and processor, by Rust's names, and the SHA-256 of their archive.
type Pin<'a> = (&'a str, &'a str, &'a str);

/// A release.
#[derive(Debug)]
enum Release {
    /// The archive for this machine, verified.
    Archive(Vec<u8>),
    /// It cannot be downloaded: why.
    Absent(String),
}

/// Downloads the release's archive for a system and processor, by Rust's names of them.
async fn fetch(releases: &str, pins: &[Pin<'_>], system: &str, processor: &str) -> Result<Release> {
    let Some((_, _, expected)) = pins.iter().find(|(os, arch, _)| (*os, *arch) == (system, processor)) else {
        return Ok(Release::Absent(format!("no archive of OpenTofu for {system} on {processor} is pinned")));
    };
    let client = reqwest::Client::builder()
        .user_agent(concat!("xtask/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .timeout(DOWNLOAD_TIMEOUT)
        // Releases are redirected to a storage service; a redirect to plain HTTP is refused.
        .https_only(releases.starts_with("https:"))
        .build()
        .context("set up the client for downloads")?;
    let archive = format!("tofu_{VERSION}_{}_{}.zip", go_name(system), go_name(processor));
    let bytes = match download(&client, &format!("{releases}/v{VERSION}/{archive}"), MAX_ARCHIVE).await {
        Ok(bytes) => bytes,
        Err(error) => return Ok(Release::Absent(format!("OpenTofu's release cannot be downloaded: {error:#}"))),
    };
    let got = hex::encode(Sha256::digest(&bytes));
    ensure!(
        got == *expected,
        "{archive} has the SHA-256 {got}, but the toolkit pins {expected}: nothing was installed\n  \
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

/// Builds the program with Go, in the module's own folder: its `go.mod` and `go.sum` choose and pin the dependencies.
async fn build(program: &Utf8Path, why: &str, mut on_line: impl FnMut(&str)) -> Result<()> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Module {
        dir: Utf8PathBuf,
        sum: String,
    }
    if platform::find_program("go").is_none() {
        bail!(
            "{why}; building it needs Go, which is not installed\n  \
             install OpenTofu: https://opentofu.org/docs/intro/install; or install Go and repeat: cargo xtask setup"
        );
    }
    let staging = program.with_file_name("");
    let go = |dir: &Utf8Path, args: &[&str]| {
        // A workspace of this user's has no say in it.
        Cmd::new("go").args(args.iter().copied()).dir(dir).env("CGO_ENABLED", "0").env("GOWORK", "off")
    };
    let name = format!("{MODULE}@v{VERSION}");
    let module = go(&staging, &["mod", "download", "-json", &name]).capture().await;
    let module: Module = serde_json::from_str(&module.with_context(|| format!("download the Go module {name}"))?)
        .with_context(|| format!("read what Go says of the module {name}"))?;
    ensure!(
        module.sum == MODULE_SUM,
        "the Go module {name} has the hash {}, but the toolkit pins {MODULE_SUM}: nothing was installed",
        module.sum
    );
    let build = [
        "build",
        "-mod=readonly",
        "-trimpath",
        "-buildvcs=false",
        "-ldflags",
        "-s -w",
        "-o",
        program.as_str(),
        PACKAGE,
    ];
    go(&module.dir, &build).run_lines(&mut on_line).await.context("build OpenTofu from its Go module")
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
