//! Shared by the fuzz targets: a host with a fixed answer, cuts of its bytes, and a check of what users may be shown.

pub mod canned;

/// A number that depends only on the bytes: FNV-1a.
pub fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

/// Cuts the bytes by a rule that depends only on them, so that a failing input fails again.
pub fn cut(bytes: &[u8]) -> Vec<&[u8]> {
    let mut state = hash(bytes) | 1;
    // Half of the inputs are cut into single bytes, which tests every boundary.
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

/// Panics if a terminal would act on a part of the text: control characters and characters that reorder it.
#[track_caller]
pub fn assert_harmless(text: &str) {
    let obeyed = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    assert!(!text.contains(obeyed), "{text:?}");
}
