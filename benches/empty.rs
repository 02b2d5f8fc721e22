//! An empty program on the probe's busiest tracepoint: what the kernel's statistics say of it is the
//! statistics' own clock, to be taken off every other program's figure.

use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use anyhow::{Context, Result};

const BPF_PROG_LOAD: libc::c_long = 5;
const BPF_OBJ_GET_INFO_BY_FD: libc::c_long = 15;
const BPF_RAW_TRACEPOINT_OPEN: libc::c_long = 17;
const BPF_PROG_TYPE_RAW_TRACEPOINT: u32 = 17;

/// `r0 = 0; exit`
const RETURN_ZERO: [u64; 2] = [0xb7, 0x95];

/// Attached while it lives.
#[derive(Debug)]
pub struct Empty {
    program: OwnedFd,
    _attached: OwnedFd,
}

#[repr(C)]
#[derive(Default)]
struct Load {
    kind: u32,
    instructions: u32,
    code: u64,
    license: u64,
    log: [u64; 2],
    kernel: u32,
    flags: u32,
    name: [u8; 16],
}

#[repr(C)]
struct Open {
    name: u64,
    program: u32,
    zero: u32,
}

#[repr(C)]
struct Info {
    program: u32,
    bytes: u32,
    info: u64,
}

/// Words of `struct bpf_prog_info` up to and with `run_cnt`; `run_time_ns` is the one before.
const INFO_WORDS: usize = 26;
const RUN_TIME: usize = 24;

impl Empty {
    /// Loads and attaches it.
    ///
    /// # Errors
    /// If the kernel does not let this process.
    pub fn attach() -> Result<Empty> {
        let load = Load {
            kind: BPF_PROG_TYPE_RAW_TRACEPOINT,
            instructions: 2,
            code: RETURN_ZERO.as_ptr() as u64,
            license: c"GPL".as_ptr() as u64,
            name: *b"tapetum_empty\0\0\0",
            ..Load::default()
        };
        let program = descriptor(BPF_PROG_LOAD, &load).context("an empty program")?;
        let open = Open {
            name: c"inet_sock_set_state".as_ptr() as u64,
            program: program.as_raw_fd().unsigned_abs(),
            zero: 0,
        };
        let attached = descriptor(BPF_RAW_TRACEPOINT_OPEN, &open).context("its tracepoint")?;
        Ok(Empty {
            program,
            _attached: attached,
        })
    }

    /// Nanoseconds a run, since it was attached.
    ///
    /// # Errors
    /// If the kernel does not tell.
    pub fn ns_per_run(&self) -> Result<f64> {
        let mut words = [0_u64; INFO_WORDS];
        let ask = Info {
            program: self.program.as_raw_fd().unsigned_abs(),
            bytes: (INFO_WORDS * size_of::<u64>()) as u32,
            info: words.as_mut_ptr() as u64,
        };
        bpf(BPF_OBJ_GET_INFO_BY_FD, &ask).context("the program's statistics")?;
        Ok(words[RUN_TIME] as f64 / words[RUN_TIME + 1].max(1) as f64)
    }
}

fn descriptor<T>(command: libc::c_long, attributes: &T) -> io::Result<OwnedFd> {
    let fd = bpf(command, attributes)?;
    // SAFETY: these commands return a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn bpf<T>(command: libc::c_long, attributes: &T) -> io::Result<RawFd> {
    // SAFETY: a live repr(C) struct, as long as said, laid out as this command's part of
    // `union bpf_attr`; what it points to outlives the call.
    let done = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            &raw const *attributes,
            size_of::<T>(),
        )
    };
    match RawFd::try_from(done) {
        Ok(fd) if fd >= 0 => Ok(fd),
        _ => Err(io::Error::last_os_error()),
    }
}
