//! `app import`: sends the pictures and clips of a folder to a running service.
//!
//! The service knows what it has by SHA-256, and is asked before a file is sent. So a second run goes on where the first one ended,
//! however that was, and keeps no journal of its own; only large files, which are sent in parts, have a note of their upload's id.

mod answer;
mod api;
mod files;
mod report;
mod unfinished;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use clap::Args;
use futures_util::{StreamExt as _, stream};

use self::{
    answer::Failure,
    api::{Api, Progress, Sent, Server},
    files::{Entry, MediaFile, NotSent, media_name},
    report::{Outcome, Report},
    unfinished::Unfinished,
};
use crate::{http::connections::until_signalled, settings};

/// Files of more bytes are sent in parts, which go on after an interruption.
const LARGE: u64 = 8 << 20;

/// How long one file waits for a service that is away or busy.
const PATIENCE: Duration = Duration::from_secs(5 * 60);

/// Pauses between two attempts, if the service names none: the first one, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Attempts with one file if the service fails on it.
const ATTEMPTS: u32 = 3;

/// As a program that SIGINT has ended.
const INTERRUPTED: u8 = 130;

/// Send the pictures and clips of a folder to a running service; exit with 1 if one was not accepted
///
/// APP_API_KEY has an API key with the scopes read and upload; with --tag, also manage. What the service has already is not sent
/// again, so an import that was interrupted goes on when it is run again.
#[derive(Args)]
pub struct ImportArgs {
    folder: PathBuf,
    /// Address of the service, such as https://media.example.org
    #[arg(long, value_name = "URL")]
    server: Server,
    /// Files that are sent side by side
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=32))]
    jobs: u8,
    /// Tag of each file, also of those that the service has already; may be given several times
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// Only tell what would be sent
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON object a line: each file, then the sums
    #[arg(long)]
    json: bool,
}

/// One run.
struct Import {
    api: Api,
    server: Server,
    tags: Vec<String>,
    dry_run: bool,
    unfinished: Unfinished,
    report: Report,
    /// By SHA-256, the media of the files of this run. Locked while a file is sent: another one with the same bytes waits.
    sent: Mutex<HashMap<[u8; 32], Arc<tokio::sync::Mutex<Known>>>>,
}

/// Whether the bytes of a file are in the gallery.
#[derive(Default)]
enum Known {
    #[default]
    No,
    /// Its id; `None` in a dry run.
    Yes(Option<String>),
}

/// Runs the import until all files are sent, or until SIGINT or SIGTERM.
///
/// # Errors
/// If the import cannot begin, if a file failed, or if it ended early.
pub async fn run(args: ImportArgs) -> anyhow::Result<ExitCode> {
    let key =
        settings::api_key().context("APP_API_KEY is not set: create an API key with the scopes read and upload")?;
    let tags = crate::validate::tags(&args.tags)?;
    let api = Api::new(args.server.clone(), &key)?;
    if args.server.is_in_the_clear() {
        eprintln!("app: {} is not https: others on the network can read the API key", args.server.as_str());
    }
    check_scopes(&api, &tags).await?;
    let folder = args.folder.clone();
    let entries = tokio::task::spawn_blocking(move || files::walk(&folder)).await??;
    let total = entries.len();
    let import = Import {
        api,
        server: args.server,
        tags,
        dry_run: args.dry_run,
        unfinished: Unfinished::open(settings::state_folder()?)?,
        report: Report::new(args.json, args.dry_run, total),
        sent: Mutex::default(),
    };
    let mut outcomes = stream::iter(entries).map(|entry| import.entry(entry)).buffer_unordered(usize::from(args.jobs));
    let mut stop = std::pin::pin!(until_signalled());
    let ended_early = loop {
        tokio::select! {
            biased;
            signalled = &mut stop => {
                signalled?;
                break Some(None);
            }
            next = outcomes.next() => match next {
                None => break None,
                Some(Ok((path, outcome))) => import.report.file(&path, &outcome),
                Some(Err(reason)) => break Some(Some(reason)),
            },
        }
    };
    drop(outcomes);
    let failed = import.report.end();
    match ended_early {
        None if failed == 0 => Ok(ExitCode::SUCCESS),
        None => {
            bail!("{failed} of {total} files failed; run the command again to try only what the service does not have")
        }
        Some(None) => {
            eprintln!("app: interrupted; run the command again to go on");
            Ok(ExitCode::from(INTERRUPTED))
        }
        Some(Some(reason)) => bail!("{reason}; run the command again to go on"),
    }
}

async fn check_scopes(api: &Api, tags: &[String]) -> anyhow::Result<()> {
    let scopes = api.scopes().await.map_err(|failure| match failure {
        Failure::File(reason) => anyhow::anyhow!("this is not the address of the media service: {reason}"),
        Failure::Service(reason) | Failure::Away(reason, _) | Failure::Fatal(reason) => anyhow::anyhow!(reason),
    })?;
    let needed = [("read", true), ("upload", true), ("manage", !tags.is_empty())];
    let missing = needed.into_iter().filter(|(scope, is_needed)| *is_needed && !scopes.iter().any(|has| has == scope));
    match missing.map(|(scope, _)| scope).collect::<Vec<_>>().as_slice() {
        [] => Ok(()),
        missing => bail!("the API key does not have the scope {}", missing.join(", ")),
    }
}

impl Import {
    /// Sends a file, if it is one to send. An error ends the run.
    async fn entry(&self, Entry { path, refused }: Entry) -> Result<(PathBuf, Outcome), String> {
        if let Err(not_sent) = refused {
            return Ok((path, Outcome::NotSent(not_sent)));
        }
        let opened = path.clone();
        let opened = tokio::task::spawn_blocking(move || MediaFile::open(&opened)).await;
        let outcome = match opened.map_err(|error| error.to_string())? {
            Ok(file) => self.file(&path, &file).await?,
            Err(not_sent) => Outcome::NotSent(not_sent),
        };
        Ok((path, outcome))
    }

    async fn file(&self, path: &Path, file: &MediaFile) -> Result<Outcome, String> {
        let known = self.sent.lock().unwrap_or_else(PoisonError::into_inner).entry(file.sha256).or_default().clone();
        let mut known = known.lock().await;
        if let Known::Yes(media) = &*known {
            return Ok(Outcome::Duplicate(media.clone()));
        }
        let sent = match self.with_patience(|| self.attempt(path, file)).await {
            Ok(sent) => sent,
            Err(Failure::Fatal(reason)) => return Err(reason),
            Err(Failure::File(reason) | Failure::Service(reason) | Failure::Away(reason, _)) => {
                return Ok(Outcome::NotSent(NotSent::Failed(reason)));
            }
        };
        let (media, is_duplicate) = sent.map_or((None, false), |sent| (Some(sent.id), sent.duplicate));
        *known = Known::Yes(media.clone());
        Ok(if is_duplicate { Outcome::Duplicate(media) } else { Outcome::Added(media) })
    }

    /// Repeats an attempt while the service is away or busy.
    async fn with_patience<T>(&self, attempt: impl AsyncFn() -> Result<T, Failure>) -> Result<T, Failure> {
        let (began, mut pause, mut failed) = (Instant::now(), PAUSES.0, 0);
        loop {
            let (reason, named) = match attempt().await {
                Err(Failure::Away(reason, named)) if began.elapsed() < PATIENCE => (reason, named),
                Err(Failure::Away(reason, _)) => {
                    return Err(Failure::Fatal(format!("for {} minutes, {reason}", PATIENCE.as_secs() / 60)));
                }
                Err(Failure::Service(reason)) if failed + 1 < ATTEMPTS => {
                    failed += 1;
                    (reason, None)
                }
                other => return other,
            };
            let wait = named.unwrap_or(pause).min(PATIENCE);
            self.report.note(&format!("{reason}; trying again in {} s", wait.as_secs_f32().ceil()));
            tokio::time::sleep(wait).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    /// The media that a file has become; `None` if it would in a dry run.
    async fn attempt(&self, path: &Path, file: &MediaFile) -> Result<Option<Sent>, Failure> {
        let name = media_name(path);
        let sent = match self.api.find(file).await? {
            Some(found) => found,
            None if self.dry_run => return Ok(None),
            None if file.size() > LARGE => self.send_in_parts(file, &name).await?,
            None => self.api.upload(file, &name).await?,
        };
        if !self.dry_run && !self.tags.iter().all(|tag| sent.tags.contains(tag)) {
            self.api.tag(&sent.id, &self.tags).await?;
        }
        Ok(Some(sent))
    }

    /// Sends a large file, or the rest of it.
    async fn send_in_parts(&self, file: &MediaFile, name: &str) -> Result<Sent, Failure> {
        let note = |error: std::io::Error| Failure::Fatal(format!("cannot note how far a large file is: {error}"));
        let begun = self.unfinished.find(&self.server, file).map_err(note)?;
        let progress = match &begun {
            Some(id) => self.api.progress(id).await?,
            None => Progress::Gone,
        };
        let (id, mut progress) = match (begun, progress) {
            (Some(id), progress @ (Progress::Arrived(_) | Progress::Media(_))) => (id, progress),
            _ => {
                let id = self.api.create(file, name).await?;
                self.unfinished.keep(&self.server, file, &id).map_err(note)?;
                (id, Progress::Arrived(0))
            }
        };
        let done = loop {
            progress = match progress {
                Progress::Arrived(offset) => match self.api.append(&id, file, offset).await {
                    Ok(Progress::Arrived(end)) if end <= offset => {
                        return Err(Failure::Service("the service does not keep what it is sent".to_owned()));
                    }
                    Ok(progress) => progress,
                    // It was rejected, and the service has deleted what it has of it.
                    Err(Failure::File(reason)) => break Err(Failure::File(reason)),
                    Err(failure) => return Err(failure),
                },
                Progress::Media(id) => break Ok(Sent { id, tags: Vec::new(), duplicate: false }),
                Progress::Gone => return Err(Failure::Service("the service has lost an upload".to_owned())),
            };
        };
        self.unfinished.forget(&self.server, file).map_err(note)?;
        done
    }
}
