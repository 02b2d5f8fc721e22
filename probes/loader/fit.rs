//! What of a probe this kernel can run: a pure decision from facts.

use thiserror::Error;

use super::facts::{Facts, KernelVersion};
use super::hooks::{Hook, Need};

/// The oldest kernel: the first long-term one with all that the programs use (namespace cookies,
/// atomics with results, the current task and socket cookies in tracing programs).
pub(super) const OLDEST: KernelVersion = KernelVersion {
    major: 5,
    minor: 15,
};

/// A program, and whether it will be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fit {
    /// Which.
    pub hook: Hook,
    /// Whether this kernel has what it hangs on.
    pub present: bool,
}

/// Why nothing can be loaded.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// Too old.
    #[error("linux {found} is too old: run linux {OLDEST} or newer")]
    Kernel {
        /// What runs.
        found: KernelVersion,
    },
    /// No type information.
    #[error(
        "the kernel has no type information at {path}: run one built with CONFIG_DEBUG_INFO_BTF"
    )]
    Btf {
        /// Where it was looked for.
        path: String,
    },
    /// A required hook is missing.
    #[error("the kernel has no {target}: {lost}")]
    Hook {
        /// Its target.
        target: &'static str,
        /// What that costs.
        lost: &'static str,
    },
}

/// Decides for each hook. An error names the first thing without which the probe is nothing.
pub fn fit(facts: &Facts, hooks: &[Hook]) -> Result<Vec<Fit>, Refusal> {
    if let Some(found) = facts.kernel.filter(|found| *found < OLDEST) {
        return Err(Refusal::Kernel { found });
    }
    if !facts.btf {
        return Err(Refusal::Btf {
            path: facts.btf_path.display().to_string(),
        });
    }
    hooks
        .iter()
        .map(|hook| {
            let present = facts.targets.contains(hook.attach.target());
            match hook.need {
                Need::Required if !present => Err(Refusal::Hook {
                    target: hook.attach.target(),
                    lost: hook.lost,
                }),
                _ => Ok(Fit {
                    hook: *hook,
                    present,
                }),
            }
        })
        .collect()
}
