//! What a person or a program sees of the command line, against committed files: a change of it is a
//! line in a diff that somebody looks at. `TAPETUM_UPDATE=1 cargo test --test surface` writes them.

mod components;
mod doctor;
mod ends;
mod help;
mod metrics;
mod reloaded;
mod schema;
mod shipped;
mod started;
mod watched;

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// The program, without what the environment would change in its output.
fn tapetum() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tapetum"));
    command
        .stdin(Stdio::null())
        .env_remove("COLUMNS")
        .env_remove("TAPETUM_LOG")
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

fn run(arguments: &[&str]) -> Output {
    tapetum()
        .args(arguments)
        .output()
        .expect("the program starts")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

/// Compares with a committed file beside this one.
fn compare(file: &str, seen: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/surface")
        .join(file);
    if std::env::var_os("TAPETUM_UPDATE").is_some() {
        fs::create_dir_all(path.parent().expect("a folder")).expect("the folder can be made");
        fs::write(&path, seen).expect("the file can be written");
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    let (mut old, mut new) = (committed.lines(), seen.lines());
    let mut number = 0;
    loop {
        number += 1;
        let (old, new) = (old.next(), new.next());
        assert!(
            old == new,
            "tests/surface/{file}:{number} says\n  {}\nbut the program says\n  {}\n\
             if that is meant: TAPETUM_UPDATE=1 cargo test --test surface",
            old.unwrap_or("(nothing)"),
            new.unwrap_or("(nothing)")
        );
        if old.is_none() {
            break;
        }
    }
}
