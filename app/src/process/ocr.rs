//! The text of a picture, by Tesseract.

use std::{
    ffi::OsString,
    fs::File,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use super::{
    Limits, ProcessError,
    limits::{Launcher, Program},
    memory,
    pool::Pool,
};

/// Tesseract's names of its models.
pub const LANGUAGES: [&str; 2] = ["eng", "fin"];

/// Longest side, in pixels. Larger pictures are scaled down: a page of A4 has 3508 pixels at the 300 dpi that Tesseract was
/// trained for, and a much larger one takes minutes.
const MAX_SIDE: u32 = 4000;

const LIMITS: Limits = Limits {
    memory: 1 << 30,
    file_size: 0,
    background: true,
    processor_time: Duration::from_secs(90),
    time: Duration::from_secs(180),
};

/// Longest text, in bytes.
const MAX_TEXT: usize = 100_000;

/// Reads the text of a picture.
pub async fn read(
    pool: &Pool,
    launcher: &Launcher,
    tesseract_path: &Path,
    model_dir: Option<&Path>,
    file: File,
) -> Result<String, ProcessError> {
    let grey = pool.grey(file, MAX_SIDE).await?;
    let header = format!("P5\n{} {}\n255\n", grey.width, grey.height);
    let input = memory::file(&[header.as_bytes(), &grey.pixels])?;
    drop(grey);
    let program = Program {
        arguments: ["stdin", "stdout", "-l", &LANGUAGES.join("+")].map(OsString::from).into(),
        input: Stdio::from(input),
        ..tesseract(tesseract_path, model_dir)
    };
    let output = launcher.run(program).await?.success()?;
    Ok(normalized(&String::from_utf8_lossy(&output)))
}

/// Tesseract with its limits, without arguments.
pub fn tesseract<'a>(path: &'a Path, model_dir: Option<&Path>) -> Program<'a> {
    // Its threads wait for each other most of the time: one alone takes less of the machine.
    let mut environment = vec![("OMP_THREAD_LIMIT", OsString::from("1"))];
    environment.extend(model_dir.map(|folder| ("TESSDATA_PREFIX", folder.into())));
    Program {
        path,
        arguments: Vec::new(),
        environment,
        input: Stdio::null(),
        readable: model_dir.map(PathBuf::from).into_iter().collect(),
        limits: LIMITS,
        max_output: 10 * MAX_TEXT as u64,
    }
}

/// One space between words, one line break between lines, an empty line between paragraphs, no control characters, which
/// PostgreSQL or a terminal would not take.
fn normalized(text: &str) -> String {
    let mut normalized = String::with_capacity(text.len());
    // Before the next line: at the beginning none.
    let mut breaks = "";
    for line in text.lines() {
        let printable = |c: char| if c.is_control() { ' ' } else { c };
        let line: String = line.chars().map(printable).collect();
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.is_empty() {
            breaks = if normalized.is_empty() { "" } else { "\n\n" };
            continue;
        }
        normalized.push_str(breaks);
        normalized.push_str(&words.join(" "));
        breaks = "\n";
    }
    normalized.truncate(normalized.floor_char_boundary(MAX_TEXT));
    normalized
}

#[cfg(test)]
mod tests {
    use super::{MAX_TEXT, normalized};

    #[test]
    fn text_keeps_its_words_lines_and_paragraphs_alone() {
        assert_eq!(
            normalized("\n \n  one\ttwo  \nthree\0four\u{7}\n\n \n\x0cfive\n\x0c"),
            "one two\nthree four\n\nfive"
        );
        assert_eq!(normalized(" \n\x0c"), "");
    }

    #[test]
    fn text_is_cut_between_characters() {
        let long = normalized(&format!("x{}", "é".repeat(MAX_TEXT)));
        assert_eq!(long.len(), MAX_TEXT - 1);
        assert!(long.ends_with('é'));
    }
}
