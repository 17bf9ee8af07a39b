//! Levels of a factor, as typed: `0,3,5`, `0..32`, `0..32/4`.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// A choice among the levels of one factor: numbers and half-open ranges with an optional stride, separated by commas.
///
/// | text | levels |
/// |---|---|
/// | `2` | 2 |
/// | `0,3,5` | 0, 3, 5 |
/// | `0..32` | 0, 1, … 31 |
/// | `0..32/4` | 0, 4, … 28 |
/// | `0,10..13` | 0, 10, 11, 12 |
///
/// In JSON a string, a number, or a list of numbers. Numbers are kept as typed until [`Levels::resolve`] holds them against the size of
/// a factor, so a range of any length costs nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Levels {
    items: Vec<Item>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Item {
    start: u64,
    end: u64,
    stride: u64,
}

impl Levels {
    /// The levels below `size`, rising and without doubles.
    ///
    /// # Errors
    /// A sentence, for a level that the factor has not or that is named twice.
    pub fn resolve(&self, size: usize) -> Result<Vec<usize>, String> {
        let mut chosen = vec![false; size];
        for item in &self.items {
            if item.end > size as u64 {
                return Err(format!("expected levels from 0 to {}, got {}", size - 1, item.end - 1));
            }
            for level in (item.start..item.end).step_by(item.stride as usize) {
                if std::mem::replace(&mut chosen[level as usize], true) {
                    return Err(format!("expected each level once, got {level} twice"));
                }
            }
        }
        Ok((0..size).filter(|&level| chosen[level]).collect())
    }
}

impl fmt::Display for Levels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, item) in self.items.iter().enumerate() {
            if index > 0 {
                write!(f, ",")?;
            }
            match (item.end - item.start, item.stride) {
                (1, 1) => write!(f, "{}", item.start)?,
                (_, 1) => write!(f, "{}..{}", item.start, item.end)?,
                (_, stride) => write!(f, "{}..{}/{stride}", item.start, item.end)?,
            }
        }
        Ok(())
    }
}

impl FromStr for Levels {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = || format!("expected levels such as \"0,3,5\", \"0..32\" or \"0..32/4\", got {text:?}");
        let number = |digits: &str| digits.trim().parse::<u32>().map(u64::from).map_err(|_| refuse());
        let item = |part: &str| {
            let Some((start, rest)) = part.split_once("..") else {
                let level = number(part)?;
                return Ok(Item { start: level, end: level + 1, stride: 1 });
            };
            let (end, stride) = rest.split_once('/').unwrap_or((rest, "1"));
            let item = Item { start: number(start)?, end: number(end)?, stride: number(stride)? };
            if item.start >= item.end || item.stride == 0 {
                return Err(format!(
                    "expected a range that is not empty, such as \"0..32\" (0 to 31), got {:?}",
                    part.trim()
                ));
            }
            Ok(item)
        };
        Ok(Self { items: text.split(',').map(item).collect::<Result<_, String>>()? })
    }
}

impl Serialize for Levels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Levels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LevelsVisitor;
        impl<'de> Visitor<'de> for LevelsVisitor {
            type Value = Levels;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("levels such as \"0,3,5\", \"0..32\" or \"0..32/4\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Levels, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_u64<E: de::Error>(self, level: u64) -> Result<Levels, E> {
                self.visit_str(&level.to_string())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Levels, A::Error> {
                let mut items = Vec::new();
                while let Some(level) = list.next_element::<u32>()? {
                    let start = u64::from(level);
                    items.push(Item { start, end: start + 1, stride: 1 });
                }
                if items.is_empty() {
                    return Err(de::Error::invalid_length(0, &self));
                }
                Ok(Levels { items })
            }
        }
        deserializer.deserialize_any(LevelsVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(text: &str, size: usize) -> Result<Vec<usize>, String> {
        text.parse::<Levels>()?.resolve(size)
    }

    #[test]
    fn numbers_ranges_and_strides_mean_what_the_table_says() {
        assert_eq!(resolved("2", 3), Ok(vec![2]));
        assert_eq!(resolved("0,3,5", 6), Ok(vec![0, 3, 5]));
        assert_eq!(resolved("5, 3 ,0", 6), Ok(vec![0, 3, 5]));
        assert_eq!(resolved("0..32", 32), Ok((0..32).collect()));
        assert_eq!(resolved("0..32/4", 32), Ok((0..32).step_by(4).collect()));
        assert_eq!(resolved("0,10..13", 32), Ok(vec![0, 10, 11, 12]));
    }

    #[test]
    fn what_is_refused_is_refused_with_the_expected_form() {
        for text in ["", "a", "1,", "-1", "1..", "..3", "1...3", "0..4/", "0..4/x", "1.5", "99999999999999999999"] {
            let message = resolved(text, 32).unwrap_err();
            assert!(message.starts_with("expected levels such as"), "{text}: {message}");
        }
        for text in ["3..3", "5..2", "0..4/0"] {
            let message = resolved(text, 32).unwrap_err();
            assert!(message.starts_with("expected a range that is not empty"), "{text}: {message}");
        }
        assert_eq!(resolved("0..33", 32).unwrap_err(), "expected levels from 0 to 31, got 32");
        assert_eq!(resolved("0..4000000000", 32).unwrap_err(), "expected levels from 0 to 31, got 3999999999");
        assert_eq!(resolved("1,0..3", 32).unwrap_err(), "expected each level once, got 1 twice");
    }

    #[test]
    fn json_takes_strings_numbers_and_lists_and_prints_strings() {
        for (json, printed) in [("\"0..32/4\"", "\"0..32/4\""), ("7", "\"7\""), ("[1,2]", "\"1,2\"")] {
            let levels: Levels = serde_json::from_str(json).unwrap();
            assert_eq!(serde_json::to_string(&levels).unwrap(), printed);
            assert_eq!(serde_json::from_str::<Levels>(printed).unwrap(), levels);
        }
        for json in ["-1", "1.5", "[]", "[-1]", "true", "null", "{}", "\"x\""] {
            assert!(serde_json::from_str::<Levels>(json).is_err(), "{json}");
        }
    }
}
