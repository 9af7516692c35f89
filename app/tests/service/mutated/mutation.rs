//! Changes a file as damage does, and as an attacker does: bytes anywhere, and whole parts by the structure of its format.

use std::ops::Range;

use fastrand::Rng;

/// Half of all changed places are in this many bytes at the beginning, where headers are.
const HEAD: usize = 512;

/// A file that repeated parts have made larger than this is changed no more, in bytes.
const MAX_SIZE: usize = 1 << 20;

/// Boxes of ISO files that consist of boxes.
const CONTAINERS: [&[u8; 4]; 8] = [b"moov", b"trak", b"mdia", b"minf", b"stbl", b"udta", b"iprp", b"ipco"];

/// The file with a change, or a few. `other` is a file to take parts of. In most of them the checksums and the total length
/// are right again: else a decoder looks no further.
pub(crate) fn mutate(random: &mut Rng, file: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = file.to_vec();
    let changes = [1, 1, 1, 2, 4][random.usize(..5)];
    for _ in 0..changes {
        if (16..MAX_SIZE).contains(&bytes.len()) {
            change(random, &mut bytes, other);
        }
    }
    if random.u8(..4) > 0 {
        correct_sums(&mut bytes);
    }
    bytes
}

fn change(random: &mut Rng, bytes: &mut Vec<u8>, other: &[u8]) {
    match random.u8(..11) {
        0 => bytes.truncate(random.usize(1..bytes.len())),
        1 => {
            for _ in 0..random.usize(1..=8) {
                let at = place(random, bytes.len());
                bytes[at] ^= 1 << random.u8(..8);
            }
        }
        2 => {
            let range = range(random, bytes.len(), 64);
            random.fill(&mut bytes[range]);
        }
        3 => {
            let range = range(random, bytes.len(), 4096);
            bytes.drain(range);
        }
        4 => {
            let range = range(random, bytes.len(), 256);
            let repeated = bytes[range.clone()].repeat(random.usize(1..=200));
            bytes.splice(range, repeated);
        }
        5 => {
            bytes.truncate(place(random, bytes.len()));
            bytes.extend(&other[random.usize(..other.len())..]);
        }
        6 | 7 => {
            let at = place(random, bytes.len());
            overwrite_number(random, bytes, at);
        }
        _ => change_part(random, bytes),
    }
}

fn place(random: &mut Rng, length: usize) -> usize {
    let end = if random.bool() { length.min(HEAD) } else { length };
    random.usize(..end)
}

fn range(random: &mut Rng, length: usize, longest: usize) -> Range<usize> {
    let start = place(random, length);
    start..length.min(start + random.usize(1..=longest))
}

/// Lengths, counts, offsets and sizes are numbers of 1, 2, 4 or 8 bytes, which readers multiply and add.
fn overwrite_number(random: &mut Rng, bytes: &mut [u8], at: usize) {
    let width = [1, 2, 4, 8][random.usize(..4)].min(bytes.len() - at);
    let numbers =
        [0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, u64::MAX, at as u64];
    let number = random.choice(numbers).unwrap_or(0);
    if random.bool() {
        bytes[at..at + width].copy_from_slice(&number.to_be_bytes()[8 - width..]);
    } else {
        bytes[at..at + width].copy_from_slice(&number.to_le_bytes()[..width]);
    }
}

/// Drops, repeats, moves, cuts or changes a part. A file without known parts loses a byte.
fn change_part(random: &mut Rng, bytes: &mut Vec<u8>) {
    let parts = parts(bytes);
    let Some(part) = random.choice(&parts).cloned().filter(|part| !part.is_empty()) else {
        bytes.remove(random.usize(..bytes.len()));
        return;
    };
    match random.u8(..6) {
        0 => drop(bytes.drain(part)),
        1 => {
            let repeated = bytes[part.clone()].repeat(random.usize(2..=50));
            bytes.splice(part, repeated);
        }
        2 => {
            let moved: Vec<u8> = bytes[part.clone()].to_vec();
            let target = random.choice(&parts).map_or(0, |other| other.start);
            bytes.splice(target..target, moved);
        }
        // Its length stays as it was declared.
        3 => drop(bytes.drain(random.usize(part.clone())..part.end)),
        _ => {
            let at = random.usize(part.start..part.end.min(part.start + 24));
            overwrite_number(random, bytes, at);
        }
    }
}

/// Chunks, segments, boxes, entries of tables: as far as the file has them in order.
fn parts(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut parts = match bytes {
        [0x89, b'P', b'N', b'G', ..] => walk(bytes, 8, |rest| Some(12 + number(rest.get(..4)?))),
        [b'R', b'I', b'F', b'F', ..] => walk(bytes, 12, |rest| {
            let length = u32::from_le_bytes(*rest.get(4..)?.first_chunk()?) as usize;
            Some(8 + length.next_multiple_of(2))
        }),
        [0xff, 0xd8, ..] => walk(bytes, 2, |rest| match rest {
            // The pixels, up to the end.
            [0xff, 0xda, ..] => Some(rest.len()),
            [0xff, _, high, low, ..] => Some(2 + number(&[*high, *low])),
            _ => None,
        }),
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => boxes(bytes, 0..bytes.len()),
        _ => Vec::new(),
    };
    for signature in [b"MM\0\x2a", b"II\x2a\0"] {
        if let Some(start) = bytes.windows(4).position(|found| found == signature) {
            // The entries of its first table are most often behind the header.
            let entries = (0..20).map(|index| start + 10 + 12 * index).filter(|at| at + 12 <= bytes.len());
            parts.extend(entries.map(|at| at..at + 12));
        }
    }
    parts
}

fn boxes(bytes: &[u8], within: Range<usize>) -> Vec<Range<usize>> {
    let found = walk(&bytes[..within.end], within.start, |rest| Some(number(rest.get(..4)?)));
    let below = found.iter().flat_map(|range| match bytes[range.start + 4..].first_chunk() {
        Some(name) if CONTAINERS.contains(&name) => boxes(bytes, range.start + 8..range.end),
        // Behind its version and flags.
        Some(b"meta") if range.len() > 12 => boxes(bytes, range.start + 12..range.end),
        _ => Vec::new(),
    });
    below.collect::<Vec<_>>().into_iter().chain(found.iter().cloned()).collect()
}

/// Parts one after another, each of at least 8 bytes except the last, until one is not whole.
fn walk(bytes: &[u8], mut at: usize, length: impl Fn(&[u8]) -> Option<usize>) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    while let Some(length) = bytes.get(at..).and_then(&length).filter(|length| *length >= 4) {
        let Some(end) = at.checked_add(length).filter(|end| *end <= bytes.len()) else { break };
        parts.push(at..end);
        at = end;
    }
    parts
}

fn number(digits: &[u8]) -> usize {
    digits.iter().fold(0, |number, digit| number << 8 | usize::from(*digit))
}

/// Of the chunks of a PNG, and the length of a RIFF file.
fn correct_sums(bytes: &mut [u8]) {
    if bytes.starts_with(b"\x89PNG") {
        for chunk in parts(bytes).into_iter().filter(|part| part.len() >= 12) {
            let sum = crc32fast::hash(&bytes[chunk.start + 4..chunk.end - 4]).to_be_bytes();
            bytes[chunk.end - 4..chunk.end].copy_from_slice(&sum);
        }
    } else if bytes.starts_with(b"RIFF") && bytes.len() >= 8 {
        let length = (bytes.len() - 8) as u32;
        bytes[4..8].copy_from_slice(&length.to_le_bytes());
    }
}
