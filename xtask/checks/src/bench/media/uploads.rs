//! Many large uploads at once: their rate against a plain receiver on the same disk, and the memory of the service.

use std::cell::Cell;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::service::{Media, upload};
use crate::bench::scratch::Scratch;
use crate::bench::table::{Goal, Row, said};
use crate::bench::turns::Turns;
use xtask::report::Report;

/// How many at once, and bytes of each.
const UPLOADS: (usize, usize) = (64, 20 << 20);

/// Each may have a quarter of the uploads at once.
const ACCOUNTS: usize = 4;

/// A GIF of 2 × 2 pixels: receiving is measured, not decoding.
const PICTURE: &[u8] = b"GIF89a\x02\0\x02\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\x02\0\x02\0\0\x02\x02\x84\x51\0;";

/// The service may keep memory this long.
const GIVEN_BACK: Duration = Duration::from_secs(10);

/// How often the memory is looked at.
const PAUSE: Duration = Duration::from_millis(20);

/// 64 uploads of 20 MB at once.
pub async fn at_once(scratch: &Scratch, report: &Report) -> Result<Row> {
    let media = Media::start(scratch, &[]).await?;
    let others: Vec<String> =
        (1..ACCOUNTS).map(|number| media.account(&format!("other-{number}"))).collect::<Result<_>>()?;
    let tokens = [others, vec![media.token.clone()]].concat();
    let idle = media.memory()?;
    let (peak, number) = (Cell::new(0), Cell::new(0_u64));
    let next = || {
        number.set(number.get() + 1);
        let mut file = PICTURE.to_vec();
        // Each is another file: what is behind a GIF's end belongs to no picture.
        file.extend(number.get().to_le_bytes());
        file.resize(UPLOADS.1, 0);
        file
    };
    let all = |address: &str| {
        let began = Instant::now();
        std::thread::scope(|scope| {
            let sent: Vec<_> = (0..UPLOADS.0)
                .map(|number| {
                    let (file, token) = (next(), &tokens[number % ACCOUNTS]);
                    scope.spawn(move || upload(address, token, &file))
                })
                .collect();
            while sent.iter().any(|one| !one.is_finished()) {
                peak.set(peak.get().max(media.memory()?));
                std::thread::sleep(PAUSE);
            }
            for one in sent {
                let answer = one.join().ok().context("an upload ends")??;
                ensure!((200..300).contains(&answer.status), "{}: {}", answer.status, answer.text());
            }
            Ok(began.elapsed())
        })
    };
    let receiver = Receiver::start(media.folder.path())?;
    let turns = Turns::take(1, async || all(&media.address), async || all(&receiver.address), said(report)).await?;
    let ended = Instant::now();
    while ended.elapsed() < GIVEN_BACK {
        tokio::time::sleep(PAUSE).await;
    }
    let [over, left] = [peak.get(), media.memory()?].map(|memory| memory.saturating_sub(idle));
    let what = format!(
        "{} uploads of {} MB at once until each is ready, against a receiver that writes them to the same disk",
        UPLOADS.0,
        UPLOADS.1 >> 20
    );
    let notes = vec![format!(
        "memory over {:.0} MB when idle: {:.0} MB at most, {:.0} MB {GIVEN_BACK:?} later",
        idle as f64 / 1e6,
        over as f64 / 1e6,
        left as f64 / 1e6
    )];
    let goals = vec![
        Goal::Times(1.0 / 0.8),
        Goal::Memory { most: 150_000_000, took: over },
        Goal::Memory { most: 15_000_000, took: left },
    ];
    Ok(Row { what, turns, goals, notes })
}

/// Writes the body of each request to a file and deletes it: the least that an upload takes.
struct Receiver {
    address: String,
}

impl Receiver {
    /// It receives as long as this program runs.
    fn start(folder: &Path) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("listen for uploads")?;
        let (address, folder) = (listener.local_addr()?.to_string(), folder.to_owned());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let folder = folder.clone();
                // A client that is cut off sees it.
                std::thread::spawn(move || receive(stream, &folder).ok());
            }
        });
        Ok(Self { address })
    }
}

fn receive(mut stream: TcpStream, folder: &Path) -> Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut line, mut length) = (String::new(), 0);
    while reader.read_line(&mut line)? > 2 {
        if let Some(given) = line.strip_prefix("Content-Length: ") {
            length = given.trim().parse()?;
        }
        line.clear();
    }
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    std::io::copy(&mut reader.take(length), &mut file)?;
    Ok(stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n")?)
}
