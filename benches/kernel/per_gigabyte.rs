//! Program runs that moving bytes costs: none.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use anyhow::{Result, ensure};
use tapetum_benches::Figure;
use tapetum_probes::loader::StatsOn;
use tapetum_probes::tcp::{Event, Options, Probe};

/// The probe sees the whole kernel, so a slice counts only if nobody else opened or closed anything
/// while it, the one before and the one after were moved: a close has steps before and after it.
const SLICE: u64 = 100_000_000;
const QUIET_SLICES: u32 = 100;
const SLICES_MOST: u32 = 400;

pub(crate) fn measure() -> Result<Vec<Figure>> {
    let mut probe = Probe::start(&Options::default())?;
    let _stats = StatsOn::new()?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut to = TcpStream::connect(listener.local_addr()?)?;
    let (mut from, _) = listener.accept()?;
    let (mut quiet, mut slices, mut added) = (0, 0, 0);
    let mut seen = vec![(runs(&probe), others(&probe)?)];
    while quiet < QUIET_SLICES && slices < SLICES_MOST {
        move_slice(&mut to, &mut from)?;
        slices += 1;
        seen.push((runs(&probe), others(&probe)?));
        if let [before, start, end, after] = seen[seen.len().saturating_sub(4)..]
            && before.1 == after.1
        {
            quiet += 1;
            added += end.0 - start.0;
        }
    }
    ensure!(
        quiet == QUIET_SLICES,
        "others opened connections all the time: run it again"
    );
    let counted = bytes_sent(&mut probe, to.local_addr()?.port())?;
    let moved = u64::from(slices) * SLICE;
    ensure!(
        counted == moved,
        "the probe counted {counted} of {moved} bytes"
    );
    let how = format!("{:.1} GB moved, counted to the byte", moved as f64 / 1e9);
    Ok(vec![Figure::at_most(
        "program runs for 10 GB",
        added as f64,
        "",
        0.0,
        &how,
    )])
}

fn move_slice(to: &mut TcpStream, from: &mut TcpStream) -> io::Result<()> {
    thread::scope(|scope| {
        let sending = scope.spawn(|| -> io::Result<()> {
            let piece = vec![1; 1_000_000];
            (0..SLICE / 1_000_000).try_for_each(|_| to.write_all(&piece))
        });
        let mut buffer = vec![0; 1 << 20];
        let mut received = 0;
        while received < SLICE {
            received += from.read(&mut buffer)? as u64;
        }
        sending.join().expect("the sender does not panic")
    })
}

fn bytes_sent(probe: &mut Probe, port: u16) -> Result<u64> {
    probe.drain(&mut |_| {});
    probe.sweep()?;
    let mut counted = 0;
    probe.drain(&mut |event| {
        if let Event::Swept(row) = event
            && row.local_port == port
        {
            counted = row.bytes_sent;
        }
    });
    Ok(counted)
}

fn runs(probe: &Probe) -> u64 {
    probe
        .program_stats()
        .iter()
        .map(|program| program.runs)
        .sum()
}

fn others(probe: &Probe) -> Result<(u64, u64)> {
    let counters = probe.counters()?;
    Ok((counters.births, counters.closes))
}
