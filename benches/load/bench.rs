//! What the whole agent costs, beside what it may cost: its program, its memory, its time, and what it
//! takes from the traffic that it watches.

mod program;

use std::process::ExitCode;

fn main() -> ExitCode {
    match program::measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
