//! One seed, several streams of random numbers that share nothing.

use elbo_core::Generator;
use tch::Device;

/// What a stream is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Initial parameters.
    Initialisation,
    /// Data order and noise of training.
    Training,
    /// The fixed subset of the evaluations.
    Subset,
    /// The evaluation after so many updates.
    Evaluation(u64),
    /// The pictures after so many updates.
    Pictures(u64),
    /// The scores after so many updates.
    Scores(u64),
}

/// A stream's generator on `device`.
///
/// # Errors
/// When libtorch makes none.
pub fn generator(device: Device, seed: u64, stream: Stream) -> elbo_native::Result<Generator> {
    Generator::new(device, stream_seed(seed, stream))
}

/// The stream's own seed: the finaliser of `SplitMix64` over the run's seed, the stream and its number.
fn stream_seed(seed: u64, stream: Stream) -> u64 {
    let (kind, number) = match stream {
        Stream::Initialisation => (1, 0),
        Stream::Training => (2, 0),
        Stream::Subset => (3, 0),
        Stream::Evaluation(step) => (4, step),
        Stream::Pictures(step) => (5, step),
        Stream::Scores(step) => (6, step),
    };
    [seed, kind, number].iter().fold(0, |state, &word| mix(mix(state) ^ word))
}

fn mix(word: u64) -> u64 {
    let mut word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::{Stream, stream_seed};
    use std::collections::HashSet;

    /// Neighbouring seeds, streams and steps are what users type; none may meet.
    #[test]
    fn streams_of_neighbouring_seeds_and_steps_all_differ() {
        let mut seen = HashSet::new();
        for seed in 0..50 {
            for step in 0..50 {
                assert!(seen.insert(stream_seed(seed, Stream::Evaluation(step))));
                assert!(seen.insert(stream_seed(seed, Stream::Pictures(step))));
                assert!(seen.insert(stream_seed(seed, Stream::Scores(step))));
            }
            for stream in [Stream::Initialisation, Stream::Training, Stream::Subset] {
                assert!(seen.insert(stream_seed(seed, stream)));
            }
        }
    }
}
