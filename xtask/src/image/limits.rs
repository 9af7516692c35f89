//! How large an image may be where it is to run, and what takes the space.

use anyhow::{Result, anyhow};

use crate::clients::docker::Layer;
use crate::config::Target;

/// Bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Of all layers as a registry keeps them.
    pub compressed: u64,
    /// Of all layers as a machine keeps them.
    pub unpacked: u64,
}

const MIB: u64 = 1 << 20;

impl Limits {
    /// What the target allows; none where nothing is known of a limit.
    pub fn of(target: &Target) -> Option<Self> {
        match target {
            Target::Local(_) => None,
            // Scaleway's documentation, "Serverless Containers limitations" (2025-03).
            Target::Scaleway(_) => Some(Self { compressed: 250 * MIB, unpacked: 1024 * MIB }),
        }
    }

    /// Whether these layers may be over the limit once compressed; compressing makes no layer larger.
    pub fn need_compressed(&self, layers: &[Layer]) -> bool {
        let (compressed, unpacked) = totals(layers);
        compressed.is_none() && unpacked > self.compressed
    }

    /// Fails, with a table of what takes the space, when an image of these layers is too large.
    pub fn check(&self, layers: &[Layer], environment: &str) -> Result<()> {
        let (compressed, unpacked) = totals(layers);
        let over = |what: &str, is: u64, limit: u64| {
            (is > limit).then(|| format!("{} {what}, where {} is the limit", human_bytes(is), human_bytes(limit)))
        };
        let compressed = compressed.and_then(|size| over("compressed", size, self.compressed));
        let over: Vec<String> = compressed.into_iter().chain(over("unpacked", unpacked, self.unpacked)).collect();
        if over.is_empty() {
            return Ok(());
        }
        Err(anyhow!("the image is too large for {environment}: it has {}\n{}", over.join(" and "), table(layers)))
    }
}

/// Bytes of all layers: compressed, if that is known of each, and unpacked.
pub fn totals(layers: &[Layer]) -> (Option<u64>, u64) {
    (layers.iter().map(|layer| layer.compressed).sum(), layers.iter().map(|layer| layer.unpacked).sum())
}

/// What takes the space, the most first.
pub fn table(layers: &[Layer]) -> String {
    const INSTRUCTION: usize = 72;
    let mut layers: Vec<&Layer> = layers.iter().filter(|layer| layer.unpacked > 0).collect();
    layers.sort_by_key(|layer| std::cmp::Reverse((layer.compressed, layer.unpacked)));
    let mut text = format!("  {:>11}  {:>11}  made by", "compressed", "unpacked");
    for layer in layers {
        let instruction = layer.instruction.split_whitespace().collect::<Vec<_>>().join(" ");
        // What was imported, not built, has none.
        let instruction = if instruction.is_empty() { "the base image".to_owned() } else { instruction };
        let shown: String = instruction.chars().take(INSTRUCTION).collect();
        let cut = if shown.len() < instruction.len() { " …" } else { "" };
        let compressed = layer.compressed.map(human_bytes).unwrap_or_default();
        text.push_str(&format!("\n  {compressed:>11}  {:>11}  {shown}{cut}", human_bytes(layer.unpacked)));
    }
    text
}

/// Bytes for people.
pub fn human_bytes(bytes: u64) -> String {
    const KIB: f64 = 1024.0;
    match bytes as f64 {
        few if few < KIB => format!("{bytes} B"),
        some if bytes < MIB => format!("{:.1} KiB", some / KIB),
        many => format!("{:.1} MiB", many / KIB / KIB),
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::config::Scaleway;

    fn layer(instruction: &str, compressed: u64, unpacked: u64) -> Layer {
        Layer { instruction: instruction.to_owned(), compressed: Some(compressed * MIB), unpacked: unpacked * MIB }
    }

    #[test]
    fn what_is_too_large_says_what_takes_the_space() {
        let target = Scaleway { registry: "rg.fr-par.scw.cloud/a".to_owned(), domain: None, stack: None };
        let limits = Limits::of(&Target::Scaleway(target)).unwrap();
        let base = layer("ADD rootfs /", 50, 200);
        limits.check(&[base.clone(), layer("COPY a /", 200, 824)], "production").unwrap();
        let long = layer(&format!("RUN   make\t{}", "very ".repeat(30)), 201, 1000);
        let empty = layer("ENV A=b", 0, 0);
        let error = limits.check(&[base, empty, long], "production").unwrap_err();
        assert_snapshot!(error, @r"
        the image is too large for production: it has 251.0 MiB compressed, where 250.0 MiB is the limit and 1200.0 MiB unpacked, where 1024.0 MiB is the limit
           compressed     unpacked  made by
            201.0 MiB   1000.0 MiB  RUN make very very very very very very very very very very very very ver …
             50.0 MiB    200.0 MiB  ADD rootfs /
        ");
    }
}
