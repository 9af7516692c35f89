//! The size of a YAML text: how long it would take to read. Checked before it is read, because the parser has no limits.

use super::file::{TextFile, whole};
use super::problem::Problem;

/// The hint of a text that is not YAML.
pub(super) const CHECK: &str = "check this line and the one above: indentation, the space after `:`, quotes, brackets";

/// The largest file, in bytes.
const LARGEST: usize = 256 << 10;

/// Collections in each other; serde_yaml's own limit, which it applies after the whole text was scanned.
const DEEPEST: usize = 128;

/// The most `[` and `{` times bytes. Each bracket that is open, or seems to be, is looked at again for each token that follows: a
/// file of brackets takes the square of its length.
const WORK: usize = 64 << 20;

/// Refuses a text that would take long to read. What it counts may be text in quotes, of which no file has so much.
pub(super) fn check_size(file: &TextFile) -> Result<(), Problem> {
    let length = file.text.len();
    if length > LARGEST {
        let message = format!("larger than {} KiB", LARGEST >> 10);
        return Err(whole(&file.name, message, "check whether another file was saved under this name"));
    }
    let (mut depth, mut brackets) = (0_usize, 0);
    for (at, byte) in file.text.bytes().enumerate() {
        match byte {
            b'[' | b'{' => (depth, brackets) = (depth + 1, brackets + 1),
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => continue,
        }
        if depth > DEEPEST {
            return Err(file.problem(file.position(at), "not YAML: nested too deeply", CHECK));
        }
        if brackets * length > WORK {
            let hint = "write its lists and mappings as indented lines";
            return Err(file.problem(file.position(at), "too many brackets for a file of this size", hint));
        }
    }
    Ok(())
}
