//! How a report looks, to the letter.

use super::{read, with};

#[test]
fn the_whole_text() {
    let text = with("").replacen(
        "[receivers.tcp]",
        "[receivers.tcp]\nsweeep = \"10s\"\nexclude = [\"self\", \"${env:WHO}\"]",
        1,
    );
    let expected = "\
error: unknown key `sweeep`
 --> /etc/tapetum/tapetum.toml:2:1
  |
2 | sweeep = ***
  | ^^^^^^
  hint: did you mean `sweep`?

error: the environment variable `WHO` is not set
 --> /etc/tapetum/tapetum.toml:3:21
  |
3 | exclude = [\"self\", \"${env:WHO}\"]
  |                     ^^^^^^^^^^
  hint: set it, or give a default: `${env:NAME:-default}`

2 errors
";
    assert_eq!(read(&text).unwrap_err().render(false), expected);
}

#[test]
fn colour_changes_nothing_but_colour() {
    let report = read("[sevice]").unwrap_err();
    let coloured = report.render(true);
    assert!(coloured.contains("\x1b["));
    let mut plain = coloured;
    for code in ["\x1b[1;31m", "\x1b[34m", "\x1b[32m", "\x1b[0m"] {
        plain = plain.replace(code, "");
    }
    assert_eq!(plain, report.render(false));
}

#[test]
fn a_long_line_is_cut_around_the_mark() {
    let key = "k".repeat(400);
    let report = read(&format!("[service]\n{} = 1", key))
        .unwrap_err()
        .render(false);
    assert!(
        report
            .lines()
            .all(|line| !line.contains('|') || line.chars().count() < 130),
        "{report}"
    );
    assert!(report.contains("kkk…\n"), "{report}");
}

#[test]
fn a_file_cannot_steer_the_terminal() {
    let report = read("[\"a\\u001b[2J\"]\n# \u{202e}\n\"\x07\" = 1\n").unwrap_err();
    let text = report.render(false);
    assert!(!text.contains(['\x1b', '\x07', '\u{202e}']), "{text:?}");
}
