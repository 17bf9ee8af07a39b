//! The framing of an event file, `TFRecord`: length, its checksum, the bytes, their checksum; checksums are masked CRC-32C.

use std::io::{self, Read};

use tensorboard_rs::masked_crc32c::masked_crc32c;

/// Longest record that is read. The largest one that a run writes is a picture of a few megabytes.
const MAX_LENGTH: u64 = 1 << 28;

/// One step through an event file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// A whole record.
    Record(Vec<u8>),
    /// A record whose bytes were altered; its length is sound, so reading goes on after it.
    Altered,
    /// The rest cannot be read: the writer was killed within a record, or a length is damaged.
    Torn,
    /// The end, after a whole record.
    End,
}

/// Reads records until the end or the first place from which no reader could go on.
pub(super) struct Frames<R> {
    reader: R,
    remaining: u64,
    finished: bool,
}

impl<R: Read> Frames<R> {
    /// Reads `reader`, which holds `length` bytes: no record is believed to be longer than what is left of them.
    pub(super) fn new(reader: R, length: u64) -> Self {
        Self { reader, remaining: length, finished: false }
    }

    /// The next frame; after [`Frame::Torn`] or [`Frame::End`] always [`Frame::End`].
    pub(super) fn next(&mut self) -> io::Result<Frame> {
        if self.finished {
            return Ok(Frame::End);
        }
        let frame = self.read()?;
        self.finished = matches!(frame, Frame::Torn | Frame::End);
        Ok(frame)
    }

    fn read(&mut self) -> io::Result<Frame> {
        let header = self.take(12)?;
        if header.is_empty() {
            return Ok(Frame::End);
        }
        let Some((length, checksum)) = header.split_first_chunk::<8>() else { return Ok(Frame::Torn) };
        if checksum != masked_crc32c(length).to_le_bytes() {
            return Ok(Frame::Torn);
        }
        let length = u64::from_le_bytes(*length);
        if length > MAX_LENGTH || length.saturating_add(4) > self.remaining {
            return Ok(Frame::Torn);
        }
        let bytes = self.take(length)?;
        let checksum = self.take(4)?;
        if (bytes.len() as u64) < length || checksum.len() < 4 {
            return Ok(Frame::Torn);
        }
        if checksum == masked_crc32c(&bytes).to_le_bytes() { Ok(Frame::Record(bytes)) } else { Ok(Frame::Altered) }
    }

    /// Up to `length` bytes, fewer only where the file ends.
    fn take(&mut self, length: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.reader.by_ref().take(length).read_to_end(&mut bytes)?;
        self.remaining = self.remaining.saturating_sub(bytes.len() as u64);
        Ok(bytes)
    }
}
