//! Real files with the verdict and the size that are right, from the folder that TEST_MEDIA_CASES names: `manifest.tsv` has
//! a line for each, with file, source, licence, verdict, size and notes.

use std::path::Path;

use image::Rgb;

use super::{DeriveError, DerivedImage, ImageLimits, derive, tests::pixels};
use crate::validate::ValidationError;

const LIMITS: ImageLimits = ImageLimits { max_pixels: 40_000_000 };

/// What a colour-managed viewer shows of files whose profile is far from sRGB.
const COLORS: [(&str, [u8; 3]); 5] = [
    ("own-icc-adobergb-green.jpg", [0, 255, 1]),
    ("own-icc-adobergb-green.webp", [0, 255, 1]),
    ("own-icc-generic-rgb-18.jpg", [119, 119, 119]),
    ("own-icc-p3-red.jpg", [255, 0, 0]),
    ("own-icc-p3-red.png", [255, 0, 0]),
];

#[test]
fn real_files_get_the_verdict_and_the_size_of_the_manifest() {
    let Some(folder) = std::env::var_os("TEST_MEDIA_CASES").filter(|folder| Path::new(folder).is_dir()) else {
        eprintln!("skipped: TEST_MEDIA_CASES is not a folder");
        return;
    };
    let folder = Path::new(&folder);
    let manifest = fs_err::read_to_string(folder.join("manifest.tsv")).unwrap();
    let (mut wrong, mut checked) = (Vec::new(), 0);
    for line in manifest.lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        let [file, _, _, expected, sizes, ..] = columns[..] else { panic!("{line}") };
        if expected.starts_with("video") {
            continue;
        }
        if cfg!(debug_assertions) && file.starts_with("own-mem-") {
            eprintln!("skipped in a debug build, where 40 megapixels take a minute: {file}");
            continue;
        }
        checked += 1;
        let derived = derive(&fs_err::read(folder.join(file)).unwrap(), LIMITS);
        if let Err(problem) = compare(file, expected, sizes, derived) {
            wrong.push(format!("{file}: {problem}"));
        }
    }
    assert!(checked > 100, "the manifest has {checked} images");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn compare(file: &str, expected: &str, sizes: &str, derived: Result<DerivedImage, DeriveError>) -> Result<(), String> {
    match derived {
        Ok(derived) => {
            let size = format!("{}x{}", derived.width, derived.height);
            if !(expected.starts_with("accept") || expected == "either") {
                return Err(format!("accepted with {size}, but {expected}"));
            }
            if !sizes.is_empty() && !sizes.split(" or ").any(|expected| expected == size) {
                return Err(format!("{size} instead of {sizes}"));
            }
            let color = COLORS.iter().find(|(name, _)| *name == file).map(|(_, color)| *color);
            let thumbnail = pixels(&derived.thumbnail);
            let Rgb(shown) = *thumbnail.get_pixel(thumbnail.width() / 2, thumbnail.height() / 2);
            match color {
                Some(color) if shown.iter().zip(color).any(|(a, b)| a.abs_diff(b) > 4) => {
                    Err(format!("shows {shown:?} instead of {color:?}"))
                }
                _ => Ok(()),
            }
        }
        Err(DeriveError::Invalid(error)) => {
            let status = match error {
                ValidationError::UnsupportedType { .. } => "415",
                _ => "422",
            };
            let names_code =
                ["corrupt_image", "too_many_pixels", "unsupported_type"].iter().any(|code| expected.contains(code));
            let allowed = expected == "either"
                || expected.contains("reject")
                    && expected.contains(status)
                    && (!names_code || expected.contains(error.code().as_str()));
            if allowed { Ok(()) } else { Err(format!("{error}, but {expected}")) }
        }
        Err(error) => Err(error.to_string()),
    }
}
