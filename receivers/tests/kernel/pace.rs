//! What a storm of short connections costs the thread that watches, and how soon each is told.

use std::net::{IpAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tapetum_model::Flags;

use crate::agent::Agent;
use crate::{figure, ready};

const CONNECTIONS: u32 = 10_000;
const PAUSE: Duration = Duration::from_micros(100);
/// On a busy machine a sleep is long: none for less.
const SLEEP_MIN: Duration = Duration::from_millis(5);
/// More do not wait to be accepted: what a listener has no room for is only tried again after a second.
const UNACCEPTED_MAX: u32 = 64;

/// Ten thousand connections a second, if this machine can, to as many addresses as keep used ports apart.
fn storm(port: u16, accepted: &AtomicU32) -> Duration {
    let began = Instant::now();
    for n in 0..CONNECTIONS {
        let early = (PAUSE * n).saturating_sub(began.elapsed());
        if early >= SLEEP_MIN {
            thread::sleep(early);
        }
        while n - accepted.load(Ordering::Relaxed) > UNACCEPTED_MAX {
            thread::sleep(PAUSE);
        }
        let address = IpAddr::from([127, 0, 1, (n % 200 + 1) as u8]);
        drop(TcpStream::connect((address, port)).expect("connected"));
    }
    began.elapsed()
}

#[test]
fn ten_thousand_a_second_wake_nobody_each_and_are_told_soon() {
    if !ready() {
        return;
    }
    let mut agent = Agent::start_with("exclude = []");
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let accepted = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&accepted);
    let accepting = thread::spawn(move || {
        for stream in listener.incoming().take(CONNECTIONS as usize) {
            drop(stream.unwrap());
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    let woken = agent.wakes();
    let took = storm(port, &accepted).as_secs_f64();
    let woken = agent.wakes() - woken;
    accepting.join().unwrap();
    let ends = || {
        let rows = agent.rows(|ip| ip.is_loopback());
        let ours = rows
            .into_iter()
            .filter(|row| row.server().address.port() == port);
        ours.filter(|row| row.flags.has(Flags::CLOSED)).count()
    };
    agent.until("both ends of all", |_| ends() >= 2 * CONNECTIONS as usize);
    assert_eq!(ends(), 2 * CONNECTIONS as usize, "each once at each end");
    // Four records a connection; a wake-up takes in what gathered meanwhile.
    assert!(woken < u64::from(CONNECTIONS) / 20, "{woken} wake-ups");
    let delays = agent.delays();
    assert!(delays.len() >= 2 * CONNECTIONS as usize);
    agent.stop();
    let milliseconds = |at: usize| delays[at].as_secs_f64() * 1e3;
    figure(
        "connections a second",
        f64::from(CONNECTIONS) / took,
        "10 000",
    );
    figure("  wake-ups a second", woken as f64 / took, "50");
    figure(
        "  a record's delay, ms",
        milliseconds(delays.len() / 2),
        "100",
    );
    figure(
        "  the greatest of all, ms",
        milliseconds(delays.len() - 1),
        "100",
    );
}
