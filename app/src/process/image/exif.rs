//! The metadata of a camera: EXIF, which is a TIFF structure of tables ("IFD") of tagged values (CIPA DC-008, TIFF 6.0).

use std::ops::Range;

use image::metadata::Orientation;

const NEW_SUBFILE_TYPE: u16 = 0xfe;
const MAKE: u16 = 0x10f;
const MODEL: u16 = 0x110;
const ORIENTATION: u16 = 0x112;
const EXIF_TABLE: u16 = 0x8769;
const GPS_TABLE: u16 = 0x8825;
const DATE_TIME_ORIGINAL: u16 = 0x9003;
const OFFSET_TIME_ORIGINAL: u16 = 0x9011;

/// Of the table of GPS values: the version of its layout, which says nothing about a place.
const GPS_VERSION: u16 = 0;

const ASCII: u16 = 2;
const SHORT: u16 = 3;

/// Length of one entry of a table, in bytes.
const ENTRY: usize = 12;

/// Tables of cameras have fewer than 100 entries.
const MAX_ENTRIES: usize = 1000;

/// What the service uses of the metadata.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Capture {
    /// When the picture was taken, as ISO 8601; with the offset from UTC, if the camera recorded one.
    pub captured_at: Option<String>,
    /// Maker and model.
    pub camera: Option<String>,
}

/// How the image must be turned for display. As browsers do, a value of another type than SHORT is ignored.
pub fn orientation(exif: &[u8]) -> Orientation {
    let found = Tiff::open(exif).and_then(|tiff| {
        let entry = tiff.entries(tiff.first_table()?).find(|entry| entry.tag == ORIENTATION)?;
        let value = tiff.u16(entry.at + 8).filter(|_| entry.kind == SHORT && entry.count == 1)?;
        Orientation::from_exif(u8::try_from(value).ok()?)
    });
    found.unwrap_or(Orientation::NoTransforms)
}

/// What EXIF says of the picture's origin; nothing if it is malformed.
pub fn capture(exif: &[u8]) -> Capture {
    let Some(tiff) = Tiff::open(exif) else { return Capture::default() };
    let main = tiff.first_table();
    let details = main.and_then(|main| tiff.linked(main, EXIF_TABLE));
    let text = |table: Option<usize>, tag| table.and_then(|table| tiff.text(table, tag));
    let camera = match (text(main, MAKE), text(main, MODEL)) {
        (Some(make), Some(model)) if !model.starts_with(&make) => Some(format!("{make} {model}")),
        (make, model) => model.or(make),
    };
    let taken = text(details, DATE_TIME_ORIGINAL).and_then(|taken| iso_date_time(&taken));
    let offset = text(details, OFFSET_TIME_ORIGINAL).filter(|offset| is_utc_offset(offset)).unwrap_or_default();
    Capture { captured_at: taken.map(|taken| taken + &offset), camera }
}

/// Whether the first image of a TIFF file is marked as a smaller copy of another one: the preview of a raw photograph.
pub fn is_preview(tiff: &[u8]) -> bool {
    let kind = Tiff::open(tiff).and_then(|tiff| tiff.linked(tiff.first_table()?, NEW_SUBFILE_TYPE));
    kind.is_some_and(|kind| kind & 1 == 1)
}

/// Whether EXIF names a place.
pub fn has_location(exif: &[u8]) -> bool {
    Tiff::open(exif).is_some_and(|tiff| !tiff.location().is_empty())
}

/// Overwrites the table of GPS values, and the values, with zeros: a table without entries. All else stays where it is.
/// Returns whether there was something.
pub fn blank_location(exif: &mut [u8]) -> bool {
    let ranges = Tiff::open(exif).map_or_else(Vec::new, |tiff| tiff.location());
    for range in &ranges {
        exif[range.clone()].fill(0);
    }
    !ranges.is_empty()
}

/// EXIF writes `2026:11:29 16:45:00`.
fn iso_date_time(exif: &str) -> Option<String> {
    let shape = |pattern: &str| {
        exif.len() == pattern.len()
            && exif.bytes().zip(pattern.bytes()).all(|(c, p)| if p == b'0' { c.is_ascii_digit() } else { c == p })
    };
    if !shape("0000:00:00 00:00:00") {
        return None;
    }
    let number = |range: Range<usize>| exif[range].parse::<u8>().ok();
    let month = time::Month::try_from(number(5..7)?).ok()?;
    time::Date::from_calendar_date(exif[0..4].parse().ok()?, month, number(8..10)?).ok()?;
    time::Time::from_hms(number(11..13)?, number(14..16)?, number(17..19)?).ok()?;
    Some(format!("{}-{}-{}T{}", &exif[0..4], &exif[5..7], &exif[8..10], &exif[11..]))
}

fn is_utc_offset(offset: &str) -> bool {
    let [sign, h1, h2, b':', m1, m2] = offset.as_bytes() else { return false };
    matches!(sign, b'+' | b'-')
        && [h1, h2, m1, m2].iter().all(|digit| digit.is_ascii_digit())
        && (&offset[1..3], &offset[4..6]) <= ("14", "59")
        && &offset[4..6] <= "59"
}

/// A thousand values may claim the same megabytes.
fn merged(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_by_key(|range| range.start);
    let mut merged: Vec<Range<usize>> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

struct Tiff<'a> {
    bytes: &'a [u8],
    big_endian: bool,
}

struct Entry {
    tag: u16,
    kind: u16,
    count: usize,
    /// Where the entry is.
    at: usize,
}

impl<'a> Tiff<'a> {
    fn open(bytes: &'a [u8]) -> Option<Self> {
        let big_endian = match bytes.first_chunk()? {
            b"MM\0\x2a" => true,
            b"II\x2a\0" => false,
            _ => return None,
        };
        Some(Self { bytes, big_endian })
    }

    fn first_table(&self) -> Option<usize> {
        self.offset(4)
    }

    /// The entries of a table, as far as they are inside the file.
    fn entries(&self, table: usize) -> impl Iterator<Item = Entry> {
        let count = usize::from(self.u16(table).unwrap_or(0)).min(MAX_ENTRIES);
        (0..count).map_while(move |index| {
            let at = table + 2 + index * ENTRY;
            // The entry's last bytes, its value, must be there too.
            self.u32(at + 8)?;
            Some(Entry { tag: self.u16(at)?, kind: self.u16(at + 2)?, count: self.offset(at + 4)?, at })
        })
    }

    /// The value of an entry with one LONG, such as the place of another table.
    fn linked(&self, table: usize, tag: u16) -> Option<usize> {
        let entry = self.entries(table).find(|entry| entry.tag == tag)?;
        self.offset(entry.at + 8)
    }

    fn text(&self, table: usize, tag: u16) -> Option<String> {
        let entry = self.entries(table).find(|entry| entry.tag == tag && entry.kind == ASCII && entry.count <= 256)?;
        let text = String::from_utf8_lossy(self.bytes.get(self.value(&entry)?)?).into_owned();
        let text = text.split('\0').next().unwrap_or_default().trim();
        let printable = !text.is_empty() && !text.chars().any(char::is_control);
        printable.then(|| text.to_owned())
    }

    /// Where a value is: in the entry itself, if it has at most 4 bytes.
    fn value(&self, entry: &Entry) -> Option<Range<usize>> {
        let size = match entry.kind {
            1 | 2 | 6 | 7 => 1,
            3 | 8 => 2,
            4 | 9 | 11 | 13 => 4,
            5 | 10 | 12 => 8,
            _ => return None,
        };
        let length = entry.count.checked_mul(size)?;
        let from = if length <= 4 { entry.at + 8 } else { self.offset(entry.at + 8)? };
        let range = from..from.checked_add(length)?;
        (range.end <= self.bytes.len()).then_some(range)
    }

    /// Where the tables of GPS values and their values are, in order and apart; nothing if these name no place.
    fn location(&self) -> Vec<Range<usize>> {
        let Some(main) = self.first_table() else { return Vec::new() };
        // The standard has it in the first table; readers find it in the others too.
        let second = self.offset(main + 2 + ENTRY * usize::from(self.u16(main).unwrap_or(0)));
        let tables = [Some(main), second, self.linked(main, EXIF_TABLE)];
        let gps = tables.into_iter().flatten().filter_map(|table| self.linked(table, GPS_TABLE));
        let mut ranges = Vec::new();
        for table in gps {
            let entries: Vec<Entry> = self.entries(table).collect();
            if entries.iter().any(|entry| entry.tag != GPS_VERSION) {
                ranges.extend(entries.iter().filter_map(|entry| self.value(entry)));
                ranges.push(table..table + 2 + entries.len() * ENTRY);
            }
        }
        merged(ranges)
    }

    fn u16(&self, at: usize) -> Option<u16> {
        let bytes = *self.bytes.get(at..)?.first_chunk()?;
        Some(if self.big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    }

    fn u32(&self, at: usize) -> Option<u32> {
        let bytes = *self.bytes.get(at..)?.first_chunk()?;
        Some(if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    fn offset(&self, at: usize) -> Option<usize> {
        usize::try_from(self.u32(at)?).ok()
    }
}
