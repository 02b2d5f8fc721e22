//! The help of every command.

use crate::{compare, run, stdout};

/// Every command that there is.
const COMMANDS: [&str; 8] = [
    "run",
    "validate",
    "graph",
    "components",
    "schema",
    "top",
    "tap",
    "doctor",
];

#[test]
fn the_programs_help() {
    let output = run(&["--help"]);
    assert_eq!(output.status.code(), Some(0));
    let text = stdout(&output);
    let listed: Vec<_> = text
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    assert_eq!(listed, COMMANDS, "this test knows every command");
    compare("help/tapetum.txt", &text);
}

#[test]
fn the_help_of_every_command_has_an_example() {
    for command in COMMANDS {
        let output = run(&[command, "--help"]);
        assert_eq!(output.status.code(), Some(0), "{command}");
        let text = stdout(&output);
        let example = format!("tapetum {command}");
        let after = text.split("Example").nth(1).unwrap_or_default();
        assert!(
            after.contains(&example),
            "{command} shows no example:\n{text}"
        );
        assert!(
            !text.contains('\x1b'),
            "colour where nobody sees it: {command}"
        );
        compare(&format!("help/{command}.txt"), &text);
    }
}
