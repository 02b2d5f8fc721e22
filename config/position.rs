//! From a byte of a source to what a person counts: line and column, and the line's text.

/// A line of a source with one of its columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position<'a> {
    /// Counted from 1.
    pub(crate) line: usize,
    /// In characters, counted from 1.
    pub(crate) column: usize,
    /// The line without its end.
    pub(crate) text: &'a str,
    /// Where the line starts in the source.
    pub(crate) start: usize,
}

impl<'a> Position<'a> {
    /// The position of a byte; beyond the end it is the end, inside a character that character.
    pub(crate) fn of(source: &'a str, byte: usize) -> Self {
        let mut at = byte.min(source.len());
        while !source.is_char_boundary(at) {
            at -= 1;
        }
        let before = &source[..at];
        let start = before.rfind('\n').map_or(0, |end| end + 1);
        let end = source[at..].find('\n').map_or(source.len(), |len| at + len);
        Self {
            line: before.matches('\n').count() + 1,
            column: source[start..at].chars().count() + 1,
            text: source[start..end].trim_end_matches('\r'),
            start,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_characters_not_bytes() {
        let at = Position::of("a\nbéé = 1\r\n", 7);
        assert_eq!((at.line, at.column, at.text), (2, 4, "béé = 1"));
    }

    #[test]
    fn the_end_is_a_position_too() {
        let at = Position::of("a\n", 99);
        assert_eq!((at.line, at.column, at.text), (2, 1, ""));
        assert_eq!(Position::of("", 0).line, 1);
    }
}
