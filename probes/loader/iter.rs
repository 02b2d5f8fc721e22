//! BPF iterators by `bpf(2)` itself: the library cannot pass the map that an iterator walks, and
//! both of ours write to a ring, never to the text that an iterator's file is made for.

use std::fs::File;
use std::io::{self, Read};
use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

const BPF_LINK_CREATE: libc::c_long = 28;
const BPF_ITER_CREATE: libc::c_long = 33;
const BPF_TRACE_ITER: u32 = 28;

/// An iterator program joined to what it walks; each [`IterLink::run`] walks it once.
#[derive(Debug)]
pub struct IterLink {
    link: OwnedFd,
}

/// `union bpf_iter_link_info`: a map, or nothing.
#[repr(C)]
#[derive(Default)]
struct IterInfo {
    map_fd: u32,
    zero: [u32; 3],
}

#[repr(C)]
#[derive(Default)]
struct LinkCreate {
    prog_fd: u32,
    target_fd: u32,
    attach_type: u32,
    flags: u32,
    iter_info: u64,
    iter_info_len: u32,
    zero: u32,
}

#[repr(C)]
#[derive(Default)]
struct IterCreate {
    link_fd: u32,
    flags: u32,
}

impl IterLink {
    /// Joins a loaded iterator program to its target, which for some is a map.
    pub fn new(program: BorrowedFd<'_>, map: Option<BorrowedFd<'_>>) -> io::Result<IterLink> {
        let info = IterInfo {
            map_fd: map.map_or(0, |map| number(map.as_raw_fd())),
            ..IterInfo::default()
        };
        let attributes = LinkCreate {
            prog_fd: number(program.as_raw_fd()),
            attach_type: BPF_TRACE_ITER,
            iter_info: if map.is_some() {
                &raw const info as u64
            } else {
                0
            },
            iter_info_len: if map.is_some() {
                size_of::<IterInfo>() as u32
            } else {
                0
            },
            ..LinkCreate::default()
        };
        Ok(IterLink {
            link: bpf(BPF_LINK_CREATE, &attributes)?,
        })
    }

    /// Walks the target once. The program is done with it when this returns.
    pub fn run(&self) -> io::Result<()> {
        let attributes = IterCreate {
            link_fd: number(self.link.as_raw_fd()),
            ..IterCreate::default()
        };
        let mut walk = File::from(bpf(BPF_ITER_CREATE, &attributes)?);
        let mut nothing = [0_u8; 64];
        loop {
            match walk.read(&mut nothing) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                // The kernel lets go every million objects; the next read goes on from there.
                Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

fn number(fd: RawFd) -> u32 {
    fd.unsigned_abs()
}

fn bpf<T>(command: libc::c_long, attributes: &T) -> io::Result<OwnedFd> {
    // SAFETY: `attributes` is a live repr(C) struct of integers, as long as said, laid out as this
    // command's part of `union bpf_attr`; the kernel only reads it, and what it points to outlives
    // the call.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            &raw const *attributes,
            size_of::<T>(),
        )
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    let fd = RawFd::try_from(fd).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
    // SAFETY: both commands return a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
