//! Tapetum with `ports`: its components, and one more.

use std::process::ExitCode;

use tapetum_with_ports::ports;

fn main() -> ExitCode {
    let mut components = tapetum::components();
    components.push(&ports::COMPONENT);
    tapetum::run(components)
}
