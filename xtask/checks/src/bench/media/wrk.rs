//! Many requests at a time, by wrk.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use devservers::nginx;

/// How many requests are in flight.
pub const CONNECTIONS: &str = "50";

/// Prints, when all is over: requests, microseconds, answers that were none of 2xx or 3xx, and the 95th percentile.
const REPORT: &str = "done = function(summary, latency)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  print(string.format('REPORT %d %d %d %d', summary.requests, summary.duration, failed, latency:percentile(95)))
end";

/// What wrk saw.
pub struct Load {
    /// The time of the run, for each request.
    pub each: Duration,
    /// 95 of 100 requests were answered within.
    pub p95: Duration,
}

/// Asks one URL without pause for some seconds.
pub fn load(url: &str, token: Option<&str>) -> Result<Load> {
    load_by(&token.map(|token| format!("wrk.headers['Authorization'] = 'Bearer {token}'")).unwrap_or_default(), url)
}

/// The same by a script in Lua, which says what a request is.
pub fn load_by(request: &str, url: &str) -> Result<Load> {
    let folder = tempfile::tempdir()?;
    let script = folder.path().join("load.lua");
    fs_err::write(&script, format!("{request}\n{REPORT}"))?;
    let mut command = Command::new(nginx::wrk()?);
    command.args(["--threads", "1", "--connections", CONNECTIONS, "--duration", "3s", "--script"]).arg(script);
    let output = command.arg(url).output().context("run wrk")?;
    let said = String::from_utf8_lossy(&output.stdout);
    let report = said.lines().find_map(|line| line.strip_prefix("REPORT "));
    let numbers: Vec<u64> = report.unwrap_or_default().split(' ').filter_map(|number| number.parse().ok()).collect();
    let [requests @ 1..=u64::MAX, lasted, failed, p95] = numbers[..] else {
        anyhow::bail!("wrk has no result: {said}{}", String::from_utf8_lossy(&output.stderr))
    };
    ensure!(failed == 0, "{failed} of {requests} requests failed: {url}");
    Ok(Load { each: Duration::from_micros(lasted).div_f64(requests as f64), p95: Duration::from_micros(p95) })
}
