//! The program: the library's command line with the components that come with it.

use std::process::ExitCode;

fn main() -> ExitCode {
    tapetum::run(tapetum::components())
}
