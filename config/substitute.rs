//! `${env:NAME}`, `${env:NAME:-default}`, `${file:PATH}` and `$$` inside a text.
//!
//! Done on values after the file was parsed: what comes in can never become syntax, and places in the
//! file stay right. What comes in is not looked into again.

use std::ops::Range;
use std::path::Path;

use crate::World;

/// A text with everything filled in.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Filled {
    pub(crate) text: String,
    /// Something came from outside the file: it may be a secret, messages do not repeat it.
    pub(crate) from_outside: bool,
}

/// What cannot be filled in, by its bytes in the text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) span: Range<usize>,
    pub(crate) message: String,
    pub(crate) hint: &'static str,
}

/// Fills in what `text` asks for; `folder` is where relative paths start.
pub(crate) fn fill(text: &str, folder: &Path, world: &dyn World) -> Result<Filled, Vec<Fault>> {
    let mut filled = String::with_capacity(text.len());
    let mut from_outside = false;
    let mut faults = Vec::new();
    let mut at = 0;
    while let Some(found) = text[at..].find('$') {
        let dollar = at + found;
        filled.push_str(&text[at..dollar]);
        let rest = &text[dollar + 1..];
        if rest.starts_with('$') {
            filled.push('$');
            at = dollar + 2;
        } else if let Some((inside, _)) = rest.strip_prefix('{').and_then(|r| r.split_once('}')) {
            at = dollar + "${".len() + inside.len() + "}".len();
            from_outside = true;
            match value(inside, folder, world) {
                Ok(value) => filled.push_str(&value),
                Err((message, hint)) => faults.push(Fault {
                    span: dollar..at,
                    message,
                    hint,
                }),
            }
        } else {
            let open = rest.starts_with('{');
            at = dollar + 1 + usize::from(open);
            faults.push(Fault {
                span: dollar..at,
                message: if open {
                    "`${` without a closing `}`".to_owned()
                } else {
                    "a lone `$`".to_owned()
                },
                hint: "write `$$` for a dollar",
            });
        }
    }
    filled.push_str(&text[at..]);
    if faults.is_empty() {
        Ok(Filled {
            text: filled,
            from_outside,
        })
    } else {
        Err(faults)
    }
}

type Wrong = (String, &'static str);

fn value(inside: &str, folder: &Path, world: &dyn World) -> Result<String, Wrong> {
    if let Some(variable) = inside.strip_prefix("env:") {
        let (name, default) = match variable.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (variable, None),
        };
        if !is_variable(name) {
            return Err((
                "this names no environment variable".to_owned(),
                "write `${env:NAME}` or `${env:NAME:-default}`",
            ));
        }
        return world
            .variable(name)
            .or_else(|| default.map(str::to_owned))
            .ok_or_else(|| {
                (
                    format!("the environment variable `{name}` is not set"),
                    "set it, or give a default: `${env:NAME:-default}`",
                )
            });
    }
    if let Some(path) = inside.strip_prefix("file:").filter(|path| !path.is_empty()) {
        let path = folder.join(path);
        return match world.text(&path) {
            // An editor ends a file with a line end that is no part of a token.
            Ok(text) => Ok(text
                .strip_suffix('\n')
                .map_or(text.as_str(), |line| line.trim_end_matches('\r'))
                .to_owned()),
            Err(error) => Err((
                format!("cannot read `{}`: {error}", path.display()),
                "make the file readable for this user, or name another",
            )),
        };
    }
    Err((
        "nothing can be filled in here".to_owned(),
        "write `${env:NAME}`, `${env:NAME:-default}` or `${file:PATH}`; `$$` is a dollar",
    ))
}

fn is_variable(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name
            .chars()
            .all(|each| each.is_ascii_alphanumeric() || each == '_')
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    struct Small;

    impl World for Small {
        fn variable(&self, name: &str) -> Option<String> {
            match name {
                "NODE" => Some("n1".to_owned()),
                "ODD" => Some("${env:NODE}".to_owned()),
                _ => None,
            }
        }

        fn text(&self, path: &Path) -> io::Result<String> {
            match path.to_str() {
                Some("/etc/t/token") => Ok("hush\n".to_owned()),
                _ => Err(io::ErrorKind::NotFound.into()),
            }
        }
    }

    fn text(text: &str) -> Result<String, Vec<Fault>> {
        fill(text, Path::new("/etc/t"), &Small).map(|filled| filled.text)
    }

    #[test]
    fn fills_in() {
        for (from, to) in [
            ("plain", "plain"),
            ("a-${env:NODE}-z", "a-n1-z"),
            ("${env:NONE:-x}", "x"),
            ("${env:NONE:-}", ""),
            ("${env:NODE:-x}", "n1"),
            ("Bearer ${file:token}", "Bearer hush"),
            ("${file:/etc/t/token}", "hush"),
            ("$$5 $${env:NODE}", "$5 ${env:NODE}"),
            ("${env:ODD}", "${env:NODE}"),
        ] {
            assert_eq!(text(from).as_deref(), Ok(to), "{from}");
        }
    }

    #[test]
    fn says_all_that_is_missing_and_where() {
        let faults = text("${env:A} $x ${file:no} ${NODE} ${").unwrap_err();
        let seen: Vec<_> = faults
            .iter()
            .map(|fault| (fault.span.clone(), fault.message.as_str()))
            .collect();
        assert_eq!(
            seen,
            [
                (0..8, "the environment variable `A` is not set"),
                (9..10, "a lone `$`"),
                (12..22, "cannot read `/etc/t/no`: entity not found"),
                (23..30, "nothing can be filled in here"),
                (31..33, "`${` without a closing `}`"),
            ]
        );
    }
}
