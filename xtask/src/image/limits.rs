//! How large an image a target accepts.

use anyhow::{Result, anyhow};

use super::size::{human_bytes, table, totals};
use crate::clients::docker::Layer;
use crate::config::Target;

/// Limits of a target, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// All layers, compressed as in a registry.
    pub compressed: u64,
    /// All layers, unpacked as on a machine's disk.
    pub unpacked: u64,
}

const MIB: u64 = 1 << 20;

impl Limits {
    /// The limits of a target; none where no limit is known.
    pub fn of(target: &Target) -> Option<Self> {
        match target {
            Target::Local(_) | Target::Compose(_) | Target::Easypanel(_) | Target::Media(_) => None,
            // Scaleway's documentation, "Serverless Containers limitations" (2025-03).
            Target::Scaleway(_) => Some(Self { compressed: 250 * MIB, unpacked: 1024 * MIB }),
        }
    }

    /// Whether the compressed sizes have to be measured: compression makes no layer larger, so a small image fits anyway.
    pub fn need_compressed(&self, layers: &[Layer]) -> bool {
        let (compressed, unpacked) = totals(layers);
        compressed.is_none() && unpacked > self.compressed
    }

    /// Fails, with a table of the layers, when the image is too large.
    pub fn check(&self, layers: &[Layer], environment: &str) -> Result<()> {
        let (compressed, unpacked) = totals(layers);
        let over = |what: &str, is: u64, limit: u64| {
            (is > limit).then(|| format!("{} {what} (limit {})", human_bytes(is), human_bytes(limit)))
        };
        let compressed = compressed.and_then(|size| over("compressed", size, self.compressed));
        let over: Vec<String> = compressed.into_iter().chain(over("unpacked", unpacked, self.unpacked)).collect();
        if over.is_empty() {
            return Ok(());
        }
        Err(anyhow!("the image is too large for {environment}: {}\n{}", over.join(" and "), table(layers)))
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
    fn an_image_that_is_too_large_is_refused_with_its_layers() {
        let target = Scaleway { registry: "rg.fr-par.scw.cloud/a".to_owned(), domain: None, stack: None };
        let limits = Limits::of(&Target::Scaleway(target)).unwrap();
        let base = layer("ADD rootfs /", 50, 200);
        limits.check(&[base.clone(), layer("COPY a /", 200, 824)], "production").unwrap();
        let long = layer(&format!("RUN   make\t{}", "very ".repeat(30)), 201, 1000);
        let empty = layer("ENV A=b", 0, 0);
        let error = limits.check(&[base, empty, long], "production").unwrap_err();
        assert_snapshot!(error, @r"
        the image is too large for production: 251.0 MiB compressed (limit 250.0 MiB) and 1200.0 MiB unpacked (limit 1024.0 MiB)
           compressed     unpacked  instruction
            201.0 MiB   1000.0 MiB  RUN make very very very very very very very very very very very very ver …
             50.0 MiB    200.0 MiB  ADD rootfs /
        ");
    }
}
