//! Decodes HEIC and AVIF by programs, `heif-convert` of libheif and `avifdec` of libavif: the project needs no codec of its own for
//! them.

mod boxes;
mod hevc;
#[cfg(test)]
mod tests;

use std::{
    io::{self, ErrorKind},
    process::{Command, Output, Stdio},
};

pub use self::boxes::exif_block;
use super::{Decoded, DeriveError, ImageLimits, check_size, jpeg, kind::ImageKind, png};
use crate::{process::fault::is_fault, validate::ValidationError};

/// The program; Debian has it in the package libheif-examples. Without it, images of these types are refused.
pub const PROGRAM: &str = "heif-convert";

/// A second program, for AVIF; Debian has it in the package libavif-bin. It can write a PNG without compressing it, which takes the other
/// one far longer than decoding the image. It turns and crops nothing.
const AVIF_PROGRAM: &str = "avifdec";

/// Lets a program make a PNG or JPEG of the main image, turned for display and with its profile. `run` runs it: as a child of
/// this process, and so within its limits.
pub fn decode(
    bytes: &[u8],
    kind: ImageKind,
    limits: ImageLimits,
    min_side: u32,
    run: impl Fn(&mut Command) -> io::Result<Output>,
) -> Result<Decoded, DeriveError> {
    let (width, height) = boxes::largest_size(bytes).ok_or(ValidationError::CorruptImage)?;
    check_size(width, height, (u64::from(width) * u64::from(height)).saturating_mul(4), limits)?;

    let folder = tempfile::tempdir()?;
    let (input, output) = (folder.path().join("image"), folder.path().join("image.png"));
    fs_err::write(&input, bytes)?;
    // Of a sequence it would decode the track, whose size was not checked.
    let is_sequence = bytes.get(8..12) == Some(&b"avis"[..]);
    if matches!(kind, ImageKind::Avif) && !is_sequence && !boxes::changes_image(bytes) {
        let mut command = Command::new(AVIF_PROGRAM);
        command
            .args(["--jobs", "1", "--depth", "8", "--png-compress", "0"])
            .arg(&input)
            .arg(&output)
            .stdin(Stdio::null());
        // Where it is missing or refuses the file, the other program decides what becomes of that.
        if run(&mut command).is_ok_and(|ran| ran.status.success()) {
            return Ok(png::decode_upright(&fs_err::read(&output)?, limits)?);
        }
    }
    // The program compresses a PNG for longer than it decodes the image. It writes a JPEG in a quarter of the time, and copies the pixels
    // into it as they are stored, without a look at how they are.
    if boxes::is_stored_like_jpeg(bytes) {
        let copied = output.with_extension("jpg");
        let mut command = Command::new(PROGRAM);
        command.args(["--quality", "100"]).arg(&input).arg(&copied).stdin(Stdio::null());
        // What cannot be written as a JPEG, such as one side of 65,501 pixels or EXIF data that is broken, may be as a PNG, which decides.
        if run(&mut command).is_ok_and(|ran| ran.status.success())
            && let Ok(copied) = fs_err::read(&copied)
            && let Ok(decoded) = jpeg::decode_upright(&copied, limits, min_side)
        {
            return Ok(decoded);
        }
    }
    let ran = run(Command::new(PROGRAM).arg(&input).arg(&output).stdin(Stdio::null()));
    let ran = match ran {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let found = format!("{}, without the program {PROGRAM},", kind.mime_type());
            return Err(ValidationError::UnsupportedType { found }.into());
        }
        ran => ran?,
    };
    match ran.status.code() {
        Some(0) => {}
        Some(_) => return Err(ValidationError::CorruptImage.into()),
        // The codecs that libheif calls crash on some files instead of refusing them.
        None if is_fault(ran.status) => return Err(ValidationError::CorruptImage.into()),
        // Killed: by a limit, or because the service stops.
        None => return Err(io::Error::other(format!("{PROGRAM} ended by {}", ran.status)).into()),
    }
    let converted = fs_err::read(&output)?;
    Ok(png::decode_upright(&converted, limits)?)
}
