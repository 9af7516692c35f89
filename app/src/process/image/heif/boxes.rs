//! The boxes of a HEIF file (ISO/IEC 14496-12 and 23008-12): sizes of images, and where the EXIF data is.

use std::ops::Range;

struct HeifBox {
    name: [u8; 4],
    content: Range<usize>,
}

/// Width and height in pixels of the largest image in the file, before it is turned.
pub fn largest_size(bytes: &[u8]) -> Option<(u32, u32)> {
    let properties = find(bytes, find(bytes, meta(bytes)?, b"iprp")?, b"ipco")?;
    let sizes = boxes(bytes, properties).into_iter().filter(|found| found.name == *b"ispe");
    let sizes = sizes.filter_map(|found| {
        let mut reader = Reader::new(bytes, found.content);
        reader.skip(4)?;
        Some((u32::try_from(reader.number(4)?).ok()?, u32::try_from(reader.number(4)?).ok()?))
    });
    sizes.max_by_key(|(width, height)| u64::from(*width) * u64::from(*height))
}

/// Whether the file has an image that is turned, mirrored or cropped for display.
pub fn changes_image(bytes: &[u8]) -> bool {
    let properties = meta(bytes).and_then(|meta| find(bytes, find(bytes, meta, b"iprp")?, b"ipco"));
    let mut properties = boxes(bytes, properties.unwrap_or_default()).into_iter();
    properties.any(|property| [*b"irot", *b"imir", *b"clap"].contains(&property.name))
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
