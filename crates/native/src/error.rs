//! The one error of this crate: what libtorch said, on one line.

/// What libtorch, the loader or a check of this crate said. The message is one line and carries no C++ backtrace.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    message: String,
}

/// Short for results of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn new(message: impl AsRef<str>) -> Self {
        Self { message: one_line(message.as_ref()) }
    }
}

impl From<tch::TchError> for Error {
    fn from(error: tch::TchError) -> Self {
        match error {
            tch::TchError::Torch(message) => Self::new(message),
            other => Self::new(other.to_string()),
        }
    }
}

/// libtorch's messages end in a backtrace (through tch) or in pages about registrations, after an empty line; neither helps a reader.
fn one_line(message: &str) -> String {
    let mut lines = message
        .lines()
        .map(str::trim)
        .skip_while(|line| line.is_empty())
        .take_while(|line| !line.is_empty() && !line.starts_with("Exception raised from"));
    let first = lines.next().unwrap_or("libtorch failed and left no message").to_owned();
    lines.fold(first, |joined, line| joined + " " + line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backtrace_and_the_pages_after_an_empty_line_are_cut() {
        let error = Error::new("Could not run 'x'.\n  Try y.\n\nCPU: registered at a.cpp:1\n");
        assert_eq!(error.to_string(), "Could not run 'x'. Try y.");
        let error = Error::new("bad size\nException raised from check at a.cpp:1 (most recent call first):\nframe #0");
        assert_eq!(error.to_string(), "bad size");
    }

    #[test]
    fn an_empty_message_still_says_who_failed() {
        assert_eq!(Error::new("").to_string(), "libtorch failed and left no message");
    }
}
