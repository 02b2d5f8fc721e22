//! Connection records -> OTLP bytes, grouping included.

use tapetum_benches::{Counting, figure, note, timed};
use tapetum_model::{Connection, Connections, Flags, Loss, UnixNanos, Window};
use tapetum_otlp::{Agent, SpanEncoder};
use tapetum_testkit::sample;

const RECORDS: usize = 4_096;
const RUNS: usize = 400;
const WINDOW: Window = Window {
    start: UnixNanos(1_767_225_600_000_000_000),
    end: UnixNanos(1_767_225_610_000_000_000),
};

#[global_allocator]
static ALLOCATOR: Counting = Counting::new();

fn main() {
    let rows: Vec<Connection> = (0..)
        .map(sample::connection)
        .filter(|row| row.flags.has(Flags::SPAN))
        .take(RECORDS)
        .collect();
    let mut encoder = SpanEncoder::new(Agent {
        cluster: "production".into(),
        node: "node-1".into(),
        host: "node-1".into(),
        instance: "node-1".into(),
        version: "0.1.0".into(),
    });
    let rows = Connections::from(rows);
    let mut encode = |rows: &Connections| {
        let (mut bytes, mut messages) = (0, 0);
        encoder.encode(rows, &WINDOW, &Loss::default(), |message| {
            bytes += message.bytes.len();
            messages += 1;
        });
        (bytes, messages)
    };
    // The scratch has its size after the first time.
    let (bytes, messages) = encode(&rows);
    if std::env::args().any(|arg| arg == "--profile") {
        // For a profiler that counts instructions: nothing else, a few times.
        (0..20).for_each(|_| _ = encode(&rows));
        return;
    }
    let (least, middle) = timed(RUNS, || encode(&rows));
    let per_byte = |taken: std::time::Duration| taken.as_nanos() as f64 / bytes as f64;

    println!(
        "{RECORDS} connection records of 100 workloads -> {bytes} OTLP bytes in {messages} messages"
    );
    figure(
        "encode, grouping included",
        per_byte(least),
        "ns/byte",
        0.25,
    );
    note("  the middle run", per_byte(middle), "ns/byte");
    note("  a record", least.as_nanos() as f64 / RECORDS as f64, "ns");
    note("  bytes a record", bytes as f64 / RECORDS as f64, "bytes");

    // A message is one allocation, and one more when it gives back what it did not need.
    let (allocations, _) = ALLOCATOR.during(|| encode(&rows));
    let of_records = allocations.saturating_sub(2 * messages);
    figure(
        "allocations a record",
        of_records as f64 / RECORDS as f64,
        "",
        0.0,
    );
    note("  allocations in all", allocations as f64, "");
}
