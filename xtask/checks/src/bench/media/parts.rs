//! A large file in parts past the service, against Amazon's own client for Python.

use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use devservers::moto;
use devservers::versitygw::{ACCESS_KEY, REGION, SECRET_KEY};
use serde_json::{Value, json};

use super::asked::Asked;
use super::service::Media;
use super::validated::put_at;
use crate::bench::table::{Goal, Row, said};
use crate::bench::turns::Turns;
use xtask::report::Report;

/// Of the file, in bytes.
const LENGTH: u64 = 1 << 30;

/// Parts that are sent side by side, as boto3 does.
const AT_ONCE: usize = 10;

/// Numbers of parts in one request, which is the most.
const NUMBERS: u64 = 100;

/// Uploads the file once for each line, and says how many seconds that took. Its parts have the service's size, and as those of presigned
/// URLs no digest, which it adds where a store speaks plain HTTP.
const BOTO3: &str = "
import os, sys, time
import boto3, botocore.auth
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

file, endpoint, region, bucket = sys.argv[1:]
botocore.auth.S3SigV4Auth._should_sha256_sign_payload = lambda *_: False
config = Config(request_checksum_calculation='when_required', s3={'addressing_style': 'path'})
client = boto3.client('s3', endpoint_url=endpoint, region_name=region, config=config)
transfer = TransferConfig(multipart_chunksize=8 << 20, max_concurrency=10)
for line in sys.stdin:
    began = time.monotonic()
    client.upload_file(file, bucket, line.strip(), Config=transfer)
    print(time.monotonic() - began, flush=True)
";

/// Sends 1 GB from its creation until the store has put the parts together. `store` is the address of the store and `bucket` the folder
/// of the media's bucket there.
pub async fn in_parts(media: &Media, store: &str, bucket: &Path, report: &Report) -> Result<Row> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("large.mp4");
    let file = fs_err::File::create(&path)?;
    file.set_len(LENGTH)?;
    let file = fs_err::File::open(&path)?;
    let name = bucket.file_name().context("a bucket has a name")?;
    let mut boto3 = moto::python(BOTO3)?;
    boto3.arg(&path).args([store, REGION]).arg(name);
    boto3.env("AWS_ACCESS_KEY_ID", ACCESS_KEY).env("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
    let mut boto3 = Asked::start(boto3)?;
    let ours = async || {
        let began = Instant::now();
        let id = send(media, store, &file)?;
        let took = began.elapsed();
        fs_err::remove_file(bucket.join("uploads").join(id))?;
        Ok(took)
    };
    let theirs = async || {
        let took = boto3.ask("large")?.parse().context("read how long boto3 took")?;
        fs_err::remove_file(bucket.join("large"))?;
        Ok(Duration::from_secs_f64(took))
    };
    let turns = Turns::take(2, ours, theirs, said(report)).await?;
    let rate = LENGTH as f64 / 1e6 / turns.measured.median().as_secs_f64();
    let what = format!("{} GB sent in parts at presigned URLs, {AT_ONCE} at a time, against boto3", LENGTH >> 30);
    Ok(Row { what, turns, goals: vec![Goal::Times(1.0 / 0.9)], notes: vec![format!("{rate:.0} MB a second")] })
}

/// Sends the file as a client does: its id.
fn send(media: &Media, store: &str, file: &fs_err::File) -> Result<String> {
    let body = json!({ "content_type": "video/mp4", "file_name": "large.mp4", "content_length": LENGTH });
    let begun = media.post("/api/image/v1/upload/multipart", &body)?;
    let number = |name: &str| begun[name].as_u64().with_context(|| format!("an upload in parts has a {name}"));
    let (id, size, count) = (begun["image_id"].as_str().context("an id")?, number("part_size")?, number("part_count")?);
    for first in (1..=count).step_by(NUMBERS as usize) {
        let numbers: Vec<u64> = (first..=count.min(first + NUMBERS - 1)).collect();
        let signed = media.post(&format!("/api/image/v1/upload/{id}/parts"), &json!({ "part_numbers": numbers }))?;
        let parts = Mutex::new(signed["items"].as_array().cloned().context("parts are signed")?);
        std::thread::scope(|scope| {
            let senders: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(|| send_parts(store, file, size, &parts))).collect();
            senders.into_iter().try_for_each(|sender| sender.join().ok().context("a sender ends")?)
        })?;
    }
    media.post(&format!("/api/image/v1/upload/{id}/complete"), &json!({}))?;
    Ok(id.to_owned())
}

/// Takes parts until none is left.
fn send_parts(store: &str, file: &fs_err::File, size: u64, parts: &Mutex<Vec<Value>>) -> Result<()> {
    let mut buffer = vec![0; usize::try_from(size)?];
    while let Some(part) = parts.lock().ok().and_then(|mut parts| parts.pop()) {
        let offset = (part["part_number"].as_u64().context("a part has a number")? - 1) * size;
        let bytes = &mut buffer[..usize::try_from(size.min(LENGTH - offset))?];
        file.file().read_exact_at(bytes, offset)?;
        put_at(store, &part["upload_url"], "application/octet-stream", bytes)?;
    }
    Ok(())
}
