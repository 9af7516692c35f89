//! The size of an image, and which of its layers take the space.

use std::cmp::Reverse;

use crate::clients::docker::Layer;
use crate::secrets::shortened;

/// Characters of an instruction in [`table`].
const SHOWN: usize = 72;

/// Bytes of all layers: compressed, if that is known of each, and unpacked.
pub fn totals(layers: &[Layer]) -> (Option<u64>, u64) {
    (layers.iter().map(|layer| layer.compressed).sum(), layers.iter().map(|layer| layer.unpacked).sum())
}

/// One line for each layer, the largest first.
pub fn table(layers: &[Layer]) -> String {
    let mut layers: Vec<&Layer> = layers.iter().filter(|layer| layer.unpacked > 0).collect();
    layers.sort_by_key(|layer| Reverse((layer.compressed, layer.unpacked)));
    let mut text = format!("  {:>11}  {:>11}  instruction", "compressed", "unpacked");
    for layer in layers {
        let instruction = layer.instruction.split_whitespace().collect::<Vec<_>>().join(" ");
        // An imported layer has no instruction.
        let instruction = if instruction.is_empty() { "(base image)".to_owned() } else { instruction };
        let compressed = layer.compressed.map(human_bytes).unwrap_or_default();
        let unpacked = human_bytes(layer.unpacked);
        text.push_str(&format!("\n  {compressed:>11}  {unpacked:>11}  {}", shortened(&instruction, SHOWN)));
    }
    text
}

/// `512 B`, `1.5 KiB`, `250.0 MiB`.
pub fn human_bytes(bytes: u64) -> String {
    const KIB: f64 = 1024.0;
    match bytes as f64 {
        few if few < KIB => format!("{bytes} B"),
        some if some < KIB * KIB => format!("{:.1} KiB", some / KIB),
        many => format!("{:.1} MiB", many / KIB / KIB),
    }
}
