//! Fixed-width base62 encoding (`0-9A-Za-z`) of big-endian numbers, used in tokens and client
//! secrets.
//!
//! The alphabet needs no escaping in URLs, forms and headers, and a double click selects the whole
//! value. The number of digits depends only on the number of bytes, and decoding rejects numbers
//! that do not fit into those bytes. Each value therefore has exactly one encoding.

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const INVALID: u8 = 255;

/// Value (0 to 61) of each byte as a base62 digit, or `INVALID` for a byte outside the alphabet.
const VALUES: [u8; 256] = values();

/// 62^10, the largest power of 62 that fits into 64 bits. Encoding and decoding process ten base62
/// digits at once.
const CHUNK: u64 = 62u64.pow(CHUNK_DIGITS as u32);
const CHUNK_DIGITS: usize = 10;

#[allow(clippy::indexing_slicing)] // evaluated by the compiler, which checks the bounds
const fn values() -> [u8; 256] {
    let mut table = [INVALID; 256];
    let mut digit = 0;
    while digit < ALPHABET.len() {
        table[ALPHABET[digit] as usize] = digit as u8;
        digit += 1;
    }
    table
}

fn value_of(byte: u8) -> Option<u64> {
    VALUES.get(usize::from(byte)).copied().filter(|value| *value != INVALID).map(u64::from)
}

#[expect(clippy::indexing_slicing, reason = "the remainder is less than the length")]
fn digit_of(value: u64) -> char {
    char::from(ALPHABET[(value % 62) as usize])
}

/// Returns the number of base62 digits that encode `bytes` bytes.
pub(super) const fn width(bytes: usize) -> usize {
    // ceil(bytes * 8 / log2(62)), with log2(62) = 5.9541963…
    (bytes * 8 * 10_000).div_ceil(59_541)
}

/// Appends the base62 encoding of `bytes` (at most 32) to `out`, most significant digit first.
pub(super) fn encode(bytes: &[u8], out: &mut String) {
    let mut limbs = to_limbs(bytes);
    let digits = width(bytes.len());
    let mut reversed = ['0'; 64];
    let mut cells = reversed.iter_mut().take(digits);
    let mut left = digits;
    while left > 0 {
        let mut rest = divide(&mut limbs, CHUNK);
        for _ in 0..left.min(CHUNK_DIGITS) {
            if let Some(cell) = cells.next() {
                *cell = digit_of(rest);
            }
            rest /= 62;
        }
        left = left.saturating_sub(CHUNK_DIGITS);
    }
    out.extend(reversed.iter().take(digits).rev());
}

/// Decodes exactly `width(N)` base62 digits into `N` bytes (at most 32). Returns `None` if the text
/// has another length, an invalid digit or too large a value.
pub(super) fn decode<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    if text.len() != width(N) {
        return None;
    }
    let mut limbs = [0u64; 4];
    // The first chunk takes the remainder, so that all later chunks have ten digits.
    let (first, rest) = text.split_at_checked(text.len() % CHUNK_DIGITS)?;
    for chunk in std::iter::once(first).chain(rest.chunks(CHUNK_DIGITS)) {
        let mut value = 0u64;
        for byte in chunk {
            value = value * 62 + value_of(*byte)?;
        }
        let scale = if chunk.len() == CHUNK_DIGITS { CHUNK } else { 1 };
        multiply_add(&mut limbs, scale, value)?;
    }
    from_limbs(&limbs)
}

/// Converts a big-endian number of at most 32 bytes to 64-bit limbs, least significant limb first.
fn to_limbs(bytes: &[u8]) -> [u64; 4] {
    let mut limbs = [0u64; 4];
    for (limb, chunk) in limbs.iter_mut().zip(bytes.rchunks(8)) {
        *limb = chunk.iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte));
    }
    limbs
}

fn from_limbs<const N: usize>(limbs: &[u64; 4]) -> Option<[u8; N]> {
    let mut wide = [0u8; 32];
    for (chunk, limb) in wide.rchunks_mut(8).zip(limbs) {
        chunk.copy_from_slice(&limb.to_be_bytes());
    }
    let (head, tail) = wide.split_at_checked(32usize.checked_sub(N)?)?;
    if head.iter().any(|byte| *byte != 0) {
        return None;
    }
    tail.try_into().ok()
}

/// Divides the 256-bit number `limbs` by `by` in place and returns the remainder.
fn divide(limbs: &mut [u64; 4], by: u64) -> u64 {
    let mut remainder = 0u64;
    for limb in limbs.iter_mut().rev() {
        let wide = (u128::from(remainder) << 64) | u128::from(*limb);
        *limb = (wide / u128::from(by)) as u64;
        remainder = (wide % u128::from(by)) as u64;
    }
    remainder
}

/// Multiplies the 256-bit number `limbs` by `by` and adds `add`, in place. Returns `None` if the
/// result exceeds 256 bits.
fn multiply_add(limbs: &mut [u64; 4], by: u64, add: u64) -> Option<()> {
    let mut carry = u128::from(add);
    for limb in limbs.iter_mut() {
        let wide = u128::from(*limb) * u128::from(by) + carry;
        *limb = wide as u64;
        carry = wide >> 64;
    }
    (carry == 0).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn encoded_widths_match_token_format() {
        assert_eq!((width(16), width(32), width(4)), (22, 43, 6));
    }

    #[test]
    fn decoding_text_above_maximum_value_fails() {
        assert!(decode::<16>(b"zzzzzzzzzzzzzzzzzzzzzz").is_none());
        assert!(decode::<32>(&[b'z'; 43]).is_none());
        let mut largest = String::new();
        encode(&[255; 16], &mut largest);
        assert_eq!(decode::<16>(largest.as_bytes()), Some([255; 16]));
    }

    proptest! {
        #[test]
        fn encoded_bytes_decode_to_same_bytes(bytes: [u8; 32]) {
            let mut text = String::new();
            encode(&bytes, &mut text);
            prop_assert_eq!(text.len(), 43);
            prop_assert_eq!(decode::<32>(text.as_bytes()), Some(bytes));
        }

        #[test]
        fn decoded_text_encodes_to_same_text(text in "[0-9A-Za-z]{22}") {
            if let Some(bytes) = decode::<16>(text.as_bytes()) {
                let mut again = String::new();
                encode(&bytes, &mut again);
                prop_assert_eq!(again, text);
            }
        }
    }
}
