use std::process::{Command, ExitStatus, Output};
use std::{cell::RefCell, io, os::unix::process::ExitStatusExt as _};

use rustix::process::Signal;
use turbojpeg::Subsamp;

use super::{AVIF_PROGRAM, PROGRAM, boxes::is_stored_like_jpeg, decode};
use crate::{
    process::image::{
        DeriveError, ImageLimits,
        kind::ImageKind,
        location::{tests::exif, without_location},
        tests::{accepted, assert_color, halves, jpeg, with_segment},
    },
    validate::ValidationError,
};

const LIMITS: ImageLimits = ImageLimits { max_pixels: 40_000_000 };

/// An image with the EXIF data of a camera, in this format; `None` without the programs of libheif.
fn encoded(format: &str) -> Option<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let (source, target) = (folder.path().join("a.jpg"), folder.path().join("a").with_extension(format));
    let photograph = jpeg(&halves(300, 200), Subsamp::None);
    let photograph = with_segment(&photograph, 0xe1, &[b"Exif\0\0".as_slice(), &exif()].concat());
    fs_err::write(&source, photograph).unwrap();
    let mut command = Command::new("heif-enc");
    command.args((format == "avif").then_some("--avif")).arg(&source).arg("--output").arg(&target);
    match command.output() {
        Ok(output) if output.status.success() => Some(fs_err::read(target).unwrap()),
        Ok(output) => panic!("{output:?}"),
        Err(error) => {
            eprintln!("skipped: heif-enc of the package libheif-examples cannot be run: {error}");
            None
        }
    }
}

#[test]
fn heic_and_avif_are_decoded_and_lose_their_place() {
    for (format, mime_type) in [("heic", "image/heic"), ("avif", "image/avif")] {
        let Some(file) = encoded(format) else { return };
        let derived = accepted(&file);
        assert_eq!((derived.width, derived.height, derived.mime_type.as_str()), (300, 200, mime_type));
        assert_color(&derived.thumbnail, (20, 20), [220, 20, 20]);
        assert_eq!(derived.camera.as_deref(), Some("Canon EOS R5"));
        assert!(derived.has_location);
        let stripped = accepted(&without_location(&file).unwrap());
        assert!(!stripped.has_location);
        assert_eq!((stripped.clipboard, stripped.camera), (derived.clipboard, derived.camera));

        for length in [40, file.len() / 2, file.len() - 1] {
            assert!(matches!(
                decode(&file[..length], ImageKind::Heic, LIMITS, 1, |command| command.output()),
                Err(DeriveError::Invalid(ValidationError::CorruptImage))
            ));
        }
        let few = ImageLimits { max_pixels: 59_999 };
        let decoded = decode(&file, ImageKind::Heic, few, 1, |_| panic!("the size is checked before"));
        assert!(matches!(decoded, Err(DeriveError::Invalid(ValidationError::TooManyPixels { .. }))));

        // The largest size that the format can claim: no product of it overflows.
        let size = [300_u32.to_be_bytes(), 200_u32.to_be_bytes()].concat();
        let at = file.windows(8).position(|bytes| bytes == size).unwrap();
        let largest = [&file[..at], &[0xff; 8], &file[at + 8..]].concat();
        let decoded = decode(&largest, ImageKind::Heic, LIMITS, 1, |_| panic!("the size is checked before"));
        assert!(matches!(decoded, Err(DeriveError::Invalid(ValidationError::TooManyPixels { .. }))));
    }
}

#[test]
fn heic_that_is_stored_like_a_jpeg_goes_through_one_and_is_alike() {
    let Some(file) = encoded("heic") else { return };
    let by = |file: &[u8]| {
        let written = RefCell::new(String::new());
        let decoded = decode(file, ImageKind::Heic, LIMITS, 1, |command| {
            written.replace(command.get_args().last().unwrap().to_str().unwrap().to_owned());
            command.output()
        });
        let written = written.into_inner();
        (decoded.map(|decoded| decoded.image.to_rgb8()), written.rsplit_once('.').unwrap().1.to_owned())
    };
    let (fast, format) = by(&file);
    assert_eq!(format, "jpg");
    // The box, not the stream, says that each value has ten bits; the program goes by the stream.
    let at = file.windows(4).position(|name| name == b"hvcC").unwrap() + 4;
    let (slow, format) = by(&[&file[..at + 17], &[0xfa, 0xfa], &file[at + 19..]].concat());
    assert_eq!(format, "png");
    let (fast, slow) = (fast.unwrap(), slow.unwrap());
    let apart: u64 = slow.iter().zip(fast.iter()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    assert!(apart / (300 * 200 * 3) <= 1, "each value differs by {apart} / 180,000");
}

#[test]
fn heic_with_exif_data_that_no_jpeg_takes_is_decoded_all_the_same() {
    let Some(file) = encoded("heic") else { return };
    // The distance to the data, which is beyond its end now.
    let at = super::exif_block(&file).unwrap().start - 4;
    assert_eq!(file[at..at + 4], [0; 4]);
    let broken = [&file[..at], &[0, 0, 0xff, 0xff], &file[at + 4..]].concat();
    let written = RefCell::new(Vec::new());
    let decoded = decode(&broken, ImageKind::Heic, LIMITS, 1, |command| {
        written
            .borrow_mut()
            .push(command.get_args().last().unwrap().to_str().unwrap().rsplit_once('.').unwrap().1.to_owned());
        // Its memory is limited, as that of all such children.
        let mut limited = Command::new("sh");
        limited
            .args(["-c", "ulimit -v 2000000; exec \"$@\"", "sh"])
            .arg(command.get_program())
            .args(command.get_args())
            .output()
    });
    assert_eq!(decoded.map(|decoded| (decoded.width, decoded.height)).ok(), Some((300, 200)));
    assert_eq!(written.into_inner()[0], "jpg");
}

#[test]
fn what_a_jpeg_cannot_hold_does_not_go_through_one() {
    let Some(file) = encoded("heic") else { return };
    let at = file.windows(4).position(|name| name == b"hvcC").unwrap();
    let length = usize::try_from(u32::from_be_bytes(*file[at - 4..].first_chunk().unwrap())).unwrap();
    let stored = file[at - 4..at - 4 + length].to_vec();
    let mut depth_map = stored.clone();
    depth_map[8 + 16] = 0xfc;
    let with = |properties: &[&[u8]]| {
        let properties = atom(b"iprp", &atom(b"ipco", &properties.concat()));
        is_stored_like_jpeg(
            &[atom(b"ftyp", b"heic\0\0\0\0"), atom(b"meta", &[&[0; 4], properties.as_slice()].concat())].concat(),
        )
    };
    let colors = |coefficients: u8, range: u8| {
        atom(b"colr", &[b"nclx\0\x0c\0\x0d\0".as_slice(), &[coefficients, range]].concat())
    };
    let auxiliary = |name: &[u8]| atom(b"auxC", &[&[0; 4], name, b"\0"].concat());

    assert!(with(&[&stored]));
    assert!(with(&[&stored, &depth_map, &auxiliary(b"urn:mpeg:hevc:2015:auxid:2")]));
    // One without colours that accompanies nothing may be the main one.
    assert!(!with(&[&stored, &depth_map]));
    assert!(with(&[&stored, &atom(b"colr", b"prof and its bytes"), &colors(6, 0x80)]));
    // Another range and other coefficients than the stream's; transparency; no image that is known.
    assert!(!with(&[&stored, &colors(6, 0)]));
    assert!(!with(&[&stored, &colors(9, 0x80)]));
    assert!(!with(&[&stored, &atom(b"colr", b"nclx")]));
    assert!(!with(&[&stored, &depth_map, &auxiliary(b"urn:mpeg:hevc:2015:auxid:1")]));
    assert!(!with(&[&stored, &depth_map, &auxiliary(b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha")]));
    assert!(!with(&[&depth_map]));
    assert!(!with(&[&stored, &depth_map, &atom(b"auxC", b"\0\0\0\0urn:mpeg:avc:2015:auxid:1")]));
    assert!(!with(&[&stored, &atom(b"av1C", b"\x81\0\0\0")]));
    assert!(!with(&[&stored, &atom(b"uncC", b"\0\0\0\0")]));
    assert!(!with(&[]));
}

#[test]
fn avif_is_alike_by_both_programs_and_what_is_turned_goes_to_the_one_that_turns_it() {
    let Some(file) = encoded("avif") else { return };
    let asked = RefCell::new(Vec::new());
    let without = |missing: &'static str, file: &[u8]| {
        asked.borrow_mut().clear();
        let decoded = decode(file, ImageKind::Avif, LIMITS, 1, |command| {
            let program = command.get_program().to_str().unwrap().to_owned();
            asked.borrow_mut().push(program.clone());
            if program == missing { Err(io::ErrorKind::NotFound.into()) } else { command.output() }
        });
        (decoded, asked.borrow().clone())
    };
    let (slow, programs) = without(AVIF_PROGRAM, &file);
    assert_eq!(programs, [AVIF_PROGRAM, PROGRAM]);
    let turned = file.windows(4).position(|name| name == b"pixi").unwrap();
    let turned = [&file[..turned], b"irot", &file[turned + 4..]].concat();
    assert_eq!(without(PROGRAM, &turned).1, [PROGRAM]);

    let (fast, programs) = without(PROGRAM, &file);
    let (Ok(slow), Ok(fast)) = (slow, fast) else {
        eprintln!("skipped: {AVIF_PROGRAM} of the package libavif-bin cannot be run: {programs:?}");
        return;
    };
    assert_eq!(programs, [AVIF_PROGRAM]);
    let (slow, fast) = (slow.image.to_rgb8(), fast.image.to_rgb8());
    assert_eq!(slow.dimensions(), fast.dimensions());
    let apart: u64 = slow.iter().zip(fast.iter()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    assert!(apart / (300 * 200 * 3) == 0, "each value differs by {apart} / 180,000");
}

#[test]
fn the_program_is_missing_killed_or_crashes() {
    let Some(file) = encoded("heic") else { return };
    let missing = decode(&file, ImageKind::Heic, LIMITS, 1, |_| Err(io::ErrorKind::NotFound.into()));
    let Err(DeriveError::Invalid(error @ ValidationError::UnsupportedType { .. })) = missing else { panic!() };
    assert!(error.to_string().contains(PROGRAM), "{error}");
    let ended_by = |signal: Signal| {
        let status = ExitStatus::from_raw(signal.as_raw());
        decode(&file, ImageKind::Heic, LIMITS, 1, |_| Ok(Output { status, stdout: Vec::new(), stderr: Vec::new() }))
    };
    assert!(matches!(ended_by(Signal::KILL), Err(DeriveError::Internal(_))));
    assert!(matches!(ended_by(Signal::XCPU), Err(DeriveError::Internal(_))));
    for crash in [Signal::SEGV, Signal::ABORT] {
        assert!(matches!(ended_by(crash), Err(DeriveError::Invalid(ValidationError::CorruptImage))), "{crash:?}");
    }
}

#[test]
fn parts_of_other_items_are_passed_over_at_once() {
    let item = atom(b"iinf", &[&[0; 4], b"\0\x01".as_slice(), &atom(b"infe", b"\x02\0\0\0\0\x07\0\0Exif\0")].concat());
    // 65,535 items of 65,535 parts whose fields have no bytes.
    let locations = [b"\x01\0\0\0\0\0\xff\xff".as_slice(), &b"\0\x01\0\0\0\0\xff\xff".repeat(65_535)].concat();
    let meta = atom(b"meta", &[&[0; 4], item.as_slice(), &atom(b"iloc", &locations)].concat());
    assert_eq!(super::exif_block(&[atom(b"ftyp", b"heic\0\0\0\0"), meta].concat()), None);
}

/// A box.
fn atom(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
    [&u32::try_from(content.len() + 8).unwrap().to_be_bytes(), name.as_slice(), content].concat()
}
