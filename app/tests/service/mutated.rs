//! Thousands of damaged and hostile files through the processes of the service: each gets a verdict with a reason.
//!
//! `TEST_SEED` and a number make a file. One that crashes a process, hangs it, or breaks a promise is kept in the folder that the
//! test names. With its fix it goes into `app/tests/corpus`, whose files are tested first.

mod mutation;
mod seeds;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use app::process::{DerivedImage, ImageLimits, ProcessError, Processes};
use fastrand::Rng;
use futures_util::{StreamExt as _, stream};
use reqwest::StatusCode;
use serde_json::Value;
use testkit::test_seed;

pub(crate) use self::mutation::mutate;
use self::seeds::{Seed, seeds};
use crate::{
    pictures::{self, decode_webp},
    process::processes,
    support::{Service, files_below},
};

const LIMITS: ImageLimits = ImageLimits { max_pixels: 40_000_000 };

/// How many files `--thorough` tests, and how many every run does.
const FILES: [u64; 2] = [10_000, 1000];

/// Of a process that decodes pictures, and of one that reads clips, in KiB.
const MAX_MEMORY: u64 = 2 << 20;

/// How many of the files a service is sent.
const UPLOADS: u64 = 60;

/// A mutated file.
struct Mutated<'a> {
    /// Of the run and of the file in it: together they make the same file again.
    random: (u64, u64),
    made_of: &'a Seed,
    bytes: Vec<u8>,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_mutated_file_gets_a_verdict() {
    let (folder, spool) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let processes = processes(|settings| {
        settings.spool = spool.path().into();
        // Only its processor time tells that a file takes long: this machine may be busy.
        settings.picture.time = Duration::from_secs(600);
    })
    .await;
    let seeds = seeds(processes.features());
    for seed in &seeds {
        let verdict = judge(&processes, folder.path(), "undamaged", seed.is_video, &seed.bytes).await;
        verdict.unwrap_or_else(|fault| panic!("{}: {fault}", seed.name));
    }
    for path in files_below(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus"))) {
        let (bytes, is_video) = (fs_err::read(&path).unwrap(), path.extension().is_some_and(|kind| kind == "mp4"));
        let verdict = judge(&processes, folder.path(), "corpus", is_video, &bytes).await;
        verdict.unwrap_or_else(|fault| panic!("{}: {fault}", path.display()));
    }

    let seed = test_seed();
    let count = FILES[usize::from(std::env::var_os("TEST_THOROUGH").is_none())];
    let watch = MemoryWatch::start();
    let judged = stream::iter(0..count).map(|number| {
        let (processes, seeds, folder) = (&processes, &seeds, folder.path());
        async move {
            let file = Mutated::make(seeds, seed, number);
            let judged = judge(processes, folder, &number.to_string(), file.made_of.is_video, &file.bytes).await;
            judged.map_err(|fault| file.keep(&fault))
        }
    });
    let judged: Vec<Result<String, String>> = judged.buffer_unordered(4).collect().await;

    let (mut verdicts, mut faults) = (BTreeMap::<String, u64>::new(), Vec::new());
    for judged in judged {
        match judged {
            Ok(verdict) => *verdicts.entry(verdict).or_default() += 1,
            Err(fault) => faults.push(fault),
        }
    }
    let peak = watch.end();
    println!("{count} files: {verdicts:?}; a process took at most {} MiB", peak >> 10);
    assert!(faults.is_empty(), "{faults:#?}");
    // Some are undamaged where it matters, and most are not.
    assert!(verdicts["accepted"] > 0 && verdicts["corrupt_image"] > 0, "{verdicts:?}");
    assert!(peak <= MAX_MEMORY, "a process took {peak} KiB");
    assert_eq!(files_below(spool.path()), Vec::<PathBuf>::new(), "files of conversions");
}

#[tokio::test]
async fn mutated_uploads_stall_no_queue() {
    let service = Service::start_with(|setup| match std::env::var("PATH") {
        Ok(path) => setup.var("PATH", path),
        Err(_) => setup,
    });
    let service = service.await.sign_in().await;
    let seeds = seeds(processes(|_| {}).await.features());
    let seed = test_seed();
    for number in 0..UPLOADS {
        let file = Mutated::make(&seeds, seed, number);
        let (status, answer) = service.upload(&file.bytes, &file.made_of.name, "image/png").await;
        let code = &answer["error"]["code"];
        let is_verdict = match status.as_u16() {
            200 | 201 => answer["status"] == "ready",
            400 | 415 | 422 => code.as_str().is_some_and(|code| !code.is_empty()),
            _ => false,
        };
        assert!(is_verdict, "{}", file.keep(&format!("{status} {answer}")));
    }
    let (status, answer) = service.upload(&pictures::jpeg(70, 50), "after.jpg", "image/jpeg").await;
    assert_eq!((status, &answer["status"]), (StatusCode::CREATED, &Value::from("ready")));
    let unfinished = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM job WHERE kind = 'process'");
    assert_eq!(unfinished.fetch_one(&service.pool).await.unwrap(), 0);
}

impl<'a> Mutated<'a> {
    fn make(seeds: &'a [Seed], seed: u64, number: u64) -> Self {
        let mut random = Rng::with_seed(seed.wrapping_add(number));
        // A clip takes several programs, a picture only the time of its pixels.
        let is_video = random.u8(..30) == 0;
        let of_kind: Vec<&Seed> = seeds.iter().filter(|seed| seed.is_video == is_video).collect();
        let made_of = random.choice(of_kind).unwrap_or(&seeds[0]);
        let other = random.usize(..seeds.len());
        let bytes = mutate(&mut random, &made_of.bytes, &seeds[other].bytes);
        Self { random: (seed, number), made_of, bytes }
    }

    /// Keeps the file; returns what to say of it.
    fn keep(&self, fault: &str) -> String {
        let (seed, number) = self.random;
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("mutated-{seed:x}-{number}"));
        fs_err::write(&path, &self.bytes).unwrap();
        format!("{fault}: {} (number {number}, made of {})", path.display(), self.made_of.name)
    }
}

/// The code of the verdict, or how the file broke a promise.
async fn judge(
    processes: &Processes,
    folder: &Path,
    name: &str,
    is_video: bool,
    bytes: &[u8],
) -> Result<String, String> {
    let path = folder.join(name);
    fs_err::write(&path, bytes).unwrap();
    let derived = if is_video {
        processes.video(&path).await.map(|clip| check_thumbnail(&clip.poster.thumbnail))
    } else {
        match processes.image(&path, LIMITS).await {
            Ok(image) => Ok(check_image(processes, &path, image).await),
            Err(error) => Err(error),
        }
    };
    fs_err::remove_file(&path).unwrap();
    match derived {
        Ok(checked) => checked.map(|()| "accepted".to_owned()),
        Err(ProcessError::Invalid(error)) => Ok(error.code().as_str().to_owned()),
        Err(error) => Err(format!("{error:?}")),
    }
}

/// What is promised of an accepted picture, whatever its file says.
async fn check_image(processes: &Processes, path: &Path, image: DerivedImage) -> Result<(), String> {
    check_thumbnail(&image.thumbnail)?;
    let clipboard = image::load_from_memory(&image.clipboard).map_err(|error| format!("the clipboard's: {error}"))?;
    if clipboard.width().max(clipboard.height()) > 1024 || u64::from(image.width) * u64::from(image.height) > 40_000_000
    {
        return Err(format!("{}×{} of {}×{}", clipboard.width(), clipboard.height(), image.width, image.height));
    }
    if image.has_location == image.without_location.is_empty() {
        return Err(format!("location: {}, without it {} bytes", image.has_location, image.without_location.len()));
    }
    if image.has_location {
        fs_err::write(path, &image.without_location).unwrap();
        let again = processes.image(path, LIMITS).await.map_err(|error| format!("without its location: {error:?}"))?;
        if again.has_location || (again.width, again.height) != (image.width, image.height) {
            return Err(format!("without its location: {}, {}×{}", again.has_location, again.width, again.height));
        }
    }
    Ok(())
}

fn check_thumbnail(thumbnail: &[u8]) -> Result<(), String> {
    let thumbnail = decode_webp(thumbnail);
    let longest = thumbnail.width().max(thumbnail.height());
    if longest <= 600 { Ok(()) } else { Err(format!("a thumbnail of {longest} pixels")) }
}

/// Looks again and again how much memory the processes of this one have taken.
struct MemoryWatch {
    stop: Arc<AtomicBool>,
    peak: Arc<AtomicU64>,
    thread: std::thread::JoinHandle<()>,
}

impl MemoryWatch {
    fn start() -> Self {
        let (stop, peak) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let (stopped, seen) = (stop.clone(), peak.clone());
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                seen.fetch_max(peak_of_children(), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(250));
            }
        });
        Self { stop, peak, thread }
    }

    /// In KiB.
    fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        self.peak.load(Ordering::Relaxed)
    }
}

/// The most that a running child has had in memory, in KiB.
fn peak_of_children() -> u64 {
    let own = std::process::id();
    let processes = fs_err::read_dir("/proc").into_iter().flatten().flatten();
    // Processes that end meanwhile are left out.
    let statuses = processes.filter_map(|entry| fs_err::read_to_string(entry.path().join("status")).ok());
    let peaks = statuses.filter_map(|status| {
        let field = |name: &str| {
            status.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok())
        };
        (field("PPid:") == Some(u64::from(own))).then(|| field("VmHWM:")).flatten()
    });
    peaks.max().unwrap_or(0)
}
