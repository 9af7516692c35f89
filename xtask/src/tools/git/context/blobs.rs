//! The output of `git cat-file --batch`.

use std::io::{self, BufRead, Error, Read, Take};

/// Contents, one after the other.
pub struct Blobs<R> {
    from: R,
    /// Whether a line break after a content is still to be read.
    between: bool,
}

impl<R: BufRead> Blobs<R> {
    pub fn new(from: R) -> Self {
        Self { from, between: false }
    }

    /// The next content, which must be this object's. It must be read to its end.
    pub fn next(&mut self, object: &str) -> io::Result<Take<&mut R>> {
        if self.between {
            self.from.read_exact(&mut [0])?;
        }
        let mut header = String::new();
        self.from.read_line(&mut header)?;
        // `<object> blob <bytes>`, or `<object> missing`.
        let size = header.trim_end().strip_prefix(object).and_then(|rest| rest.strip_prefix(" blob "));
        let size = size.and_then(|size| size.parse().ok());
        let size = size.ok_or_else(|| {
            let said = if header.is_empty() { "nothing" } else { header.trim_end() };
            Error::other(format!("git cat-file was asked for the content {object} and answered: {said}"))
        })?;
        self.between = true;
        Ok(self.from.by_ref().take(size))
    }

    /// Reads the end, which must come.
    pub fn end(mut self) -> io::Result<()> {
        if self.between {
            self.from.read_exact(&mut [0])?;
        }
        match self.from.read(&mut [0])? {
            0 => Ok(()),
            _ => Err(Error::other("git cat-file answered more than it was asked for")),
        }
    }
}
