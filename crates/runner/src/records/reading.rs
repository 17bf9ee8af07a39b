//! What is read back of an event: its step, its tags, its scalars. Nothing else of the message is decoded.
//!
//! The messages that write events ([`super::messages`]) are not asked to read them: a record with a sound checksum may come from anywhere,
//! and the decoder of the `protobuf` crate (2.28) makes room for a packed list of any length that the record claims, up to a panic.

/// An event, as far as a run cares.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Seen {
    /// Its step; 0 where none is said.
    pub(super) step: i64,
    pub(super) content: Content,
}

/// What an event holds.
#[derive(Debug, Default, PartialEq)]
pub(super) enum Content {
    /// Something else, or nothing.
    #[default]
    Other,
    /// The file's version: the first event of every file.
    Version,
    /// Values: tag, and the scalar where it is one.
    Values(Vec<(String, Option<f32>)>),
    /// The message of a session log.
    Session(String),
}

impl Seen {
    /// Reads a record; `None` where it is no sound message.
    pub(super) fn read(record: &[u8]) -> Option<Self> {
        let mut seen = Self::default();
        // Numbers of the fields as in TensorFlow's event.proto and summary.proto; of several contents the last one counts.
        for field in Fields(record) {
            match field? {
                (2, Value::Integer(step)) => seen.step = step.cast_signed(),
                (3, Value::Bytes(version)) => {
                    str::from_utf8(version).ok()?;
                    seen.content = Content::Version;
                }
                (5, Value::Bytes(summary)) => seen.content = Content::Values(values(summary)?),
                (7, Value::Bytes(session)) => seen.content = Content::Session(text(session, 3)?),
                (4 | 6 | 8 | 9, _) => seen.content = Content::Other,
                // A field of ours with a value of another kind.
                (2 | 3 | 5 | 7, _) => return None,
                _ => {}
            }
        }
        Some(seen)
    }

    /// Its values.
    pub(super) fn values(&self) -> Option<&[(String, Option<f32>)]> {
        if let Content::Values(values) = &self.content { Some(values) } else { None }
    }

    /// Whether one of its values is of this tag.
    pub(super) fn bears(&self, tag: &str) -> bool {
        self.values().is_some_and(|values| values.iter().any(|(other, _)| other == tag))
    }
}

fn values(summary: &[u8]) -> Option<Vec<(String, Option<f32>)>> {
    let mut values = Vec::new();
    for field in Fields(summary) {
        match field? {
            (1, Value::Bytes(bytes)) => values.push((text(bytes, 1)?, scalar(bytes)?)),
            (1, _) => return None,
            _ => {}
        }
    }
    Some(values)
}

/// The scalar of a value: its field 2, unless another kind of value follows. `None` where the message is not sound.
#[allow(clippy::option_option, reason = "the outer one is an error, the inner one a value of another kind")]
fn scalar(value: &[u8]) -> Option<Option<f32>> {
    let mut scalar = None;
    for field in Fields(value) {
        match field? {
            (2, Value::Four(bits)) => scalar = Some(f32::from_bits(bits)),
            (2, _) => return None,
            (3..=6 | 8, _) => scalar = None,
            _ => {}
        }
    }
    Some(scalar)
}

/// The text in a field of a message; empty where there is none.
fn text(message: &[u8], wanted: u32) -> Option<String> {
    let mut text = "";
    for field in Fields(message) {
        match field? {
            (number, Value::Bytes(bytes)) if number == wanted => text = str::from_utf8(bytes).ok()?,
            (number, _) if number == wanted => return None,
            _ => {}
        }
    }
    Some(text.to_owned())
}

/// A field's value in protocol buffers' encoding.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Value<'a> {
    Integer(u64),
    Eight,
    Four(u32),
    Bytes(&'a [u8]),
}

/// The fields of a message, by number; ends with a `None` where the message is not sound. No recursion, no memory.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Option<(u32, Value<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field)
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Option<(u32, Value<'a>)> {
        let key = u32::try_from(self.integer()?).ok()?;
        let value = match key & 7 {
            0 => Value::Integer(self.integer()?),
            1 => self.take(8).map(|_| Value::Eight)?,
            2 => {
                let length = usize::try_from(self.integer()?).ok()?;
                Value::Bytes(self.take(length)?)
            }
            5 => Value::Four(u32::from_le_bytes(self.take(4)?.try_into().ok()?)),
            // Groups, which no event has, and what is no kind at all.
            _ => return None,
        };
        (key >> 3 > 0).then_some((key >> 3, value))
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    /// Seven bits a byte, the lowest first; ten bytes at most.
    fn integer(&mut self) -> Option<u64> {
        let mut value = 0;
        for place in 0..10 {
            let byte = *self.take(1)?.first()?;
            value |= u64::from(byte & 0x7f) << (7 * place);
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protobuf::Message;
    use tensorboard_proto::event::Event;

    use crate::records::messages;

    /// The encoder is the `protobuf` crate's, so the reader is held to what others write.
    #[test]
    fn an_event_is_read_as_it_was_encoded() {
        let values = vec![messages::scalar("train/elbo", -1.5), messages::text("about", "words")];
        let mut event = Event::new();
        event.set_step(-7);
        event.set_wall_time(1e9);
        event.set_summary(messages::summary(values));
        let seen = Seen::read(&event.write_to_bytes().unwrap()).unwrap();
        let expected = vec![("train/elbo".to_owned(), Some(-1.5)), ("about".to_owned(), None)];
        assert_eq!(seen, Seen { step: -7, content: Content::Values(expected) });
        assert!(seen.bears("about") && !seen.bears("abou"));
    }

    /// A histogram whose packed list claims 2⁶⁴ − 1 bytes: the decoder of `protobuf` 2.28 asks for the memory and panics.
    #[test]
    fn a_claimed_length_is_never_believed() {
        let mut list = vec![0x32];
        list.extend([0xff; 9]);
        list.push(1);
        let within = |key: u8, bytes: &[u8]| [&[key, bytes.len() as u8], bytes].concat();
        let value = [within(0x0a, b"tag"), within(0x2a, &list)].concat();
        let record = within(0x2a, &within(0x0a, &value));
        // The histogram is not looked into: the event bears a value that is no scalar.
        let expected = Content::Values(vec![("tag".to_owned(), None)]);
        assert_eq!(Seen::read(&record), Some(Seen { step: 0, content: expected }));
        // One level up the same claim is seen.
        assert_eq!(Seen::read(&within(0x2a, &list)).map(|seen| seen.content), None);
        assert_eq!(Seen::read(&list), None);
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let cases: [&[u8]; 7] =
            [&[0x10], &[0x10, 0x80], &[0x0b, 0x0c], &[0x07], &[0x00, 0x00], &[0x2a, 0x01, 0x0a], &[0x1a, 0x01, 0xff]];
        for case in cases {
            assert_eq!(Seen::read(case), None, "{case:02x?}");
        }
        assert_eq!(Seen::read(&[]), Some(Seen::default()));
    }
}
