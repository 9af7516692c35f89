//! How HEVC stores the pixels of an image: the box `hvcC` (ISO/IEC 14496-15, 8.3.2) and the sequence parameter set in it (ITU-T H.265,
//! 7.3.2.2 and E.2.1).

/// The chroma format of an image without colours, such as a depth map.
const MONOCHROME: u8 = 0;

/// The chroma format 4:2:0.
const HALF: u8 = 1;

/// The coefficients of BT.601, by both of their numbers, and "unspecified", which decoders read as these.
pub const BT601: [u8; 3] = [2, 5, 6];

/// Whether an `hvcC` is of an image without colours; `None` if it is too short.
pub fn is_monochrome(hvcc: &[u8]) -> Option<bool> {
    Some(hvcc.get(16)? & 3 == MONOCHROME)
}

/// Whether the pixels are stored as a JPEG's: 8 bits, halved chroma, the full range, and the coefficients of BT.601. What cannot be read
/// is another kind.
pub fn is_stored_like_jpeg(hvcc: &[u8]) -> bool {
    let Some(format) = hvcc.get(16..19) else { return false };
    if [format[0] & 3, format[1] & 7, format[2] & 7] != [HALF, 0, 0] {
        return false;
    }
    sequence_parameters(hvcc).is_some_and(|parameters| is_full_range_bt601(&parameters).unwrap_or(false))
}

/// The bits of the sequence parameter set, behind the header of its unit; `None` unless there is one alone.
fn sequence_parameters(hvcc: &[u8]) -> Option<Bits> {
    const TYPE: u8 = 33;
    let arrays = *hvcc.get(22)?;
    let mut rest = hvcc.get(23..)?;
    let mut found = None;
    for _ in 0..arrays {
        let [kind, high, low, behind @ ..] = rest else { return None };
        rest = behind;
        for _ in 0..u16::from_be_bytes([*high, *low]) {
            let [high, low, behind @ ..] = rest else { return None };
            let (unit, behind) = behind.split_at_checked(usize::from(u16::from_be_bytes([*high, *low])))?;
            rest = behind;
            if kind & 0x3f == TYPE && found.replace(Bits::of_unit(unit.get(2..)?)).is_some() {
                return None;
            }
        }
    }
    found
}

/// `None` where the parameters use what images do not need, or do not say.
fn is_full_range_bt601(set: &Bits) -> Option<bool> {
    let mut bits = set.clone();
    bits.skip(4)?;
    let sub_layers = bits.number(3)?;
    bits.skip(1)?;
    // The profile and the level.
    bits.skip(96)?;
    bits.exponential()?;
    let chroma = bits.exponential()?;
    if sub_layers != 0 || chroma != u32::from(HALF) {
        return None;
    }
    bits.exponentials(2)?; // width, height
    if bits.flag()? {
        bits.exponentials(4)?; // the window that is shown
    }
    bits.exponentials(3)?; // depths, order
    bits.skip(1)?;
    bits.exponentials(3)?; // buffers
    bits.exponentials(6)?; // blocks and transforms
    if bits.flag()? && bits.flag()? {
        return None; // scaling lists
    }
    bits.skip(2)?;
    if bits.flag()? {
        bits.skip(8)?; // samples that are not coded
        bits.exponentials(2)?;
        bits.skip(1)?;
    }
    // Pictures that others refer to.
    if bits.exponential()? != 0 || bits.flag()? {
        return None;
    }
    bits.skip(2)?;
    if !bits.flag()? {
        return None; // nothing is said of the colours
    }
    if bits.flag()? && bits.number(8)? == 255 {
        bits.skip(32)?; // the shape of a pixel
    }
    if bits.flag()? {
        bits.skip(1)?;
    }
    if !bits.flag()? {
        return None;
    }
    bits.skip(3)?;
    let is_full = bits.flag()?;
    let mut coefficients = u32::from(BT601[0]);
    if bits.flag()? {
        bits.skip(16)?;
        coefficients = bits.number(8)?;
    }
    Some(is_full && BT601.iter().any(|known| u32::from(*known) == coefficients))
}

/// Reads bits, the highest of each byte first.
#[derive(Clone)]
struct Bits {
    bytes: Vec<u8>,
    next: usize,
}

impl Bits {
    /// Of a unit, without the bytes that keep it from looking like the start of another one (7.4.2).
    fn of_unit(unit: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(unit.len());
        for (place, byte) in unit.iter().enumerate() {
            if *byte != 3 || place < 2 || unit[place - 2..place] != [0, 0] {
                bytes.push(*byte);
            }
        }
        Self { bytes, next: 0 }
    }

    fn flag(&mut self) -> Option<bool> {
        let byte = self.bytes.get(self.next / 8)?;
        let bit = byte >> (7 - self.next % 8) & 1;
        self.next += 1;
        Some(bit == 1)
    }

    fn skip(&mut self, count: usize) -> Option<()> {
        self.next = self.next.checked_add(count).filter(|next| *next <= 8 * self.bytes.len())?;
        Some(())
    }

    /// A number of at most 32 bits.
    fn number(&mut self, count: usize) -> Option<u32> {
        (0..count).try_fold(0, |number, _| Some(number << 1 | u32::from(self.flag()?)))
    }

    /// A number in the Exp-Golomb code of order 0 (9.2).
    fn exponential(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
        }
        if zeros >= 32 {
            return None;
        }
        Some((1_u32 << zeros) - 1 + self.number(zeros)?)
    }

    fn exponentials(&mut self, count: usize) -> Option<()> {
        (0..count).try_for_each(|_| self.exponential().map(drop))
    }
}

#[cfg(test)]
mod tests {
    use super::is_stored_like_jpeg;

    /// A box with one parameter set, whose bits are these, and the three bytes that say the chroma format and both depths.
    fn hvcc(format: [u8; 3], set: &str) -> Vec<u8> {
        let bits: Vec<u8> = set.bytes().filter(|bit| *bit != b' ').map(|bit| bit - b'0').collect();
        let mut unit = vec![0x42, 1];
        for byte in bits.chunks(8) {
            let byte = (0..8).fold(0, |number, place| number << 1 | byte.get(place).unwrap_or(&1));
            if byte <= 3 && unit.ends_with(&[0, 0]) {
                unit.push(3);
            }
            unit.push(byte);
        }
        let length = u16::try_from(unit.len()).unwrap().to_be_bytes();
        let array = [[0xa1, 0, 1].as_slice(), &length, &unit].concat();
        [[1; 16].as_slice(), &format, &[0, 0, 0, 1], &array].concat()
    }

    /// What stands before the description of the colours: no scaling lists, no pictures that others refer to, with such a description.
    fn set(colors: &str) -> String {
        let profile = "01".repeat(48);
        let blocks = "1 00100 1 00100 1 010";
        let size = "0000000001111000001 0000000001000011101";
        format!("0000 000 1 {profile} 1 010 {size} 0 1 1 00101 0 1 1 1 {blocks} 0 11 0 1 0 11 1 0 0 {colors} 0 0")
    }

    const HALVED: [u8; 3] = [0xfd, 0xf8, 0xf8];

    #[test]
    fn range_and_coefficients_decide() {
        let like = |colors: &str| is_stored_like_jpeg(&hvcc(HALVED, &set(colors)));
        // The last number names the coefficients: BT.601, unspecified, BT.709, BT.2020.
        assert!(like("1 101 1 1 00001100 00001101 00000110"));
        assert!(like("1 101 1 1 00000010 00000010 00000010"));
        assert!(like("1 101 1 0"));
        assert!(!like("1 101 1 1 00000001 00000001 00000001"));
        assert!(!like("1 101 1 1 00001001 00010000 00001001"));
        // Limited range; nothing is said.
        assert!(!like("1 101 0 1 00001100 00001101 00000110"));
        assert!(!like("0"));
    }

    #[test]
    fn other_formats_and_what_is_cut_off_are_another_kind() {
        let colors = set("1 101 1 0");
        for format in
            [[0xfc, 0xf8, 0xf8], [0xfe, 0xf8, 0xf8], [0xff, 0xf8, 0xf8], [0xfd, 0xfa, 0xfa], [0xfd, 0xf8, 0xfa]]
        {
            assert!(!is_stored_like_jpeg(&hvcc(format, &colors)), "{format:?}");
        }
        let whole = hvcc(HALVED, &colors);
        assert!(is_stored_like_jpeg(&whole));
        for length in 0..whole.len() - 1 {
            assert!(!is_stored_like_jpeg(&whole[..length]), "{length}");
        }
        // A second set may be the one that counts.
        let twice = [&whole[..22], &[2], &whole[23..], &whole[23..]].concat();
        assert!(!is_stored_like_jpeg(&twice));
        // A number without an end.
        assert!(!is_stored_like_jpeg(&hvcc(HALVED, &"0".repeat(4000))));
    }
}
