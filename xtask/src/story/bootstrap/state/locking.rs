//! Whether the state can be locked, which is tried: OpenTofu's lock is an object that is written if it is not there yet
//! (`use_lockfile`), and a service that does not read the condition lets everybody have it.

use anyhow::Context as _;
use jiff::Timestamp;

use super::{Mend, StateBucket};
use crate::remote::s3::error::{Kind, S3Error};
use crate::story::Failure;
use crate::story::bootstrap::item::Item;

/// What is ours in the bucket begins so.
pub const OURS: &str = ".xtask/";

/// What an object that is tried with begins with; a name of its own for each try follows, so that one which a try has left
/// behind that was killed is in nobody's way.
const PROBE: &str = ".xtask/probe-";

/// Milliseconds after which a try is certainly over, and what it has left behind may go.
const OVER: i64 = 60 * 60 * 1000;

const SAYS: &str = "xtask tries whether a state can be locked here; this may be deleted\n";

impl StateBucket<'_> {
    /// Tries it: three requests, one after another. `keys` are the bucket's objects, among which may be earlier tries.
    pub(super) async fn locking(&self, keys: &[String]) -> Result<Item<Mend>, Failure> {
        let should = "the second of two conditional writes refused";
        let refused = |is: String| {
            let next = "two applies at once would destroy the state: take a service that reads `If-None-Match`";
            Item::refused("locking", is, should, next)
        };
        let mut chance = [0u8; 8];
        getrandom::fill(&mut chance).context("make up a name to try with")?;
        let key = format!("{PROBE}{}-{}", Timestamp::now().as_millisecond(), hex::encode(chance));
        let first = match self.bucket.put_new(&key, SAYS).await {
            Ok(version) => version,
            Err(error) if error.kind == Kind::Unsupported => {
                return Ok(refused(format!("not possible, as conditional writes are not known here ({})", error.said)));
            }
            Err(error) => return Err(self.explain(error)),
        };
        let second = self.bucket.put_new(&key, SAYS).await;
        let mut gone = vec![(key.as_str(), first)];
        if let Ok(version) = &second {
            gone.push((&key, version.clone()));
        }
        gone.dedup();
        gone.extend(keys.iter().filter(|key| is_left(key)).map(|key| (key.as_str(), None)));
        let deleted = gone.iter().map(|(key, version)| self.bucket.delete(key, version.as_deref()));
        let deleted = futures_util::future::join_all(deleted).await;
        let deleted: Result<Vec<()>, S3Error> = deleted.into_iter().collect();
        deleted.map_err(|error| self.explain(error))?;
        match second {
            Err(error) if error.kind == Kind::Condition => Ok(Item::good("locking", should)),
            Ok(_) => Ok(refused("not possible, as the second of two conditional writes was not refused".to_owned())),
            Err(error) => Err(self.explain(error)),
        }
    }
}

/// Whether an object is of a try that is over: its name says when that began.
fn is_left(key: &str) -> bool {
    let began = key.strip_prefix(PROBE).and_then(|name| name.split_once('-')?.0.parse::<i64>().ok());
    began.is_some_and(|began| began + OVER < Timestamp::now().as_millisecond())
}
