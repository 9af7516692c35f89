//! Finds known secrets in a text, whole or cut: by a line break, or where a text was shortened.

use std::collections::BTreeSet;
use std::ops::Range;

use aho_corasick::AhoCorasick;
use memchr::memmem;

/// What a shortened text ends with. [`shortened`] writes it.
const CUT: char = '…';

/// The shortest piece of a secret, in bytes, that is found where a line break cuts it. A shorter one would match ordinary words.
const PIECE: usize = 12;

/// Between the forms in one buffer: no text in UTF-8 has it.
const SEPARATOR: u8 = 0xff;

/// A text with at most `length` characters. The mark behind a shorter one tells the redactor that a secret may have been cut there,
/// so all code that shortens a text before it is redacted calls this.
pub fn shortened(text: &str, length: usize) -> String {
    match text.char_indices().nth(length) {
        Some((end, _)) => format!("{} {CUT}", &text[..end]),
        None => text.to_owned(),
    }
}

/// A search for the forms of all secrets.
pub(super) struct Search {
    forms: Vec<Vec<u8>>,
    /// The start of each form and, of a longer one, its end.
    ends: AhoCorasick,
    /// The form that each pattern of `ends` is of, and whether it is the form's start.
    patterns: Vec<(usize, bool)>,
    /// The forms from which a piece can be cut, in one buffer.
    joined: Vec<u8>,
    longest: usize,
}

impl Search {
    pub(super) fn new(forms: &BTreeSet<Vec<u8>>) -> Self {
        let forms: Vec<Vec<u8>> = forms.iter().cloned().collect();
        let (mut ends, mut patterns, mut joined) = (Vec::new(), Vec::new(), Vec::new());
        for (number, form) in forms.iter().enumerate() {
            ends.push(&form[..form.len().min(PIECE)]);
            patterns.push((number, true));
            if form.len() > PIECE {
                ends.push(&form[form.len() - PIECE..]);
                patterns.push((number, false));
                joined.extend_from_slice(form);
                joined.push(SEPARATOR);
            }
        }
        let longest = forms.iter().map(Vec::len).max().unwrap_or_default();
        let ends = AhoCorasick::new(ends).expect("the secrets of an environment are far below 2^31 states");
        Self { forms, ends, patterns, joined, longest }
    }

    /// Calls `found` with each place where the text has a form, or one that was cut: a line or a shortened text ends with its start,
    /// a line begins with its end, or is a piece from within it that could be base64. Places may overlap.
    pub(super) fn find(&self, text: &[u8], mut found: impl FnMut(Range<usize>)) {
        for end in self.ends.find_overlapping_iter(text) {
            let (form, is_start) = self.patterns[end.pattern().as_usize()];
            let form = self.forms[form].as_slice();
            if is_start {
                let rest = &text[end.start()..];
                let line = until_cut(rest);
                if rest.starts_with(form) {
                    found(end.start()..end.start() + form.len());
                } else if line.len() >= PIECE && form.starts_with(line) {
                    found(end.start()..end.start() + line.len());
                }
            } else {
                let before = &text[..end.end()];
                let line = before.rsplit(|&byte| byte == b'\n').next().unwrap_or(before).trim_ascii_start();
                if form.ends_with(line) {
                    found(end.end() - line.len()..end.end());
                }
            }
        }
        let mut begin = 0;
        for line in text.split(|&byte| byte == b'\n') {
            let piece = line.trim_ascii();
            // Few lines consist of one such word, and the search in all forms takes its time.
            let is_piece = || piece.iter().all(is_digit) && memmem::find(&self.joined, piece).is_some();
            if (PIECE..self.longest).contains(&piece.len()) && is_piece() {
                let blanks = line.len() - line.trim_ascii_start().len();
                found(begin + blanks..begin + blanks + piece.len());
            }
            begin += line.len() + 1;
        }
    }
}

/// A text up to the first line break or mark of a cut.
fn until_cut(text: &[u8]) -> &[u8] {
    let mut mark = [0; 4];
    let mark = CUT.encode_utf8(&mut mark).as_bytes();
    let end = |at: &usize| text[*at] == b'\n' || text[*at..].starts_with(mark);
    let end = memchr::memchr2_iter(b'\n', mark[0], text).find(end);
    text[..end.unwrap_or(text.len())].trim_ascii_end()
}

/// Whether base64 in any form, or hexadecimal digits, can have this byte.
fn is_digit(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/-_=".contains(byte)
}
