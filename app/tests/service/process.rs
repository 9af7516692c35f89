//! The children that decode pictures: their limits, and what becomes of them.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use app::process::{ImageLimits, ProcessError, ProcessSettings, Processes, ValidationError};
use reqwest::StatusCode;
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::{
    pictures::decode_webp,
    support::{Service, eventually},
};

const LIMITS: ImageLimits = ImageLimits { max_pixels: 40_000_000 };

/// Processes of the built program.
pub(crate) async fn processes(change: impl FnOnce(&mut ProcessSettings)) -> Processes {
    let mut settings = ProcessSettings::new(std::env::temp_dir(), 2, None);
    settings.program = env!("CARGO_BIN_EXE_app").into();
    change(&mut settings);
    Processes::start(settings).await
}

fn picture(folder: &TempDir, width: u32, height: u32) -> PathBuf {
    let path = folder.path().join(format!("{width}x{height}.png"));
    image::RgbaImage::new(width, height).save(&path).unwrap();
    path
}

async fn assert_decodes(processes: &Processes, folder: &TempDir) {
    let image = processes.image(&picture(folder, 40, 30), LIMITS).await.unwrap();
    assert_eq!((image.width, image.height, image.mime_type.as_str()), (40, 30, "image/png"));
    let thumbnail = decode_webp(&image.thumbnail);
    assert_eq!((thumbnail.width(), thumbnail.height()), (40, 30));
}

/// A file that never ends: reading it waits for the test to write, which it does not.
struct Endless {
    path: PathBuf,
    _writer: std::fs::File,
}

impl Endless {
    fn new(folder: &TempDir) -> Self {
        let path = folder.path().join("endless");
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        let writer = std::fs::File::options().read(true).write(true).open(&path).unwrap();
        Self { path, _writer: writer }
    }

    /// The processes that read it.
    fn readers(&self) -> Vec<u32> {
        let others = processes_of_this_machine().filter(|id| *id != std::process::id());
        others.filter(|id| has_open(*id, &self.path)).collect()
    }

    async fn read_by(&self, count: usize) -> Vec<u32> {
        eventually(&format!("{count} processes read"), async || self.readers().len() == count).await;
        self.readers()
    }
}

fn processes_of_this_machine() -> impl Iterator<Item = u32> {
    let entries = fs_err::read_dir("/proc").unwrap();
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn has_open(process: u32, path: &Path) -> bool {
    // Ignores processes that end in the meantime.
    let descriptors = fs_err::read_dir(format!("/proc/{process}/fd")).into_iter().flatten().flatten();
    descriptors.into_iter().any(|descriptor| fs_err::read_link(descriptor.path()).is_ok_and(|open| open == path))
}

fn kill(process: u32) {
    assert!(Command::new("kill").args(["-9", &process.to_string()]).status().unwrap().success());
}

#[tokio::test]
async fn a_child_decodes_one_picture_after_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let processes = processes(|_| {}).await;
    assert_decodes(&processes, &folder).await;
    let text = folder.path().join("text");
    fs_err::write(&text, "no picture").unwrap();
    let refused = processes.image(&text, LIMITS).await.unwrap_err();
    assert!(matches!(refused, ProcessError::Invalid(ValidationError::UnsupportedType { .. })), "{refused:?}");
    let large = processes.image(&picture(&folder, 40, 30), ImageLimits { max_pixels: 1000 }).await.unwrap_err();
    assert!(matches!(large, ProcessError::Invalid(ValidationError::TooManyPixels { .. })), "{large:?}");
    assert_decodes(&processes, &folder).await;
    let missing = processes.image(&folder.path().join("missing"), LIMITS).await.unwrap_err();
    assert!(matches!(missing, ProcessError::Internal(_)), "{missing:?}");
}

#[tokio::test]
async fn a_child_that_runs_a_program_leaves_no_files() {
    let (folder, spool) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let processes = processes(|settings| settings.spool = spool.path().into()).await;
    if !processes.features().heif {
        eprintln!("skipped: heif-convert is not installed");
        return;
    }
    let png = picture(&folder, 640, 480);
    for (name, mime_type, option) in [("picture.heic", "image/heic", "-L"), ("picture.avif", "image/avif", "-A")] {
        let path = folder.path().join(name);
        let made = Command::new("heif-enc").arg(option).arg(&png).arg("-o").arg(&path).output().unwrap();
        assert!(path.exists(), "{}", String::from_utf8_lossy(&made.stderr));
        let image = processes.image(&path, LIMITS).await.unwrap();
        assert_eq!((image.width, image.height, image.mime_type.as_str()), (640, 480, mime_type));
        let bytes = fs_err::read(&path).unwrap();
        fs_err::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        let cut = processes.image(&path, LIMITS).await.unwrap_err();
        assert!(matches!(cut, ProcessError::Invalid(ValidationError::CorruptImage)), "{cut:?}");
    }
    assert_eq!(fs_err::read_dir(spool.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_child_has_given_up_its_rights_before_it_reads() {
    let folder = tempfile::tempdir().unwrap();
    let endless = Endless::new(&folder);
    let processes = Arc::new(processes(|_| {}).await);
    let (reading, path) = (processes.clone(), endless.path.clone());
    let reading = tokio::spawn(async move { reading.image(&path, LIMITS).await });
    let [child] = endless.read_by(1).await[..] else { unreachable!() };
    let status = fs_err::read_to_string(format!("/proc/{child}/status")).unwrap();
    for line in ["NoNewPrivs:\t1", "Seccomp:\t2", "Threads:\t1"] {
        assert!(status.lines().any(|found| found == line), "{line} is not in {status}");
    }
    let limits = fs_err::read_to_string(format!("/proc/{child}/limits")).unwrap();
    for (limit, value) in [("Max file size", "0"), ("Max core file size", "0"), ("Max address space", "1073741824")] {
        let line = limits.lines().find(|line| line.starts_with(limit)).unwrap();
        assert_eq!(line[limit.len()..].split_whitespace().next(), Some(value), "{limit}");
    }
    assert_eq!(fs_err::read(format!("/proc/{child}/environ")).unwrap(), b"");
    reading.abort();
    endless.read_by(0).await;
}

#[tokio::test]
async fn a_killed_child_fails_its_picture_and_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let endless = Endless::new(&folder);
    let processes = processes(|_| {}).await;
    assert_decodes(&processes, &folder).await;
    let killing = async { kill(endless.read_by(1).await[0]) };
    let (failed, ()) = tokio::join!(processes.image(&endless.path, LIMITS), killing);
    match failed.unwrap_err() {
        ProcessError::Crashed(why) => assert!(why.contains("signal: 9"), "{why}"),
        error => panic!("{error:?}"),
    }
    assert_decodes(&processes, &folder).await;
}

#[tokio::test]
async fn a_child_that_hangs_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let endless = Endless::new(&folder);
    let processes = processes(|settings| settings.picture.time = Duration::from_millis(200)).await;
    let failed = processes.image(&endless.path, LIMITS).await.unwrap_err();
    assert!(matches!(failed, ProcessError::TimedOut), "{failed:?}");
    assert_eq!(endless.readers(), Vec::<u32>::new());
}

#[tokio::test]
async fn a_child_that_needs_too_much_memory_fails_its_picture() {
    let folder = tempfile::tempdir().unwrap();
    let processes = processes(|settings| settings.picture.memory = 128 << 20).await;
    let huge = folder.path().join("huge");
    std::fs::File::create(&huge).unwrap().set_len(8 << 30).unwrap();
    let refused = processes.image(&huge, LIMITS).await.unwrap_err();
    assert!(matches!(refused, ProcessError::OutOfMemory), "the file alone: {refused:?}");
    let aborted = processes.image(&picture(&folder, 6000, 6000), LIMITS).await.unwrap_err();
    assert!(matches!(aborted, ProcessError::OutOfMemory), "its pixels: {aborted:?}");
    assert_decodes(&processes, &folder).await;
}

#[tokio::test]
async fn an_aborted_call_frees_its_slot_when_its_child_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let endless = Endless::new(&folder);
    let processes = Arc::new(processes(|_| {}).await);
    let mut calls = JoinSet::new();
    let aborts: Vec<_> = (0..20)
        .map(|_| {
            let (processes, path) = (processes.clone(), endless.path.clone());
            calls.spawn(async move { processes.image(&path, LIMITS).await.map(drop) })
        })
        .collect();
    for call in aborts {
        // The next one begins as soon as one is gone, and never before.
        eventually("both slots are taken", async || {
            let readers = endless.readers().len();
            assert!(readers <= 2, "{readers} children at once");
            readers == 2 || calls.len() < 2
        })
        .await;
        call.abort();
        assert!(calls.join_next().await.unwrap().unwrap_err().is_cancelled());
        assert!(endless.readers().len() <= 2);
    }
    endless.read_by(0).await;
    assert_decodes(&processes, &folder).await;
}

#[tokio::test]
async fn idle_children_end() {
    let folder = tempfile::tempdir().unwrap();
    // The program's own name tells its children from those of other tests.
    let program = folder.path().join("app");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_app"), &program).unwrap();
    let started = program.to_str().unwrap().to_owned();
    let processes = processes(|settings| {
        settings.program = program;
        settings.idle = Duration::from_millis(300);
    })
    .await;
    assert_decodes(&processes, &folder).await;
    assert_eq!(running(&started), 1);
    eventually("it ends", async || running(&started) == 0).await;
    assert_decodes(&processes, &folder).await;
}

#[tokio::test]
async fn children_end_with_a_service_that_is_killed() {
    let mut service = Service::signed_in().await;
    let mut png = std::io::Cursor::new(Vec::new());
    image::RgbaImage::new(40, 30).write_to(&mut png, image::ImageFormat::Png).unwrap();
    let (status, _) = service.upload(png.get_ref(), "picture.png", "image/png").await;
    assert_eq!(status, StatusCode::CREATED);
    let children = || processes_of_this_machine().filter(|id| parent(*id) == Some(service.process.id())).collect();
    let children: Vec<u32> = children();
    assert_eq!(children.len(), 1);
    service.process.signal("-KILL");
    service.process.ended().await;
    eventually("its child ends", async || !Path::new(&format!("/proc/{}/fd/0", children[0])).exists()).await;
}

/// How many processes were started by this name.
fn running(program: &str) -> usize {
    let command = |id| fs_err::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
    processes_of_this_machine().filter(|id| command(*id).starts_with(program.as_bytes())).count()
}

fn parent(process: u32) -> Option<u32> {
    let status = fs_err::read_to_string(format!("/proc/{process}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:")?.trim().parse().ok())
}
