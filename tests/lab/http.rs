//! Asking a server inside a namespace: the test's own process is outside, so curl goes in.

use anyhow::Result;

use crate::place::Place;

/// The body of a successful answer.
///
/// # Errors
/// If there is no answer, or one that is no success.
pub(crate) fn get(place: &Place, url: &str) -> Result<String> {
    place.run(
        "curl",
        &[
            "-sS",
            "--globoff",
            "--fail-with-body",
            "--max-time",
            "10",
            url,
        ],
    )
}

/// The same with parameters that curl writes into the address.
///
/// # Errors
/// If there is no answer, or one that is no success.
pub(crate) fn query(place: &Place, url: &str, parameters: &[(&str, &str)]) -> Result<String> {
    let pairs: Vec<String> = parameters
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let mut arguments = vec!["-sS", "--get", "--globoff", "--max-time", "10", url];
    for pair in &pairs {
        arguments.extend(["--data-urlencode", pair]);
    }
    place.run("curl", &arguments)
}
