//! Measures the layers in an image's archive, from `docker save` or BuildKit's OCI exporter, as a stream.

use std::collections::HashMap;
use std::io::{self, Read, Write};

use anyhow::{Context as _, Result};
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use serde::Deserialize;
use tokio::io::AsyncRead;
use tokio_util::io::SyncIoBridge;

/// The most bytes of a JSON file in the archive; a larger file is a layer.
const MAX_JSON: u64 = 4 << 20;

/// A layer of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// The instruction of the Dockerfile, as the builder recorded it.
    pub instruction: String,
    /// Bytes of its tar archive.
    pub unpacked: u64,
    /// Bytes of its compressed archive; none where that was not measured.
    pub compressed: Option<u64>,
}

/// The layers and labels of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measured {
    /// The base image's layers first.
    pub layers: Vec<Layer>,
    pub labels: std::collections::BTreeMap<String, String>,
}

/// Whether uncompressed layers are compressed to measure their size in a registry.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Compress {
    Yes,
    No,
}

/// Reads an archive to its end.
pub async fn measure(tar: impl AsyncRead + Send + Unpin + 'static, compress: Compress) -> Result<Measured> {
    let tar = SyncIoBridge::new(tar);
    let measured = tokio::task::spawn_blocking(move || read(tar, compress)).await;
    measured.context("the thread that measures the image panicked")?
}

#[derive(Clone, Copy)]
struct Size {
    unpacked: u64,
    compressed: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    layers: Vec<String>,
}

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Manifest {
    config: Descriptor,
    layers: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: String,
    platform: Option<Platform>,
}

#[derive(Deserialize)]
struct Platform {
    os: String,
}

impl Index {
    /// Its first image. An attestation has no operating system.
    fn image(&self) -> Option<&Descriptor> {
        self.manifests.iter().find(|image| image.platform.as_ref().is_none_or(|platform| platform.os != "unknown"))
    }
}

#[derive(Default, Deserialize)]
struct Config {
    #[serde(default)]
    history: Vec<History>,
    #[serde(default)]
    config: Inner,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Inner {
    labels: Option<std::collections::BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct History {
    #[serde(default)]
    created_by: String,
    #[serde(default)]
    empty_layer: bool,
}

fn read(tar: impl Read, compress: Compress) -> Result<Measured> {
    let mut sizes = HashMap::new();
    let mut texts = HashMap::new();
    let mut links = HashMap::new();
    let mut archive = tar::Archive::new(tar);
    for entry in archive.entries().context("read the image's archive")? {
        let mut entry = entry.context("read the image's archive")?;
        let path = entry.path()?.to_string_lossy().trim_start_matches("./").to_owned();
        if let Some(target) = entry.link_name()? {
            // `../<layer>/layer.tar`: the same layer twice.
            links.insert(path, target.to_string_lossy().trim_start_matches("../").to_owned());
            continue;
        }
        let size = entry.size();
        let mut start = [0; 2];
        let read = fill(&mut entry, &mut start)?;
        let mut content = start[..read].chain(&mut entry);
        match start {
            [b'{' | b'[', _] if size < MAX_JSON => {
                let mut text = Vec::new();
                content.read_to_end(&mut text)?;
                texts.insert(path, text);
            }
            [0x1f, 0x8b] => {
                let unpacked = io::copy(&mut MultiGzDecoder::new(&mut content), &mut io::sink())?;
                sizes.insert(path, Size { unpacked, compressed: Some(size) });
            }
            _ => {
                let compressed = match compress {
                    Compress::Yes => Some(compressed(&mut content)?),
                    Compress::No => None,
                };
                sizes.insert(path, Size { unpacked: size, compressed });
            }
        }
        // Reads the rest, so that a broken connection is an error: the tar crate would skip the rest silently.
        io::copy(&mut entry, &mut io::sink())?;
    }
    let text = |path: &str| texts.get(path).with_context(|| format!("the image's archive has no {path}"));
    let (config, layers) = if let Some(saved) = texts.get("manifest.json") {
        let saved: Vec<Saved> = serde_json::from_slice(saved).context("parse manifest.json of the image's archive")?;
        let saved = saved.into_iter().next().context("manifest.json of the image's archive is empty")?;
        (saved.config, saved.layers)
    } else {
        let index: Index =
            serde_json::from_slice(text("index.json")?).context("parse index.json of the image's archive")?;
        let empty = "index.json of the image's archive is empty";
        let mut manifest = text(&blob(&index.image().context(empty)?.digest))?;
        // Of an image with attestations it names an index of its own.
        if let Ok(index) = serde_json::from_slice::<Index>(manifest) {
            manifest = text(&blob(&index.image().context("the index in the image's archive has no image")?.digest))?;
        }
        let manifest: Manifest = serde_json::from_slice(manifest).context("parse the image's manifest")?;
        (blob(&manifest.config.digest), manifest.layers.iter().map(|layer| blob(&layer.digest)).collect())
    };
    let config: Config = serde_json::from_slice(text(&config)?).context("parse the image's configuration")?;
    let instructions = config.history.into_iter().filter(|entry| !entry.empty_layer).map(|entry| entry.created_by);
    let layers = layers.into_iter().zip(instructions.chain(std::iter::repeat(String::new())));
    let layers = layers.map(|(path, instruction)| {
        let size = sizes.get(links.get(&path).unwrap_or(&path));
        let size = size.with_context(|| format!("the image's archive has no layer {path}"))?;
        Ok(Layer { instruction, unpacked: size.unpacked, compressed: size.compressed })
    });
    Ok(Measured { layers: layers.collect::<Result<_>>()?, labels: config.config.labels.unwrap_or_default() })
}

fn blob(digest: &str) -> String {
    format!("blobs/{}", digest.replace(':', "/"))
}

fn fill(from: &mut impl Read, into: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < into.len() {
        match from.read(&mut into[filled..])? {
            0 => break,
            more => filled += more,
        }
    }
    Ok(filled)
}

/// The size after compression at the level of a push.
fn compressed(content: &mut impl Read) -> io::Result<u64> {
    struct Count(u64);
    impl Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len() as u64;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut encoder = GzEncoder::new(Count(0), Compression::default());
    io::copy(content, &mut encoder)?;
    Ok(encoder.finish()?.0)
}
