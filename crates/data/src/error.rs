//! What can be wrong with data, in one line that a person reads.

use std::io;
use std::path::{Path, PathBuf};

/// A file, a setting or a machine that cannot give the data asked for. Its `Display` is complete and one line long.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A file or folder that cannot be opened or read.
    #[error("{}: cannot be read: {cause}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        cause: io::Error,
    },
    /// A file that cannot be created, written or renamed.
    #[error("{}: cannot be written: {cause}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        cause: io::Error,
    },
    /// A file that does not hold what its format or its own header promises.
    #[error("{}: {}", path.display(), one_line(problem))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was expected and what was found.
        problem: String,
    },
    /// A setting of [`DataConfig`](crate::DataConfig) that does not fit, alone or with the data. `field` is the path inside
    /// the `data` object of a run's configuration: the runner prints `<file>: data.<field>: <message>`.
    #[error("{field}: {}", one_line(message))]
    Field {
        /// The field, such as `subset.shape`.
        field: String,
        /// What was expected and what was given.
        message: String,
    },
    /// Not enough memory for the images, on the host or on the device.
    #[error("no memory for {bytes} bytes of images{}", if detail.is_empty() { String::new() } else { format!(": {detail}") })]
    Memory {
        /// Bytes asked for.
        bytes: u64,
        /// What the allocator said, or nothing.
        detail: String,
    },
    /// Images rendered on this machine differ from the published data set.
    #[error("rendered images differ from dSprites: {0}")]
    Render(String),
    /// A tensor or list given in code that is not of the kind and size it should be.
    #[error("{0}")]
    Tensor(String),
    /// A state of a [`BatchOrder`](crate::BatchOrder), read from a checkpoint, that is none.
    #[error("data order: {0}")]
    Order(String),
    /// libtorch refused an operation.
    #[error(transparent)]
    Native(#[from] elbo_native::Error),
}

impl DataError {
    pub(crate) fn read(path: &Path, cause: io::Error) -> Self {
        Self::Read { path: path.to_owned(), cause }
    }

    pub(crate) fn write(path: &Path, cause: io::Error) -> Self {
        Self::Write { path: path.to_owned(), cause }
    }

    pub(crate) fn damaged(path: &Path, problem: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), problem: problem.into() }
    }

    pub(crate) fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Field { field: field.into(), message: message.into() }
    }

    /// For a read that ended in the middle of what the format promises: `Damaged` for a file that is too short or that
    /// does not decompress, `Read` for what the operating system refused.
    pub(crate) fn content(path: &Path, cause: io::Error) -> Self {
        match cause.kind() {
            io::ErrorKind::UnexpectedEof => Self::damaged(path, "the file ends too early: expected more bytes"),
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::Other => {
                Self::damaged(path, format!("expected sound compressed data, got: {cause}"))
            }
            _ => Self::read(path, cause),
        }
    }
}

/// What a damaged file says about itself may hold any character: those that would break the line are written as escapes.
fn one_line(text: &str) -> String {
    let escaped = |character: char| {
        if character.is_control() { character.escape_debug().to_string() } else { character.to_string() }
    };
    text.chars().map(escaped).collect()
}

#[cfg(test)]
mod tests {
    use super::DataError;

    #[test]
    fn an_error_stays_on_one_line_whatever_the_file_says() {
        let error = DataError::Damaged { path: "some.npz".into(), problem: "got '\nescr\u{1b}[2J'".to_owned() };
        assert_eq!(error.to_string(), "some.npz: got '\\nescr\\u{1b}[2J'");
    }
}
