//! The boxes of a HEIF file (ISO/IEC 14496-12 and 23008-12): sizes of images, how their pixels are stored, and where the EXIF data is.

use std::ops::Range;

use super::hevc;

struct HeifBox {
    name: [u8; 4],
    content: Range<usize>,
}

/// Width and height in pixels of the largest image in the file, before it is turned.
pub fn largest_size(bytes: &[u8]) -> Option<(u32, u32)> {
    let sizes = properties(bytes, b"ispe").into_iter().filter_map(|size| {
        let mut reader = Reader::new(bytes, size);
        reader.skip(4)?;
        Some((u32::try_from(reader.number(4)?).ok()?, u32::try_from(reader.number(4)?).ok()?))
    });
    sizes.max_by_key(|(width, height)| u64::from(*width) * u64::from(*height))
}

/// Whether the file has an image that is turned, mirrored or cropped for display.
pub fn changes_image(bytes: &[u8]) -> bool {
    [b"irot", b"imir", b"clap"].iter().any(|name| !properties(bytes, name).is_empty())
}

/// Whether a JPEG can hold the pixels of the main image as they are stored: nothing is transparent, and each image with colours is stored
/// like a JPEG, by its own words and by those of the file. Images without colours are depth and gain maps, where there are any such.
pub fn is_stored_like_jpeg(bytes: &[u8]) -> bool {
    let content = |name| properties(bytes, name).into_iter().map(|property| &bytes[property]);
    let has_maps = content(b"auxC").next().is_some();
    let mut stored = content(b"hvcC").filter(|hvcc| !has_maps || hevc::is_monochrome(hvcc) != Some(true)).peekable();
    stored.peek().is_some()
        && stored.all(hevc::is_stored_like_jpeg)
        // Other codecs say it elsewhere.
        && [b"av1C", b"avcC", b"vvcC", b"jpgC", b"j2kH", b"uncC"].iter().all(|codec| properties(bytes, codec).is_empty())
        && content(b"colr").all(|colors| match colors {
            [b'n', b'c', b'l', b'x', _, _, _, _, 0, coefficients, range] => {
                hevc::BT601.contains(coefficients) && range & 0x80 != 0
            }
            other => !other.starts_with(b"nclx"),
        })
        && !content(b"auxC").any(is_alpha)
}

/// Whether an image that accompanies another one says what is transparent, by one of the names in ISO/IEC 23008-12 (B.2.3.3 and 6.9.5).
fn is_alpha(kind: &[u8]) -> bool {
    let names = [
        b"urn:mpeg:hevc:2015:auxid:1".as_slice(),
        b"urn:mpeg:avc:2015:auxid:1",
        b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha",
    ];
    // Some end with the box, and not with NUL.
    kind.get(4..).is_none_or(|kind| names.iter().any(|name| kind.starts_with(name)))
}

/// Where the EXIF data is, if it is in one piece.
pub fn exif_block(bytes: &[u8]) -> Option<Range<usize>> {
    let meta = meta(bytes)?;
    let item = exif_item(bytes, find(bytes, meta.clone(), b"iinf")?)?;
    let item = location(bytes, find(bytes, meta.clone(), b"iloc")?, item, find(bytes, meta, b"idat"))?;
    // The data begins with the distance to its TIFF header.
    let mut reader = Reader::new(bytes, item);
    let distance = reader.number(4)?;
    reader.skip(distance)?;
    (!reader.rest.is_empty()).then_some(reader.rest)
}

/// The contents of the properties of this name, of all images.
fn properties(bytes: &[u8], name: &[u8; 4]) -> Vec<Range<usize>> {
    let all = meta(bytes).and_then(|meta| find(bytes, find(bytes, meta, b"iprp")?, b"ipco")).unwrap_or_default();
    boxes(bytes, all).into_iter().filter(|found| found.name == *name).map(|found| found.content).collect()
}

fn meta(bytes: &[u8]) -> Option<Range<usize>> {
    let meta = find(bytes, 0..bytes.len(), b"meta")?;
    // Behind its version and flags.
    Some(meta.start + 4..meta.end).filter(|range| range.start <= range.end)
}

fn exif_item(bytes: &[u8], items: Range<usize>) -> Option<usize> {
    let mut reader = Reader::new(bytes, items);
    let version = reader.number(1)?;
    reader.skip(3 + if version == 0 { 2 } else { 4 })?;
    boxes(bytes, reader.rest).into_iter().find_map(|entry| {
        let mut reader = Reader::new(bytes, entry.content);
        let version = reader.number(1)?;
        reader.skip(3)?;
        let id = reader.number(if version == 3 { 4 } else { 2 })?;
        reader.skip(2)?;
        bytes[reader.rest].starts_with(b"Exif").then_some(id)
    })
}

/// Where the data of an item is: box `iloc`.
fn location(bytes: &[u8], locations: Range<usize>, item: usize, idat: Option<Range<usize>>) -> Option<Range<usize>> {
    let mut reader = Reader::new(bytes, locations);
    let version = reader.number(1)?;
    reader.skip(3)?;
    let sizes = reader.number(2)?;
    let [offset_size, length_size, base_size, index_size] = [12, 8, 4, 0].map(|shift| sizes >> shift & 15);
    let count = reader.number(if version < 2 { 2 } else { 4 })?;
    for _ in 0..count {
        let id = reader.number(if version < 2 { 2 } else { 4 })?;
        let method = if version == 0 { 0 } else { reader.number(2)? & 15 };
        reader.skip(2)?;
        let base = reader.number(base_size)?;
        let extents = reader.number(2)?;
        let index_size = if version > 0 { index_size } else { 0 };
        if id != item {
            // Fields may have no bytes, so only a product passes over millions of them in time.
            reader.skip(extents.checked_mul(index_size + offset_size + length_size)?)?;
            continue;
        }
        if extents != 1 {
            return None;
        }
        reader.skip(index_size)?;
        let from = base.checked_add(reader.number(offset_size)?)?;
        let range = from..from.checked_add(reader.number(length_size)?)?;
        // In the file, or in the box `idat`.
        let place = match method {
            0 => 0..bytes.len(),
            1 => idat?,
            _ => return None,
        };
        let range = range.start.checked_add(place.start)?..range.end.checked_add(place.start)?;
        return (range.end <= place.end).then_some(range);
    }
    None
}

fn find(bytes: &[u8], within: Range<usize>, name: &[u8; 4]) -> Option<Range<usize>> {
    boxes(bytes, within).into_iter().find(|found| found.name == *name).map(|found| found.content)
}

/// The boxes of a box, until the first that is not whole.
fn boxes(bytes: &[u8], within: Range<usize>) -> Vec<HeifBox> {
    let mut found = Vec::new();
    let mut rest = within;
    while let Some(next) = read_box(bytes, rest.clone()) {
        rest.start = next.content.end;
        found.push(next);
    }
    found
}

fn read_box(bytes: &[u8], within: Range<usize>) -> Option<HeifBox> {
    let (start, end) = (within.start, within.end);
    let mut reader = Reader::new(bytes, within);
    let short = reader.number(4)?;
    let name = *bytes[reader.rest.clone()].first_chunk()?;
    reader.skip(4)?;
    let end = match short {
        0 => end,
        1 => start.checked_add(reader.number(8)?)?,
        _ => start.checked_add(short)?,
    };
    let content = reader.rest.start..end;
    (content.start <= end && end <= reader.rest.end).then_some(HeifBox { name, content })
}

/// Reads big-endian numbers of a part of the file.
struct Reader<'a> {
    bytes: &'a [u8],
    rest: Range<usize>,
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8], rest: Range<usize>) -> Self {
        Self { bytes, rest }
    }

    fn skip(&mut self, length: usize) -> Option<()> {
        self.rest.start = self.rest.start.checked_add(length).filter(|start| *start <= self.rest.end)?;
        Some(())
    }

    /// A number of 0 to 8 bytes.
    fn number(&mut self, length: usize) -> Option<usize> {
        let start = self.rest.start;
        self.skip(length)?;
        let digits = &self.bytes[start..self.rest.start];
        let number = digits.iter().fold(0_u64, |number, digit| number << 8 | u64::from(*digit));
        usize::try_from(number).ok()
    }
}
