//! The one place that turns bytes from the ring into records. Nothing here trusts the bytes: a record
//! of another kind, another length or another layout is refused, never a panic.

use super::record::{CgroupMade, Event, Row, SweepEnded};

/// Reads one record of the ring and hands it on. `false`: it was none of ours.
pub(super) fn dispatch(bytes: &[u8], on: &mut dyn FnMut(Event<'_>)) -> bool {
    read(bytes, on).is_some()
}

fn read(bytes: &[u8], on: &mut dyn FnMut(Event<'_>)) -> Option<()> {
    let kind = u16::from_ne_bytes(*bytes.first_chunk()?);
    let stated = u16::from_ne_bytes(*bytes.get(2..)?.first_chunk()?);
    if usize::from(stated) != bytes.len() {
        return None;
    }
    match kind {
        kind::OPENED => on(Event::Opened(&exactly(bytes)?)),
        kind::CLOSED => on(Event::Closed(&exactly(bytes)?)),
        kind::ADOPTED => on(Event::Adopted(&exactly(bytes)?)),
        kind::SWEPT => on(Event::Swept(&exactly(bytes)?)),
        kind::LISTENING => on(Event::Listening(&exactly(bytes)?)),
        kind::LISTENER_CLOSED => on(Event::ListenerClosed(&exactly(bytes)?)),
        kind::UNCHANGED => {
            let UnchangedBytes {
                sweep,
                count,
                at_ns,
                ids,
                ..
            } = exactly(bytes)?;
            let used = ids.get(..usize::try_from(count).ok()?)?;
            used.iter()
                .for_each(|&id| on(Event::Unchanged { id, sweep, at_ns }));
        }
        kind::SWEEP_BEGAN => {
            let SweepBeganBytes { sweep, at_ns, .. } = exactly(bytes)?;
            on(Event::SweepBegan { sweep, at_ns });
        }
        kind::SWEEP_ENDED => on(Event::SweepEnded(exactly(bytes)?)),
        kind::CGROUP_MADE => on(Event::CgroupMade(cgroup(bytes)?)),
        _ => return None,
    }
    Some(())
}

fn cgroup(bytes: &[u8]) -> Option<CgroupMade<'_>> {
    let (head, path) = bytes.split_at_checked(size_of::<CgroupHead>())?;
    let head: CgroupHead = exactly(head)?;
    if path.len() != CGROUP_PATH_BYTES {
        return None;
    }
    Some(CgroupMade {
        id: head.id,
        hierarchy: head.hierarchy,
        at_ns: head.at_ns,
        level: head.level,
        path: path.get(..usize::try_from(head.path_bytes).ok()?)?,
    })
}

/// The fixed-size records: integers only, so that every bit pattern is one.
trait Plain: Copy {}
impl Plain for Row {}
impl Plain for SweepEnded {}
impl Plain for SweepBeganBytes {}
impl Plain for UnchangedBytes {}
impl Plain for CgroupHead {}

fn exactly<T: Plain>(bytes: &[u8]) -> Option<T> {
    if bytes.len() != size_of::<T>() {
        return None;
    }
    // SAFETY: the length was just checked, `read_unaligned` asks for no alignment, and `Plain` types
    // are integers and arrays of them, without padding, for which every bit pattern is valid.
    Some(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
}

/// Record kinds, as the C has them; the index of [`Counters::ring_lost`](super::Counters).
pub(super) mod kind {
    pub(in super::super) const OPENED: u16 = 1;
    pub(in super::super) const CLOSED: u16 = 2;
    pub(in super::super) const ADOPTED: u16 = 3;
    pub(in super::super) const SWEPT: u16 = 4;
    pub(in super::super) const LISTENING: u16 = 5;
    pub(in super::super) const LISTENER_CLOSED: u16 = 6;
    pub(in super::super) const SWEEP_BEGAN: u16 = 7;
    pub(in super::super) const SWEEP_ENDED: u16 = 8;
    pub(in super::super) const CGROUP_MADE: u16 = 9;
    pub(in super::super) const UNCHANGED: u16 = 10;
    pub(in super::super) const KINDS: usize = 11;
}

/// Sockets in one record of those that did not move.
const UNCHANGED_MAX: usize = 64;

/// Room for a path in a cgroup record.
pub(super) const CGROUP_PATH_BYTES: usize = 512;

#[repr(C)]
#[derive(Clone, Copy)]
struct UnchangedBytes {
    kind: u16,
    bytes: u16,
    sweep: u32,
    count: u32,
    zero: u32,
    at_ns: u64,
    ids: [u64; UNCHANGED_MAX],
}

#[repr(C)]
#[derive(Clone, Copy)]
struct SweepBeganBytes {
    kind: u16,
    bytes: u16,
    sweep: u32,
    at_ns: u64,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct CgroupHead {
    kind: u16,
    bytes: u16,
    hierarchy: u32,
    at_ns: u64,
    id: u64,
    level: u32,
    path_bytes: u32,
}

const _: () = assert!(size_of::<UnchangedBytes>() == 24 + 8 * UNCHANGED_MAX);
const _: () = assert!(size_of::<SweepBeganBytes>() == 16);
const _: () = assert!(size_of::<CgroupHead>() == 32);
