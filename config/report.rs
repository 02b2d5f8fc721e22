//! Everything that is wrong with the files, as a person reads it: place, line, caret, hint.

use std::fmt::{self, Write as _};

use tapetum_pipeline::Component;

use crate::Source;
use crate::finding::{Finding, Findings, Place};
use crate::position::Position;
use crate::secrecy::Secrecy;

/// A line that is longer is cut around the caret.
const LINE_CHARS_MAX: usize = 120;

/// All findings of all files. Printed, it holds no secret.
pub struct Report {
    sources: Vec<Source>,
    findings: Vec<Finding>,
    secrecy: Secrecy,
}

/// How the parts of a message look.
struct Style {
    error: &'static str,
    place: &'static str,
    hint: &'static str,
    plain: &'static str,
}

const PLAIN: Style = Style {
    error: "",
    place: "",
    hint: "",
    plain: "",
};
const COLOUR: Style = Style {
    error: "\x1b[1;31m",
    place: "\x1b[34m",
    hint: "\x1b[32m",
    plain: "\x1b[0m",
};

impl Report {
    pub(crate) fn new(
        sources: Vec<Source>,
        findings: Findings,
        components: &[&'static Component],
    ) -> Self {
        Self {
            secrecy: Secrecy::new(&findings, components),
            findings: findings.sorted(&sources),
            sources,
        }
    }

    /// How many things are wrong.
    #[must_use]
    pub fn errors(&self) -> usize {
        self.findings.len()
    }

    /// What is wrong in one line, for a log or a status: the first things with their places.
    #[must_use]
    pub fn summary(&self) -> String {
        const SHOWN: usize = 3;
        let lines = self.findings.iter().take(SHOWN).map(|finding| {
            let message = printable(&finding.message);
            let Some(place) = &finding.place else {
                return message;
            };
            let source = &self.sources[place.source];
            let at = Position::of(&source.text, place.span.0);
            let name = printable(&source.name);
            format!("{name}:{}:{}: {message}", at.line, at.column)
        });
        let mut text = lines.collect::<Vec<_>>().join("; ");
        if self.errors() > SHOWN {
            let _ = write!(text, "; and {} more", self.errors() - SHOWN);
        }
        text
    }

    /// The text for a person; with colour for a terminal only.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let style = if colour { &COLOUR } else { &PLAIN };
        let mut text = String::new();
        for finding in &self.findings {
            // Writing to a string cannot fail.
            let _ = self.write_finding(finding, style, &mut text);
            text.push('\n');
        }
        let plural = if self.errors() == 1 { "" } else { "s" };
        let _ = writeln!(text, "{} error{plural}", self.errors());
        text
    }

    fn write_finding(&self, finding: &Finding, style: &Style, to: &mut String) -> fmt::Result {
        let Style {
            error, hint, plain, ..
        } = style;
        let message = printable(&finding.message);
        writeln!(to, "{error}error{plain}: {message}")?;
        if let Some(place) = &finding.place {
            self.write_place(place, "", style, to)?;
        }
        if let Some((place, label)) = &finding.other {
            self.write_place(place, label, style, to)?;
        }
        if let Some(text) = &finding.hint {
            let text = printable(text);
            writeln!(to, "  {hint}hint{plain}: {text}")?;
        }
        Ok(())
    }

    fn write_place(
        &self,
        place: &Place,
        label: &str,
        style: &Style,
        to: &mut String,
    ) -> fmt::Result {
        let source = &self.sources[place.source];
        let at = Position::of(&source.text, place.span.0);
        let number = at.line.to_string();
        let margin = " ".repeat(number.len());
        let Style {
            error,
            place: dim,
            plain,
            ..
        } = style;
        let name = printable(&source.name);
        writeln!(
            to,
            "{margin}{dim}-->{plain} {name}:{}:{}",
            at.line, at.column
        )?;
        let hidden = self
            .secrecy
            .of_line(place.source, &source.text, at.start, at.text);
        let ends = (
            place.span.0.saturating_sub(at.start),
            place.span.1.saturating_sub(at.start),
        );
        let (line, before, marked) = shown(at.text, &hidden, ends);
        let indent = " ".repeat(before);
        let carets = "^".repeat(marked.max(1));
        let label = if label.is_empty() {
            String::new()
        } else {
            format!(" {label}")
        };
        writeln!(to, "{margin} {dim}|{plain}")?;
        writeln!(to, "{dim}{number} |{plain} {line}")?;
        writeln!(
            to,
            "{margin} {dim}|{plain} {indent}{error}{carets}{plain}{label}"
        )
    }
}

/// A line as it is printed, with the column and the width of what is marked in it. Hidden pieces
/// become three stars, whatever their length.
fn shown(
    line: &str,
    hidden: &[(usize, usize)],
    (start, end): (usize, usize),
) -> (String, usize, usize) {
    let mut chars: Vec<char> = Vec::new();
    let (mut from, mut to) = (None, None);
    let mut last_hidden = None;
    for (at, each) in line.char_indices() {
        if at >= start {
            from.get_or_insert(chars.len());
        }
        if at >= end {
            to.get_or_insert(chars.len());
        }
        let piece = hidden
            .iter()
            .position(|(start, end)| (*start..*end).contains(&at));
        match piece {
            Some(_) if piece == last_hidden => {}
            Some(_) => chars.extend(['*'; 3]),
            None => chars.push(printable_char(each)),
        }
        last_hidden = piece;
    }
    let from = from.unwrap_or(chars.len());
    let to = to.unwrap_or(chars.len()).max(from);
    if chars.len() <= LINE_CHARS_MAX {
        return (chars.into_iter().collect(), from, to - from);
    }
    let cut = from.saturating_sub(LINE_CHARS_MAX / 3);
    let end = (cut + LINE_CHARS_MAX).min(chars.len());
    let mut text: String = chars[cut..end].iter().collect();
    if end < chars.len() {
        text.push('…');
    }
    (text, from - cut, to.min(end) - from)
}

/// What a file holds must not steer a terminal.
fn printable_char(each: char) -> char {
    match each {
        '\t' => ' ',
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        _ if each.is_control() => '\u{fffd}',
        _ => each,
    }
}

fn printable(text: &str) -> String {
    text.chars().map(printable_char).collect()
}

impl fmt::Display for Report {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(&self.render(false))
    }
}

impl fmt::Debug for Report {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, to)
    }
}

impl std::error::Error for Report {}
