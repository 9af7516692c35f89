//! What an image's archive weighs: of `docker save`, and of an OCI exporter. Read as it comes, never held.

use std::collections::HashMap;
use std::io::{self, Read, Write};

use anyhow::{Context as _, Result};
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use serde::Deserialize;
use tokio::io::AsyncRead;
use tokio_util::io::SyncIoBridge;

/// Descriptions of images are far smaller; anything longer is a layer.
const LONGEST_DESCRIPTION: u64 = 4 << 20;

/// A layer of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// The instruction of the Dockerfile that made it, as the builder writes it down.
    pub instruction: String,
    /// Bytes of its files' archive.
    pub unpacked: u64,
    /// Bytes of that archive in a registry, if it was counted.
    pub compressed: Option<u64>,
}

/// An image as its archive says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measured {
    /// The base's layers first.
    pub layers: Vec<Layer>,
    /// Its labels.
    pub labels: std::collections::BTreeMap<String, String>,
}

/// Whether a layer that comes uncompressed is compressed to see what becomes of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Compress {
    Yes,
    No,
}

/// Measures an archive to its end.
pub async fn measure(tar: impl AsyncRead + Send + Unpin + 'static, compress: Compress) -> Result<Measured> {
    let tar = SyncIoBridge::new(tar);
    let measured = tokio::task::spawn_blocking(move || read(tar, compress)).await;
    measured.context("the measuring thread ended early")?
}

#[derive(Clone, Copy)]
struct Weight {
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
    let mut weights = HashMap::new();
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
            [b'{' | b'[', _] if size < LONGEST_DESCRIPTION => {
                let mut text = Vec::new();
                content.read_to_end(&mut text)?;
                texts.insert(path, text);
            }
            [0x1f, 0x8b] => {
                let unpacked = io::copy(&mut MultiGzDecoder::new(&mut content), &mut io::sink())?;
                weights.insert(path, Weight { unpacked, compressed: Some(size) });
            }
            _ => {
                let compressed = match compress {
                    Compress::Yes => Some(compressed(&mut content)?),
                    Compress::No => None,
                };
                weights.insert(path, Weight { unpacked: size, compressed });
            }
        }
        // Without this, what was not read would be skipped, and with a broken connection silently so.
        io::copy(&mut entry, &mut io::sink())?;
    }
    let text = |path: &str| texts.get(path).with_context(|| format!("the image's archive has no {path}"));
    let (config, layers) = if let Some(saved) = texts.get("manifest.json") {
        let saved: Vec<Saved> = serde_json::from_slice(saved).context("manifest.json of the image's archive")?;
        let saved = saved.into_iter().next().context("manifest.json of the image's archive is empty")?;
        (saved.config, saved.layers)
    } else {
        let index: Index = serde_json::from_slice(text("index.json")?).context("index.json of the image's archive")?;
        let first = index.manifests.first().context("index.json of the image's archive is empty")?;
        let manifest: Manifest = serde_json::from_slice(text(&blob(&first.digest))?).context("the image's manifest")?;
        (blob(&manifest.config.digest), manifest.layers.iter().map(|layer| blob(&layer.digest)).collect())
    };
    let config: Config = serde_json::from_slice(text(&config)?).context("the image's configuration")?;
    let made = config.history.into_iter().filter(|made| !made.empty_layer).map(|made| made.created_by);
    let layers = layers.into_iter().zip(made.chain(std::iter::repeat(String::new())));
    let layers = layers.map(|(path, instruction)| {
        let weight = weights.get(links.get(&path).unwrap_or(&path));
        let weight = weight.with_context(|| format!("the image's archive has no layer {path}"))?;
        Ok(Layer { instruction, unpacked: weight.unpacked, compressed: weight.compressed })
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

/// Bytes that this becomes with the level that a push uses.
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
