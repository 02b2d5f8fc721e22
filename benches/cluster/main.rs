//! A large cluster: what a name costs, what the watch of 10 000 pods and 2 000 Services holds, and how it
//! takes a thousand changes a second.
//!
//! The API server is the scripted one, in a process of its own: what is measured here is the agent's part.

mod look_up;
mod objects;
mod server;
mod watch;

use std::env;
use std::process::ExitCode;

fn main() -> ExitCode {
    if env::args().nth(1).as_deref() == Some(server::COMMAND) {
        server::serve();
        return ExitCode::SUCCESS;
    }
    println!("{} pods, {} Services", objects::PODS, objects::SERVICES);
    // First, while this process holds nothing else.
    watch::watch();
    look_up::look_up();
    ExitCode::SUCCESS
}
