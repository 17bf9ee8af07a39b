//! Inputs made from sound ones by chance, the same ones every time.

use fastrand::Rng;

/// Numbers that readers trip over, as bytes in either order.
const EDGES: [u64; 12] =
    [0, 1, 0x7f, 0x80, 0xff, 0xffff, 0x7fff_ffff, 0xffff_ffff, 1 << 32, i64::MAX as u64, 1 << 63, u64::MAX];
/// Pieces of the formats' texts.
const WORDS: [&str; 24] = [
    "{}",
    "[]",
    "null",
    "true",
    "-1",
    "0",
    "1e999",
    "NaN",
    "inf",
    "\"\"",
    "\\u0000",
    "\\n",
    "9223372036854775807",
    "-9223372036854775808",
    "\"from\":",
    "'shape': (0,",
    "'descr': '<f8'",
    "0..4294967295",
    "BF16",
    "F4",
    "\"data_offsets\":[0,0]",
    ",",
    "\n",
    "../../x",
];
/// Longest input made.
const LONGEST: usize = 16 << 10;

/// One input from `seeds`: some of bit flips, truncations, splices, edge numbers, repeats and words.
pub fn mutated(seeds: &[Vec<u8>], random: &mut Rng) -> Vec<u8> {
    let mut bytes = seeds[random.usize(..seeds.len())].clone();
    for _ in 0..random.u32(1..=4) {
        let place = random.usize(..=bytes.len());
        match random.u32(..8) {
            0 | 1 if !bytes.is_empty() => bytes[place.min(place.saturating_sub(1))] ^= 1 << random.u32(..8),
            2 => bytes.truncate(place),
            3 => {
                let other = &seeds[random.usize(..seeds.len())];
                let start = random.usize(..=other.len());
                bytes.truncate(place);
                bytes.extend_from_slice(&other[start..]);
            }
            4 => {
                let edge = EDGES[random.usize(..EDGES.len())];
                let width = 1 << random.u32(..4);
                let ordered =
                    if random.bool() { edge.to_le_bytes() } else { (edge << (64 - 8 * width as u32)).to_be_bytes() };
                let end = bytes.len().min(place + width);
                let length = end - place;
                bytes[place..end].copy_from_slice(&ordered[..length]);
            }
            5 => {
                let end = random.usize(place..=bytes.len());
                let piece = bytes[place..end].to_vec();
                bytes.splice(place..place, piece);
            }
            6 => {
                let word = WORDS[random.usize(..WORDS.len())];
                let end = random.usize(place..=bytes.len().min(place + 12));
                bytes.splice(place..end, word.bytes());
            }
            _ => {
                let end = random.usize(place..=bytes.len());
                bytes.drain(place..end);
            }
        }
        bytes.truncate(LONGEST);
    }
    bytes
}
