//! One BPF object in the kernel: its maps, its programs, what of it this kernel would not take.

use std::io;
use std::os::fd::AsFd;

use aya::maps::{Map, MapError};
use aya::programs::{BtfTracePoint, Iter, Program, ProgramError};
use aya::{Btf, Ebpf, EbpfError, EbpfLoader, Endianness};
use thiserror::Error;

use super::facts::{Capability, Facts, facts};
use super::fit::{Fit, Refusal, fit};
use super::hooks::{Attach, Hook, Need};
use super::{Host, IterLink, memory};

/// What the object is told before it is loaded.
#[derive(Clone, Copy, Debug)]
pub struct Setting<'a> {
    /// The words of its constant `config`.
    pub config: &'a [u32],
    /// A map and how many entries (bytes, for a ring) it gets.
    pub map_size: (&'a str, u32),
}

/// A program that this kernel would not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Which.
    pub hook: Hook,
    /// What the kernel said.
    pub why: String,
}

/// Why an object could not be loaded.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The kernel does not have what it takes.
    #[error(transparent)]
    Kernel(#[from] Refusal),
    /// We may not.
    #[error("{capability} is missing: run as root, or give the process {capability}")]
    Privilege {
        /// What it is called.
        capability: &'static str,
    },
    /// The kernel's type information did not parse.
    #[error("the kernel's type information at {path} cannot be read")]
    Btf {
        /// Where it is.
        path: String,
        /// Why.
        source: aya::BtfError,
    },
    /// The object or its maps were refused.
    #[error("the kernel refused the BPF object; see `tapetum doctor`")]
    Object(#[from] Box<EbpfError>),
    /// A required program was refused.
    #[error("the kernel refused the BPF program {program}, without which {lost}: {why}")]
    Program {
        /// Which.
        program: &'static str,
        /// What that costs.
        lost: &'static str,
        /// What the kernel said.
        why: String,
    },
    /// A map is not what the object should have.
    #[error("the BPF object has no usable map {map}: it was built from other sources")]
    Map {
        /// Which.
        map: &'static str,
        /// Why, where the library knows.
        source: Option<Box<MapError>>,
    },
    /// An iterator could not be joined to what it walks.
    #[error("the BPF iterator {program} could not be attached")]
    Iterator {
        /// Which.
        program: &'static str,
        /// Why.
        source: io::Error,
    },
}

/// A loaded object. Dropping it detaches and frees everything.
#[derive(Debug)]
pub struct Object {
    bpf: Ebpf,
    hooks: &'static [Hook],
    missing: Vec<Missing>,
}

impl Object {
    /// Opens, fits, loads; nothing runs before [`Object::attach`].
    pub fn load(
        bytes: &[u8],
        hooks: &'static [Hook],
        setting: Setting<'_>,
        host: &Host,
    ) -> Result<Object, LoadError> {
        let object = Object::open(bytes, hooks, setting, host)?;
        object.complete()?;
        Ok(object)
    }

    /// What this kernel would not take, found by loading everything and letting it go again. Empty
    /// where nothing could be tried because the kernel or the privileges do not even allow that.
    pub fn rehearse(
        bytes: &[u8],
        hooks: &'static [Hook],
        setting: Setting<'_>,
        host: &Host,
    ) -> Vec<Missing> {
        match Object::open(bytes, hooks, setting, host) {
            Ok(object) => object.missing,
            Err(LoadError::Kernel(_) | LoadError::Privilege { .. }) => Vec::new(),
            Err(error) => {
                let why = chain(&error);
                hooks
                    .iter()
                    .map(|hook| Missing {
                        hook: *hook,
                        why: why.clone(),
                    })
                    .collect()
            }
        }
    }

    fn open(
        bytes: &[u8],
        hooks: &'static [Hook],
        setting: Setting<'_>,
        host: &Host,
    ) -> Result<Object, LoadError> {
        let facts = facts(host, hooks);
        let fits = fit(&facts, hooks)?;
        privileged(&facts)?;
        let btf = Btf::parse_file(host.btf(), Endianness::default()).map_err(|source| {
            LoadError::Btf {
                path: host.btf().display().to_string(),
                source,
            }
        })?;
        let bpf = EbpfLoader::new()
            .btf(Some(&btf))
            .override_global("config", setting.config, true)
            .map_max_entries(setting.map_size.0, setting.map_size.1)
            .load(bytes)
            .map_err(Box::new)?;
        let mut object = Object {
            bpf,
            hooks,
            missing: Vec::new(),
        };
        for Fit { hook, present } in fits {
            let why = match present {
                true => object
                    .load_program(&hook, &btf)
                    .err()
                    .map(|error| chain(&error)),
                false => Some(format!("this kernel has no {}", hook.attach.target())),
            };
            object.missing.extend(why.map(|why| Missing { hook, why }));
        }
        drop(btf);
        memory::release();
        Ok(object)
    }

    /// Lets the tracepoint programs run.
    pub fn attach(&mut self) -> Result<(), LoadError> {
        for hook in self.hooks {
            if self.missing.iter().any(|missing| missing.hook == *hook) {
                continue;
            }
            let Some(Program::BtfTracePoint(program)) = self.bpf.program_mut(hook.program) else {
                continue;
            };
            if let Err(error) = program.attach() {
                self.missing.push(Missing {
                    hook: *hook,
                    why: chain(&error),
                });
            }
        }
        self.complete()
    }

    /// Whether all is there without which the probe is nothing.
    fn complete(&self) -> Result<(), LoadError> {
        let required = |missing: &&Missing| missing.hook.need == Need::Required;
        match self.missing.iter().find(required) {
            Some(Missing {
                hook: Hook { program, lost, .. },
                why,
            }) => Err(LoadError::Program {
                program,
                lost,
                why: why.clone(),
            }),
            None => Ok(()),
        }
    }

    /// Joins an iterator program to its target; [`None`] where this kernel would not take it.
    pub fn iterator(
        &self,
        program: &'static str,
        map: Option<&Map>,
    ) -> Result<Option<IterLink>, LoadError> {
        let Some(Program::Iter(iter)) = self.bpf.program(program) else {
            return Ok(None);
        };
        let Ok(fd) = iter.fd() else {
            return Ok(None);
        };
        let map = match map {
            Some(Map::Unsupported(data) | Map::SkStorage(data)) => Some(data.fd().as_fd()),
            _ => None,
        };
        IterLink::new(fd.as_fd(), map)
            .map(Some)
            .map_err(|source| LoadError::Iterator { program, source })
    }

    /// Takes a map out of the object; the programs keep theirs.
    pub fn take_map(&mut self, map: &'static str) -> Result<Map, LoadError> {
        self.bpf
            .take_map(map)
            .ok_or(LoadError::Map { map, source: None })
    }

    /// What this kernel would not take.
    pub fn missing(&self) -> &[Missing] {
        &self.missing
    }

    /// Name, runs and run time (ns) of each loaded program, while statistics are on.
    pub fn stats(&self) -> impl Iterator<Item = (&'static str, u64, u64)> + '_ {
        self.hooks.iter().filter_map(|hook| {
            let info = self.bpf.program(hook.program)?.info().ok()?;
            let run_time = u64::try_from(info.run_time().as_nanos()).unwrap_or(u64::MAX);
            Some((hook.program, info.run_count(), run_time))
        })
    }

    fn load_program(&mut self, hook: &Hook, btf: &Btf) -> Result<(), ProgramError> {
        let Some(program) = self.bpf.program_mut(hook.program) else {
            return Err(ProgramError::NotLoaded);
        };
        match hook.attach {
            Attach::Tracepoint(target) => {
                let program: &mut BtfTracePoint = program.try_into()?;
                program.load(target, btf)
            }
            Attach::Iterator(target) => {
                let program: &mut Iter = program.try_into()?;
                program.load(target, btf)
            }
        }
    }
}

fn privileged(facts: &Facts) -> Result<(), LoadError> {
    let wanted = [
        (Capability::Bpf, "CAP_BPF"),
        (Capability::Perfmon, "CAP_PERFMON"),
    ];
    match wanted
        .into_iter()
        .find(|(capability, _)| !facts.may(*capability))
    {
        Some((_, capability)) => Err(LoadError::Privilege { capability }),
        None => Ok(()),
    }
}

/// An error with its causes, on one line; a verifier's log is cut to its last line, which says why.
fn chain(error: &dyn std::error::Error) -> String {
    let mut said = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        if !said.is_empty() {
            said.push_str(": ");
        }
        let text = error.to_string();
        said.push_str(text.lines().next().unwrap_or_default().trim());
        next = error.source();
    }
    said
}
