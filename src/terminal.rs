//! Where a command's data and complaints go: colour only for a person, and a reader that goes away
//! ends the command without noise.

use std::io::{self, IsTerminal, Write};

/// Standard output and standard error.
pub(crate) struct Terminal {
    out: io::BufWriter<io::Stdout>,
    out_colour: bool,
    err_colour: bool,
}

const BOLD: &str = "\x1b[1m";
const FAINT: &str = "\x1b[2m";
const RED: &str = "\x1b[1;31m";
const GREEN: &str = "\x1b[32m";
const YELLOW: &str = "\x1b[33m";
const PLAIN: &str = "\x1b[0m";

impl Terminal {
    pub(crate) fn new() -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        Self {
            out: io::BufWriter::new(io::stdout()),
            out_colour: wanted && io::stdout().is_terminal(),
            err_colour: wanted && io::stderr().is_terminal(),
        }
    }

    /// Writes data and hands it over at once.
    pub(crate) fn write(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }

    /// Says on standard error what went wrong; where nobody reads that, nobody is told.
    pub(crate) fn complain(&self, message: &str) {
        let (red, plain) = if self.err_colour {
            (RED, PLAIN)
        } else {
            ("", "")
        };
        let _ = writeln!(io::stderr(), "{red}error{plain}: {message}");
    }

    /// Prints a text on standard error that is made for it.
    pub(crate) fn report(&self, text: impl FnOnce(bool) -> String) {
        let _ = io::stderr().write_all(text(self.err_colour).as_bytes());
    }

    /// What makes room for the next table; on a terminal only.
    pub(crate) fn clear(&self) -> &'static str {
        if self.out_colour { "\x1b[H\x1b[2J" } else { "" }
    }

    /// A text that stands out, for data.
    pub(crate) fn bold(&self, text: &str) -> String {
        self.styled(BOLD, text)
    }

    /// A text that stands back, for data.
    pub(crate) fn faint(&self, text: &str) -> String {
        self.styled(FAINT, text)
    }

    /// A text that says that something is as it should be.
    pub(crate) fn good(&self, text: &str) -> String {
        self.styled(GREEN, text)
    }

    /// A text that says that something is not quite so.
    pub(crate) fn warning(&self, text: &str) -> String {
        self.styled(YELLOW, text)
    }

    /// A text that says that something is wrong.
    pub(crate) fn bad(&self, text: &str) -> String {
        self.styled(RED, text)
    }

    fn styled(&self, style: &str, text: &str) -> String {
        if self.out_colour {
            format!("{style}{text}{PLAIN}")
        } else {
            text.to_owned()
        }
    }
}

/// Whether the reader of standard output has gone: no error of ours.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    })
}
