//! What the fuzz targets share: a host that answers what it is told to, cuts of its bytes, and what people may be shown.

pub mod canned;

/// A number that depends on the bytes alone: FNV-1a.
pub fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

/// The bytes in pieces, by a rule that depends on them alone: an input that fails fails again.
pub fn cut(bytes: &[u8]) -> Vec<&[u8]> {
    let mut state = hash(bytes) | 1;
    // Every other input byte by byte: that meets each boundary there is.
    let longest = if state & 2 == 0 { 1 } else { 40 };
    let (mut rest, mut pieces) = (bytes, Vec::new());
    while !rest.is_empty() {
        // Xorshift.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let length = 1 + usize::try_from(state % longest).unwrap_or(0);
        let (piece, after) = rest.split_at(length.min(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    pieces
}

/// Panics where a terminal would obey a part of the text: control characters and the marks that reorder it.
#[track_caller]
pub fn assert_harmless(text: &str) {
    let obeyed = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    assert!(!text.contains(obeyed), "{text:?}");
}
