//! JSON, token by token. Nothing is kept of what was read.

use std::borrow::Cow;

use super::{DEPTH_MAX, JsonError};

/// A place in a text.
pub(super) struct Reader<'a> {
    text: &'a str,
    at: usize,
}

/// An object or a list that is being read.
pub(super) struct Group {
    begun: bool,
}

impl Group {
    /// Whether there is one more; at the end what closes it is read too.
    pub(super) fn next(&mut self, from: &mut Reader<'_>, close: u8) -> Result<bool, JsonError> {
        if from.peek() == Some(close) {
            from.at += 1;
            return Ok(false);
        }
        if self.begun {
            from.expect(b',')?;
        }
        self.begun = true;
        Ok(true)
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// What is wrong here.
    pub(super) fn wrong(&self, why: impl Into<String>) -> JsonError {
        JsonError::Malformed {
            at: self.at,
            why: why.into(),
        }
    }

    /// The next byte that is not white.
    pub(super) fn peek(&mut self) -> Option<u8> {
        let rest = &self.text.as_bytes()[self.at..];
        let white = rest
            .iter()
            .take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'));
        self.at += white.count();
        self.text.as_bytes().get(self.at).copied()
    }

    pub(super) fn expect(&mut self, byte: u8) -> Result<(), JsonError> {
        if self.peek() != Some(byte) {
            return Err(self.wrong(format!("`{}` is missing", char::from(byte))));
        }
        self.at += 1;
        Ok(())
    }

    pub(super) fn open(&mut self, byte: u8, what: &str) -> Result<Group, JsonError> {
        if self.peek() != Some(byte) {
            return Err(self.wrong(format!("{what} is missing")));
        }
        self.at += 1;
        Ok(Group { begun: false })
    }

    /// Nothing but white is left.
    pub(super) fn end(&mut self) -> Result<(), JsonError> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.wrong("something follows the request")),
        }
    }

    /// Reads `null` if it is there.
    pub(super) fn null(&mut self) -> Result<bool, JsonError> {
        if self.peek() != Some(b'n') {
            return Ok(false);
        }
        self.word("null").map(|()| true)
    }

    pub(super) fn word(&mut self, word: &str) -> Result<(), JsonError> {
        if !self.text[self.at..].starts_with(word) {
            return Err(self.wrong(format!("`{word}` is missing")));
        }
        self.at += word.len();
        Ok(())
    }

    /// A text; copied only where it has escapes.
    pub(super) fn text(&mut self) -> Result<Cow<'a, str>, JsonError> {
        self.open(b'"', "a text")?;
        let start = self.at;
        let bytes = self.text.as_bytes();
        let mut copy: Option<String> = None;
        let mut from = start;
        loop {
            match bytes.get(self.at) {
                None => return Err(self.wrong("a text does not end")),
                Some(b'"') => {
                    let rest = &self.text[from..self.at];
                    self.at += 1;
                    return Ok(match copy {
                        None => Cow::Borrowed(rest),
                        Some(copy) => Cow::Owned(copy + rest),
                    });
                }
                Some(b'\\') => {
                    let copy = copy.get_or_insert_default();
                    copy.push_str(&self.text[from..self.at]);
                    self.at += 1;
                    let escaped = self.escaped()?;
                    copy.push(escaped);
                    from = self.at;
                }
                Some(0..0x20) => return Err(self.wrong("a text has a control character")),
                Some(_) => self.at += 1,
            }
        }
    }

    fn escaped(&mut self) -> Result<char, JsonError> {
        let byte = self.text.as_bytes().get(self.at).copied();
        self.at += 1;
        Ok(match byte {
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(),
            _ => {
                self.at -= 1;
                return Err(self.wrong("there is no such escape"));
            }
        })
    }

    fn unicode(&mut self) -> Result<char, JsonError> {
        let first = self.four_digits()?;
        let code = match first {
            0xd800..0xdc00 => {
                self.word("\\u")?;
                match self.four_digits()? {
                    second @ 0xdc00..0xe000 => {
                        0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)
                    }
                    _ => return Err(self.wrong("half of a surrogate pair is missing")),
                }
            }
            other => other,
        };
        char::from_u32(code).ok_or_else(|| self.wrong("half of a surrogate pair is missing"))
    }

    fn four_digits(&mut self) -> Result<u32, JsonError> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4);
        let digits = digits.filter(|four| four.iter().all(u8::is_ascii_hexdigit));
        let digits = digits.and_then(|four| std::str::from_utf8(four).ok());
        let code = digits.and_then(|four| u32::from_str_radix(four, 16).ok());
        let code = code.ok_or_else(|| self.wrong("four hexadecimal digits are missing"))?;
        self.at += 4;
        Ok(code)
    }

    /// A number, as it is written.
    pub(super) fn number(&mut self) -> Result<&'a str, JsonError> {
        self.peek();
        let rest = &self.text[self.at..];
        let length = rest
            .bytes()
            .take_while(|byte| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'))
            .count();
        let number = &rest[..length];
        if !is_number(number) {
            return Err(self.wrong("a number is missing"));
        }
        self.at += length;
        Ok(number)
    }

    /// Skips any value: that of a field that nobody knows.
    pub(super) fn skip(&mut self, depth: u32) -> Result<(), JsonError> {
        if depth > DEPTH_MAX {
            return Err(self.wrong("values are nested more than 100 deep"));
        }
        match self.peek() {
            Some(b'{') => {
                let mut object = self.open(b'{', "an object")?;
                while object.next(self, b'}')? {
                    self.text()?;
                    self.expect(b':')?;
                    self.skip(depth + 1)?;
                }
                Ok(())
            }
            Some(b'[') => {
                let mut list = self.open(b'[', "a list")?;
                while list.next(self, b']')? {
                    self.skip(depth + 1)?;
                }
                Ok(())
            }
            Some(b'"') => self.text().map(drop),
            Some(b't') => self.word("true"),
            Some(b'f') => self.word("false"),
            Some(b'n') => self.word("null"),
            _ => self.number().map(drop),
        }
    }
}

/// Whether a text is a number as JSON writes it.
fn is_number(text: &str) -> bool {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let text = text.strip_prefix('-').unwrap_or(text);
    let whole = digits(text);
    if whole == 0 || (whole > 1 && text.starts_with('0')) {
        return false;
    }
    let mut rest = &text[whole..];
    if let Some(behind) = rest.strip_prefix('.') {
        let part = digits(behind);
        if part == 0 {
            return false;
        }
        rest = &behind[part..];
    }
    if let Some(behind) = rest.strip_prefix(['e', 'E']) {
        let behind = behind.strip_prefix(['+', '-']).unwrap_or(behind);
        let part = digits(behind);
        return part > 0 && part == behind.len();
    }
    rest.is_empty()
}
