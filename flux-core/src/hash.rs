//! A hash of 128 bits. What it gives is recorded in digests and ids: it never changes. It is not for secrets.

pub(crate) const SEED: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;

pub(crate) fn mix(hash: u128, word: u128) -> u128 {
    let mixed = (hash ^ word).wrapping_mul(PRIME);
    mixed ^ (mixed >> 67)
}

/// The hash of `bytes` where they are of a sort that `tag` names.
pub(crate) fn hash_bytes(tag: u8, bytes: &[u8]) -> u128 {
    let mut hash = mix(SEED, u128::from(tag));
    for chunk in bytes.chunks(16) {
        let mut word = [0; 16];
        word[..chunk.len()].copy_from_slice(chunk);
        hash = mix(hash, u128::from_le_bytes(word));
    }
    mix(hash, bytes.len() as u128)
}
