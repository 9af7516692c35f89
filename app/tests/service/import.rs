//! `app import`: a folder of files, against a running service.

use std::{
    ffi::OsStr,
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _, process::ExitStatusExt as _},
    path::Path,
    process::{Command, Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
};

use crate::{
    pictures,
    support::{Service, eventually},
};

/// A service with an API key, and a folder to import.
struct Fixture {
    service: Service,
    key: String,
    folder: tempfile::TempDir,
    state: tempfile::TempDir,
}

impl Fixture {
    async fn new() -> Self {
        Self::with(Service::signed_in().await).await
    }

    async fn with(service: Service) -> Self {
        let key = api_key(&service, &["read", "upload", "manage"]).await;
        Self { service, key, folder: tempfile::tempdir().unwrap(), state: tempfile::tempdir().unwrap() }
    }

    fn write(&self, name: impl AsRef<OsStr>, bytes: &[u8]) {
        let path = self.folder.path().join(Path::new(name.as_ref()));
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, bytes).unwrap();
    }

    fn command(&self, server: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_app"));
        command.arg("import").arg(self.folder.path()).args(["--server", &format!("http://{server}")]).args(arguments);
        command.env_clear().env("APP_API_KEY", &self.key).env("XDG_STATE_HOME", self.state.path());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs it to its end, without blocking the test's proxy.
    async fn import(&self, server: &str, arguments: &[&str]) -> Run {
        Run::new(tokio::process::Command::from(self.command(server, arguments)).output().await.unwrap())
    }

    async fn import_here(&self, arguments: &[&str]) -> Run {
        self.import(&self.service.process.address, arguments).await
    }

    async fn count(&self, condition: &str) -> i64 {
        let query = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM media WHERE {condition}"));
        sqlx::query_scalar(query).fetch_one(&self.service.pool).await.unwrap()
    }
}

struct Run {
    code: Option<i32>,
    out: String,
    errors: String,
}

impl Run {
    fn new(output: Output) -> Self {
        let [out, errors] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        Self { code: output.status.code(), out, errors }
    }

    /// The sums of a run with `--json`, and how many lines of a file it has.
    fn sums(&self) -> (Value, usize) {
        let lines: Vec<Value> = self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let (sums, files) = lines.split_last().unwrap();
        assert!(files.iter().all(|line| line["file"].is_string() && line["outcome"].is_string()), "{files:?}");
        (sums["summary"].clone(), files.len())
    }
}

fn sums(added: u32, duplicates: u32, skipped: u32, failed: u32, left: u32) -> Value {
    json!({ "added": added, "duplicates": duplicates, "skipped": skipped, "failed": failed, "left": left })
}

async fn api_key(service: &Service, scopes: &[&str]) -> String {
    let body = json!({ "name": "import", "scopes": scopes, "lifetime_days": 1 });
    let response = service.request(Method::POST, "/api/api-keys").json(&body).send().await.unwrap();
    response.json::<Value>().await.unwrap()["token"].as_str().unwrap().to_owned()
}

/// A picture that differs by its number, and is decoded within a millisecond.
fn small(number: u32) -> Vec<u8> {
    pictures::png(8 + number % 20, 8 + number / 20)
}

/// A picture of this size, in bytes: what comes after its end is no part of it.
fn large(size: usize) -> Vec<u8> {
    let mut picture = pictures::jpeg(64, 64);
    let noise = (0_u32..).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8 & 0x7f);
    picture.extend(noise.take(size - picture.len()));
    picture
}

/// Between the client and the service. It counts what clients send, and can be away.
struct Link {
    address: String,
    sent: Arc<AtomicU64>,
    refused: Arc<AtomicUsize>,
    /// How many bytes clients may send before their connections are cut.
    limit: watch::Sender<u64>,
}

impl Link {
    async fn new(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (limit, limits) = watch::channel(u64::MAX);
        let link = Self {
            address: listener.local_addr().unwrap().to_string(),
            sent: Arc::default(),
            refused: Arc::default(),
            limit,
        };
        let (sent, refused, server) = (link.sent.clone(), link.refused.clone(), server.to_owned());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if sent.load(Ordering::SeqCst) >= *limits.borrow() {
                    refused.fetch_add(1, Ordering::SeqCst);
                    continue;
                }
                tokio::spawn(forward(client, server.clone(), sent.clone(), limits.clone()));
            }
        });
        link
    }

    fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }

    /// Cuts the connections once clients have sent so many bytes more.
    fn cut_after(&self, bytes: u64) {
        self.limit.send_replace(self.sent() + bytes);
    }

    fn mend(&self) {
        self.limit.send_replace(u64::MAX);
    }
}

async fn forward(client: TcpStream, server: String, sent: Arc<AtomicU64>, limits: watch::Receiver<u64>) {
    let mut limit = limits.clone();
    let server = TcpStream::connect(server).await.unwrap();
    let ((mut from, mut to_client), (mut answers, mut to)) = (client.into_split(), server.into_split());
    let up = async {
        let mut chunk = vec![0; 16 << 10];
        while let Ok(read @ 1..) = from.read(&mut chunk).await {
            if to.write_all(&chunk[..read]).await.is_err() {
                return;
            }
            if sent.fetch_add(read as u64, Ordering::SeqCst) + read as u64 >= *limits.borrow() {
                return;
            }
        }
    };
    let down = tokio::io::copy(&mut answers, &mut to_client);
    let cut = limit.wait_for(|limit| sent.load(Ordering::SeqCst) >= *limit);
    tokio::select! {
        () = up => {}
        _ = down => {}
        _ = cut => {}
    }
}

#[tokio::test]
async fn a_folder_of_every_kind_of_file_is_imported_once() {
    let fixture = Fixture::new().await;
    for number in 0..240 {
        fixture.write(format!("{}/{number}.png", number % 7), &small(number));
    }
    for number in 0..30 {
        fixture.write(format!("copies/{number}.jpg"), &small(number));
    }
    for number in 240..250 {
        fixture.write(format!("broken/{number}.png"), &small(number)[..60]);
    }
    for number in 0..10 {
        fixture.write(format!("notes/{number}.txt"), b"no picture");
    }
    fixture.write("empty.png", b"");
    fixture.write(".hidden/1.png", &small(300));
    fixture.write(OsStr::from_bytes(b"p\xe4iv\xe4 \xff.png"), &small(301));
    fixture.write("a\nb\x1b[2J\\c.png", &small(302));
    fixture.write(format!("{}.png", "\u{1f4f7}".repeat(62)), &small(303));
    std::os::unix::fs::symlink("0/0.png", fixture.folder.path().join("link.png")).unwrap();
    std::os::unix::fs::symlink("nowhere", fixture.folder.path().join("dangling.png")).unwrap();
    assert!(Command::new("mkfifo").arg(fixture.folder.path().join("pipe.png")).status().unwrap().success());

    let planned = fixture.import_here(&["--json", "--dry-run"]).await;
    // 10 texts, an empty file, a hidden folder, two links and a pipe are skipped.
    let (expected, lines) = (sums(253, 30, 15, 0, 0), 298);
    assert_eq!((planned.code, planned.sums()), (Some(0), (expected, lines)), "{}", planned.errors);
    assert_eq!(fixture.service.rows().await, 0);

    let first = fixture.import_here(&["--json", "--tag", "Loma", "--tag", "2026"]).await;
    assert_eq!((first.code, first.sums()), (Some(1), (sums(243, 30, 15, 10, 0), lines)), "{}", first.errors);
    assert_eq!(fixture.count("status = 'ready' AND tags @> '{Loma,2026}'").await, 243);
    let names = ["p\u{fffd}iv\u{fffd} \u{fffd}.png", "a_b_[2J_c.png", &format!("{}.png", "\u{1f4f7}".repeat(62))];
    let found: i64 = sqlx::query_scalar("SELECT count(*) FROM media WHERE name = ANY($1)")
        .bind(names.map(str::to_owned).to_vec())
        .fetch_one(&fixture.service.pool)
        .await
        .unwrap();
    assert_eq!(found, 3);

    let again = fixture.import_here(&["--jobs", "8"]).await;
    assert_eq!(again.code, Some(1));
    let lines: Vec<_> = again.out.lines().collect();
    assert!(lines.contains(&"0 added, 273 duplicates, 15 skipped, 10 failed"), "{}", again.out);
    let broken = fixture.folder.path().join("broken/240.png").display().to_string();
    let failure = format!("  {broken}: the image cannot be decoded: it is corrupt or truncated");
    assert!(lines.contains(&failure.as_str()), "{}", again.out);
    assert!(lines.iter().any(|line| line.starts_with("skipped") && line.ends_with("notes/3.txt: unknown content is not supported; use JPEG, PNG, WebP, GIF, AVIF, HEIC, TIFF, MP4, MOV, WebM or Matroska")), "{}", again.out);
    assert!(!again.out.contains('\x1b'), "nothing controls the terminal");
    assert!(
        again
            .errors
            .ends_with("10 of 298 files failed; run the command again to try only what the service does not have\n")
    );
    assert_eq!(fixture.service.rows().await, 243);
}

#[tokio::test]
async fn what_was_sent_before_kill_9_is_not_sent_again() {
    let fixture = Fixture::new().await;
    let link = Link::new(&fixture.service.process.address).await;
    for number in 0..120 {
        fixture.write(format!("{number}.png"), &small(number));
    }
    let mut killed = fixture.command(&link.address, &["--jobs", "2"]).spawn().unwrap();
    eventually("some files are in the gallery", async || fixture.service.rows().await >= 20).await;
    killed.kill().unwrap();
    assert_eq!(killed.wait().unwrap().signal(), Some(9));
    eventually("no upload is in progress", async || fixture.count("status = 'pending'").await == 0).await;
    let before = u32::try_from(fixture.service.rows().await).unwrap();
    assert!(before < 120, "it was killed in the middle");

    let again = fixture.import(&link.address, &["--json"]).await;
    assert_eq!((again.code, again.sums().0), (Some(0), sums(120 - before, before, 0, 0, 0)), "{}", again.errors);
    assert_eq!(fixture.count("status = 'ready'").await, 120);
}

#[tokio::test]
async fn a_large_file_goes_on_where_the_killed_import_was() {
    const SIZE: usize = 40 << 20;
    let service = Service::start_with(|setup| setup.var("MAX_UPLOAD_BYTES", 64 << 20)).await.sign_in().await;
    let fixture = Fixture::with(service).await;
    let link = Link::new(&fixture.service.process.address).await;
    fixture.write("large.jpg", &large(SIZE));

    link.cut_after(25 << 20);
    let mut killed = fixture.command(&link.address, &[]).spawn().unwrap();
    eventually("the connection was cut", async || link.refused.load(Ordering::SeqCst) > 0).await;
    killed.kill().unwrap();
    killed.wait().unwrap();
    link.mend();
    // Until then the request of the killed import has the upload open, and another one is refused.
    eventually("the service knows that its client has gone", async || {
        let is_free = |file: &std::path::PathBuf| fs_err::File::open(file).unwrap().into_file().try_lock().is_ok();
        fixture.service.received().iter().all(is_free)
    })
    .await;
    let before = link.sent();
    // What the service has of it, which is nearly all that was sent.
    let has = fixture.service.received().iter().map(|file| file.metadata().unwrap().len()).sum::<u64>();
    assert!((20 << 20..=25 << 20).contains(&has), "{has}");

    let again = fixture.import(&link.address, &["--json"]).await;
    assert_eq!((again.code, again.sums().0), (Some(0), sums(1, 0, 0, 0, 0)), "{}{}", again.out, again.errors);
    let rest = link.sent() - before;
    assert!(
        (SIZE as u64 - has..SIZE as u64 - has + (64 << 10)).contains(&rest),
        "{rest} bytes were sent, {has} had arrived"
    );
    let hash = hex::encode(ring::digest::digest(&ring::digest::SHA256, &large(SIZE)));
    assert_eq!(fixture.service.get(&format!("/api/media/sha256/{hash}")).await.status(), 200);
    assert_eq!(fs_err::read_dir(fixture.state.path().join("app")).unwrap().count(), 0, "its note is gone");
}

#[tokio::test]
async fn a_service_that_goes_away_is_waited_for() {
    let fixture = Fixture::new().await;
    let link = Link::new(&fixture.service.process.address).await;
    for number in 0..40 {
        fixture.write(format!("{number}.png"), &small(number));
    }
    link.cut_after(20_000);
    let running = fixture.import(&link.address, &["--json"]);
    let mending = async {
        eventually("all jobs were refused", async || link.refused.load(Ordering::SeqCst) >= 3).await;
        assert!(fixture.service.rows().await < 40);
        link.mend();
    };
    let (run, ()) = tokio::join!(running, mending);
    assert_eq!(run.code, Some(0), "{}{}", run.out, run.errors);
    assert!(run.errors.contains("the service cannot be reached: "), "{}", run.errors);
    assert!(run.errors.contains("; trying again in 1 s\n"), "{}", run.errors);
    assert_eq!(fixture.count("status = 'ready'").await, 40);
}

#[tokio::test]
async fn a_busy_service_names_the_pause() {
    // It answers like the service: the first upload finds it busy.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let serving = tokio::spawn(async move {
        let mut requests = Vec::new();
        loop {
            let mut client = listener.accept().await.unwrap().0;
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(client.read_u8().await.unwrap());
            }
            let head = String::from_utf8(head).unwrap();
            let line = head.lines().next().unwrap().to_owned();
            let tries = requests.iter().filter(|(earlier, _)| *earlier == line).count();
            requests.push((line.clone(), std::time::Instant::now()));
            let (status, body) = match line.split(' ').nth(1).unwrap() {
                "/api/auth/me" => ("200 OK", json!({ "scopes": ["read", "upload"] })),
                "/api/media" if tries == 0 => {
                    ("429 Too Many Requests\r\nretry-after: 3", json!({ "error": { "message": "busy" } }))
                }
                "/api/media" => ("201 Created", json!({ "id": "01ARZ3NDEKTSV4RRFFQ69G5FAV", "tags": [] })),
                _ => ("404 Not Found", json!({})),
            };
            let body = body.to_string();
            let answer =
                format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
            // Of an upload, only after all of it has come.
            let length =
                head.to_lowercase().lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            client.read_exact(&mut vec![0; length.unwrap_or(0)]).await.unwrap();
            client.write_all(answer.as_bytes()).await.unwrap();
            if status.starts_with("201") {
                return requests;
            }
        }
    });
    let (folder, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs_err::write(folder.path().join("a.png"), small(1)).unwrap();
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_app"));
    command.arg("import").arg(folder.path()).args(["--server", &format!("http://{address}")]);
    command.env_clear().env("APP_API_KEY", "key").env("HOME", state.path());
    let run = Run::new(command.output().await.unwrap());
    assert_eq!(run.code, Some(0), "{}{}", run.out, run.errors);
    assert_eq!(run.errors, "app: busy; trying again in 3 s\n");
    let requests = serving.await.unwrap();
    let [.., (_, first), _, (_, second)] = requests.as_slice() else { panic!("{requests:?}") };
    assert!(second.duration_since(*first) >= std::time::Duration::from_secs(3), "{requests:?}");
}

#[tokio::test]
async fn files_that_change_vanish_or_cannot_be_read_fail_alone() {
    let service = Service::start_with(|setup| setup.var("MAX_UPLOAD_BYTES", 64 << 20)).await.sign_in().await;
    let fixture = Fixture::with(service).await;
    let link = Link::new(&fixture.service.process.address).await;
    fixture.write("1.jpg", &large(30 << 20));
    fixture.write("2.png", &small(2));
    fixture.write("3.png", &small(3));
    fixture.write("4.png", &small(4));
    let file = |name: &str| fixture.folder.path().join(name);
    fs_err::set_permissions(file("4.png"), std::fs::Permissions::from_mode(0o000)).unwrap();
    // A superuser can read it all the same.
    let is_root = rustix::process::geteuid().is_root();

    // The first file is on its way; the others are not opened yet.
    link.cut_after(8 << 20);
    let running = fixture.import(&link.address, &["--jobs", "1"]);
    let changing = async {
        eventually("the connection was cut", async || link.refused.load(Ordering::SeqCst) > 0).await;
        fs_err::OpenOptions::new().append(true).open(file("1.jpg")).unwrap().set_len(31 << 20).unwrap();
        fs_err::remove_file(file("2.png")).unwrap();
        link.mend();
    };
    let (run, ()) = tokio::join!(running, changing);
    assert_eq!(run.code, Some(1), "{}{}", run.out, run.errors);
    let failed: Vec<_> = run.out.lines().filter_map(|line| line.strip_prefix("  ")).collect();
    let expected = |name: &str, reason: &str| format!("{}: {reason}", file(name).display());
    assert_eq!(failed[0], expected("1.jpg", "it changed while it was sent"));
    assert_eq!(failed[1], expected("2.png", "it is gone"));
    let unreadable = expected("4.png", "it cannot be read: Permission denied (os error 13)");
    assert_eq!(failed.get(2), (!is_root).then_some(&unreadable.as_str()));
    assert_eq!(fixture.count("name = '1.jpg'").await, 0, "of a changed file nothing is added");
    assert_eq!(fixture.count("name = '3.png'").await, 1);
}

#[tokio::test]
async fn an_interrupted_import_ends_at_once_and_tells_what_is_left() {
    let fixture = Fixture::new().await;
    let link = Link::new(&fixture.service.process.address).await;
    for number in 0..30 {
        fixture.write(format!("{number}.png"), &small(number));
    }
    link.cut_after(10_000);
    let running = fixture.command(&link.address, &["--json"]).spawn().unwrap();
    eventually("the connection was cut", async || link.refused.load(Ordering::SeqCst) > 0).await;
    assert!(Command::new("kill").args(["-INT", &running.id().to_string()]).status().unwrap().success());
    let run = Run::new(running.wait_with_output().unwrap());
    assert_eq!(run.code, Some(130));
    let left = run.sums().0["left"].as_u64().unwrap();
    assert!((1..30).contains(&left), "{}", run.out);
    assert!(run.errors.ends_with("app: interrupted; run the command again to go on\n"), "{}", run.errors);
}

#[tokio::test]
async fn a_wrong_key_or_address_ends_it_before_a_file_is_opened() {
    let mut fixture = Fixture::new().await;
    fixture.write("1.png", &small(1));
    let reader = api_key(&fixture.service, &["read", "upload"]).await;
    let address = fixture.service.process.address.clone();
    let cases: [(&str, &str, &[&str], &str); 6] = [
        ("meemi_key_0", &address, &[], "app: the service does not accept the API key\n"),
        ("", &address, &[], "app: APP_API_KEY is not set: create an API key with the scopes read and upload\n"),
        ("line\nbreak", &address, &[], "app: the API key has characters that no API key has\n"),
        (&reader, &address, &["--tag", "a"], "app: the API key does not have the scope manage\n"),
        (
            &reader,
            &format!("{address}/elsewhere"),
            &[],
            "app: this is not the address of the media service: not found\n",
        ),
        (
            &reader,
            &address,
            &["--tag", ""],
            "app: a media has at most 100 tags, each of 1 to 50 characters without control characters\n",
        ),
    ];
    for (key, server, arguments, error) in cases {
        fixture.key = key.to_owned();
        let run = fixture.import(server, arguments).await;
        assert_eq!((run.code, run.errors.as_str(), run.out.as_str()), (Some(1), error, ""));
    }
    fixture.key = reader;
    let unreachable = fixture.import("127.0.0.1:1", &[]).await;
    assert_eq!(unreachable.code, Some(1));
    assert!(unreachable.errors.starts_with("app: the service cannot be reached: "), "{}", unreachable.errors);
    assert_eq!(fixture.service.rows().await, 0);
}
