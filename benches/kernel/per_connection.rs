//! BPF time of a connection, birth to close, and how often its records wake their reader.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use tapetum_benches::{Empty, Figure, median};
use tapetum_probes::loader::StatsOn;
use tapetum_probes::tcp::{Options, Probe};

const CONNECTIONS: u32 = 4_000;
const ROUNDS: usize = 5;

pub(crate) fn measure() -> Result<Vec<Figure>> {
    let mut probe = Probe::start(&Options::default())?;
    let stats = StatsOn::new()?;
    let empty = Empty::attach()?;
    let mut ns_an_end = Vec::new();
    let mut runs_an_end = Vec::new();
    for _ in 0..ROUNDS {
        let before = totals(&probe)?;
        short_connections(CONNECTIONS)?;
        let after = totals(&probe)?;
        probe.drain(&mut |_| {});
        let ends = (after.ends - before.ends) as f64;
        let runs = (after.runs - before.runs) as f64;
        let time_ns = (after.time_ns - before.time_ns) as f64;
        ns_an_end.push((time_ns - runs * empty.ns_per_run()?) / ends);
        runs_an_end.push(runs / ends);
    }
    let clock = empty.ns_per_run()?;
    let runs = median(runs_an_end);
    drop((empty, stats));
    let time = median(ns_an_end) / 1_000.0;
    let how = format!("{runs:.1} program runs; the clock's {clock:.0} ns a run taken off");
    let mut figures = vec![Figure::at_most(
        "BPF an end of a connection, birth to close",
        time,
        "us",
        2.0,
        &how,
    )];
    figures.push(wakes(&mut probe)?);
    Ok(figures)
}

/// A second reader thread would measure the scheduler; this one only counts its own wake-ups.
fn wakes(probe: &mut Probe) -> Result<Figure> {
    let work = thread::spawn(|| short_connections(3 * CONNECTIONS));
    let started = Instant::now();
    let (mut wakes, mut records) = (0_u32, 0);
    while !work.is_finished() {
        if probe.wait(Duration::from_millis(100))? {
            wakes += 1;
        }
        records += probe.drain(&mut |_| {}).records;
    }
    let seconds = started.elapsed().as_secs_f64();
    work.join().expect("the load does not panic")?;
    let how = format!("{:.0} records/s", records as f64 / seconds);
    Ok(Figure::at_most(
        "wake-ups of the reader",
        f64::from(wakes) / seconds,
        "/s",
        50.0,
        &how,
    ))
}

struct Totals {
    ends: u64,
    runs: u64,
    time_ns: u64,
}

fn totals(probe: &Probe) -> Result<Totals> {
    let stats = probe.program_stats();
    Ok(Totals {
        ends: probe.counters()?.closes,
        runs: stats.iter().map(|program| program.runs).sum(),
        time_ns: stats.iter().map(|program| program.run_time_ns).sum(),
    })
}

fn short_connections(count: u32) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address: SocketAddr = listener.local_addr()?;
    let serving = thread::spawn(move || -> Result<()> {
        for _ in 0..count {
            let (mut stream, _) = listener.accept()?;
            let mut asked = [0; 100];
            stream.read_exact(&mut asked)?;
            stream.write_all(&asked)?;
        }
        Ok(())
    });
    for _ in 0..count {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(&[1; 100])?;
        stream.read_exact(&mut [0; 100])?;
        // The server closes too, and first or second as it happens.
        stream.shutdown(std::net::Shutdown::Write)?;
        stream.read_to_end(&mut Vec::new())?;
    }
    serving.join().expect("the server does not panic")
}
