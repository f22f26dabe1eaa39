//! The checksum of POSIX's `cksum`, which every host can compute.

/// The checksum of some bytes, as `cksum` prints it first.
pub fn cksum(bytes: &[u8]) -> u32 {
    // The length follows the bytes, lowest byte first, in as few bytes as possible.
    let length = std::iter::successors(Some(bytes.len()), |left| Some(left >> 8)).take_while(|left| *left > 0);
    let length = length.map(|left| (left & 0xFF) as u8);
    !bytes.iter().copied().chain(length).fold(0, step)
}

/// Adds one byte to the remainder: polynomial 0x04C11DB7, highest bit first.
fn step(sum: u32, byte: u8) -> u32 {
    (0..8).fold(sum ^ (u32::from(byte) << 24), |sum, _| {
        let carry = if sum & 0x8000_0000 == 0 { 0 } else { 0x04C1_1DB7 };
        (sum << 1) ^ carry
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_what_cksum_prints() {
        assert_eq!(cksum(b""), 4_294_967_295);
        assert_eq!(cksum(b"123456789"), 930_766_865);
        assert_eq!(cksum(&[0xFF; 1024]), 2_603_594_795);
    }
}
