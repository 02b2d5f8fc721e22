//! From batches to standard output: as lines, or as a screen that is drawn again twice a second.

use std::fmt::Write as _;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tapetum_model::{Batch, Payload, Records};
use tapetum_pipeline::{Clock, Encode, Encoded, Encoding, Export, Outcome};
use tokio::task::AbortHandle;

use super::lines::{PointLine, SpanLine};
use super::live::Live;

/// So often the screen is drawn.
const FRAME: Duration = Duration::from_millis(500);
/// The size of a terminal that does not say it.
const COLUMNS: usize = 120;
const LINES: usize = 40;

/// Batches -> lines.
pub(super) struct Lines;

/// Batches -> the table; what is queued only says that there is something new.
pub(super) struct Table {
    live: Arc<Mutex<Live>>,
    clock: Arc<dyn Clock>,
}

/// Draws the table.
pub(super) struct Screen {
    live: Arc<Mutex<Live>>,
    clock: Arc<dyn Clock>,
    out: Writer,
    task: Option<AbortHandle>,
}

/// Writes bytes where another thread may wait for a slow reader.
#[derive(Clone)]
pub(super) struct Writer(Arc<Mutex<Box<dyn Write + Send>>>);

impl Encode for Lines {
    fn encode(&mut self, batch: &Batch, into: &mut Vec<Encoded>) -> Encoding {
        let mut text = String::new();
        let mut items = 0;
        match &batch.payload {
            Payload::Records(Records::Connections(rows)) => {
                for row in rows.spans() {
                    let _ = write!(text, "{}", SpanLine(row));
                    items += 1;
                }
            }
            Payload::Points(points) => {
                for point in points {
                    let _ = write!(text, "{}", PointLine(point));
                    items += 1;
                }
            }
            Payload::Otlp(otlp) => {
                return Encoding {
                    filtered: 0,
                    rejected: otlp.items,
                };
            }
        }
        if items > 0 {
            into.push(message(batch, items, text.into()));
        }
        Encoding {
            filtered: batch.items() - items,
            rejected: 0,
        }
    }
}

impl Table {
    pub(super) fn new(live: Arc<Mutex<Live>>, clock: Arc<dyn Clock>) -> Self {
        Self { live, clock }
    }
}

impl Encode for Table {
    fn encode(&mut self, batch: &Batch, into: &mut Vec<Encoded>) -> Encoding {
        let Payload::Records(Records::Connections(rows)) = &batch.payload else {
            return Encoding {
                filtered: batch.items(),
                rejected: 0,
            };
        };
        let now = self.clock.now().monotonic;
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        rows.iter().for_each(|row| live.add(row, now));
        if !rows.is_empty() {
            into.push(message(batch, batch.items(), Bytes::from_static(b"\n")));
        }
        Encoding::default()
    }
}

impl Screen {
    pub(super) fn new(live: Arc<Mutex<Live>>, clock: Arc<dyn Clock>, out: Writer) -> Self {
        Self {
            live,
            clock,
            out,
            task: None,
        }
    }

    fn draw(live: &Mutex<Live>, clock: &dyn Clock) -> Bytes {
        let (columns, lines) = match terminal_size::terminal_size() {
            Some((columns, lines)) => (usize::from(columns.0), usize::from(lines.0)),
            None => (COLUMNS, LINES),
        };
        let mut live = live.lock().unwrap_or_else(PoisonError::into_inner);
        let table = live.draw(clock.now().monotonic, columns, lines.saturating_sub(1));
        // From the top, each line's rest erased, and what is below too: without a flicker.
        let mut frame = String::from("\x1b[H");
        for line in table.lines() {
            frame.push_str(line);
            frame.push_str("\x1b[K\n");
        }
        frame.push_str("\x1b[J");
        frame.into()
    }
}

#[async_trait]
impl Export for Screen {
    async fn export(&mut self, message: Encoded) -> Outcome {
        if self.task.as_ref().is_none_or(AbortHandle::is_finished) {
            let clear = self.out.clone().write(Bytes::from_static(b"\x1b[2J")).await;
            if let Err(why) = clear {
                return gone(&why);
            }
            let (live, clock, out) = (
                Arc::clone(&self.live),
                Arc::clone(&self.clock),
                self.out.clone(),
            );
            let drawing = async move {
                let frame = || Self::draw(&live, &*clock);
                while out.clone().write(frame()).await.is_ok() {
                    tokio::time::sleep(FRAME).await;
                }
            };
            self.task = Some(tokio::spawn(drawing).abort_handle());
        }
        drop(message);
        delivered()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

#[async_trait]
impl Export for Writer {
    async fn export(&mut self, message: Encoded) -> Outcome {
        match self.clone().write(message.bytes.contiguous()).await {
            Ok(()) => delivered(),
            Err(why) => gone(&why),
        }
    }
}

impl Writer {
    pub(super) fn new(out: Box<dyn Write + Send>) -> Self {
        Self(Arc::new(Mutex::new(out)))
    }

    async fn write(self, bytes: Bytes) -> std::io::Result<()> {
        let written = tokio::task::spawn_blocking(move || {
            let mut out = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            out.write_all(&bytes)?;
            out.flush()
        });
        written
            .await
            .unwrap_or_else(|why| Err(std::io::Error::other(why)))
    }
}

fn message(batch: &Batch, items: u64, bytes: Bytes) -> Encoded {
    Encoded {
        signal: batch.signal(),
        items,
        bytes: bytes.into(),
    }
}

fn delivered() -> Outcome {
    Outcome::Ok {
        rejected: 0,
        message: None,
    }
}

/// Standard output does not come back.
fn gone(why: &std::io::Error) -> Outcome {
    Outcome::Permanent {
        message: format!("cannot write to standard output: {why}").into(),
    }
}
