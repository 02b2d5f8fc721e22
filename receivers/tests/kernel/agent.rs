//! The receiver alone, on the real kernel, with everything it sends collected.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use tapetum_model::{Batch, Connection, EndReason, Flags, Payload, Records, Role, UnixNanos};
use tapetum_pipeline::{Answer, Build, Clock, Context, Now, Outlet, Settings, Stop};
use tapetum_receivers::tcp;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The thread that watches asks it for the time, and is known by that.
struct Real(Instant, Arc<OnceLock<PathBuf>>);

impl Clock for Real {
    fn now(&self) -> Now {
        if std::thread::current().name() == Some("tapetum-tcp") {
            self.1.get_or_init(|| {
                let own = std::fs::read_link("/proc/thread-self").unwrap();
                std::path::Path::new("/proc").join(own)
            });
        }
        let unix = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap();
        Now {
            unix: UnixNanos(unix.as_nanos() as u64),
            monotonic: self.0.elapsed(),
        }
    }
}

pub(crate) struct Agent {
    runtime: Runtime,
    pub(crate) context: Context,
    batches: Arc<Mutex<Vec<Batch>>>,
    /// How old each birth and close was when it was handed over.
    delays: Arc<Mutex<Vec<Duration>>>,
    thread: Arc<OnceLock<PathBuf>>,
    switch: watch::Sender<bool>,
    task: Option<JoinHandle<()>>,
}

impl Agent {
    /// Starts it and waits until it is ready. A sweep comes every 200 ms, a span every 10 minutes;
    /// the limit is beyond what others on this machine may open meanwhile.
    pub(crate) fn start() -> Self {
        Self::start_with("")
    }

    pub(crate) fn start_with(more: &str) -> Self {
        let mut table: toml::Table =
            "sweep = \"200ms\"\ninterval = \"10m\"\nmax_connections = 1000000\nring = \"32MiB\"\nexclude = [\"self\"]"
                .parse()
                .unwrap();
        table.extend(more.parse::<toml::Table>().unwrap());
        let thread = Arc::new(OnceLock::new());
        let clock: Arc<dyn Clock> = Arc::new(Real(Instant::now(), Arc::clone(&thread)));
        let context = tapetum_testkit::context_at("tcp", Arc::clone(&clock));
        let Build::Receiver(build) = tcp::COMPONENT.build else {
            panic!("it is a receiver")
        };
        let receiver = build(&Settings::new(table), &context).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .build()
            .unwrap();
        let batches = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&batches);
        let delays = Arc::new(Mutex::new(Vec::new()));
        let late = Arc::clone(&delays);
        let (switch, stop) = Stop::channel();
        let task = runtime.spawn(async move {
            let out = Outlet::to(move |batch| {
                let now = clock.now().unix;
                late.lock().unwrap().extend(told_late(&batch, now));
                sink.lock().unwrap().push(batch);
                Answer::Accepted
            });
            receiver.run(out, stop).await.unwrap();
        });
        let agent = Self {
            runtime,
            context,
            batches,
            delays,
            thread,
            switch,
            task: Some(task),
        };
        agent.until("ready", |agent| {
            agent.context.health.state().waits_for.is_none()
        });
        agent
    }

    /// Waits for something that must come.
    pub(crate) fn until(&self, what: &str, ask: impl Fn(&Self) -> bool) {
        let give_up = Instant::now() + Duration::from_secs(20);
        while !ask(self) {
            assert!(Instant::now() < give_up, "waited in vain: {what}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Everything that it sent so far.
    pub(crate) fn batches(&self) -> Vec<Batch> {
        self.batches.lock().unwrap().clone()
    }

    /// How old each birth and close was when it was handed over, in order of age.
    pub(crate) fn delays(&self) -> Vec<Duration> {
        let mut delays = self.delays.lock().unwrap().clone();
        delays.sort_unstable();
        delays
    }

    /// How often the thread that watches went to sleep so far.
    pub(crate) fn wakes(&self) -> u64 {
        let thread = self.thread.get().expect("it asked for the time");
        let status = std::fs::read_to_string(thread.join("status")).unwrap();
        let mut lines = status.lines();
        let count = lines.find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        count.unwrap().trim().parse().unwrap()
    }

    /// The rows whose local end satisfies `ours`.
    pub(crate) fn rows(&self, ours: impl Fn(IpAddr) -> bool) -> Vec<Connection> {
        let batches = self.batches.lock().unwrap();
        let rows = batches.iter().flat_map(|batch| match &batch.payload {
            Payload::Records(Records::Connections(rows)) => &rows[..],
            _ => &[],
        });
        rows.filter(|row| ours(row.local.address.ip()))
            .cloned()
            .collect()
    }

    /// The spans among them, the clients' and the servers'.
    pub(crate) fn spans(
        &self,
        ours: impl Fn(IpAddr) -> bool,
    ) -> (Vec<Connection>, Vec<Connection>) {
        let spans = self
            .rows(ours)
            .into_iter()
            .filter(|row| row.flags.has(Flags::SPAN));
        spans.partition(|row| row.role == Role::Client)
    }

    /// Stops it; gives back how long that took.
    pub(crate) fn stop(&mut self) -> Duration {
        let begin = Instant::now();
        self.switch.send(true).unwrap();
        if let Some(task) = self.task.take() {
            self.runtime.block_on(task).unwrap();
        }
        begin.elapsed()
    }
}

fn told_late(batch: &Batch, now: UnixNanos) -> Vec<Duration> {
    let Payload::Records(Records::Connections(rows)) = &batch.payload else {
        return Vec::new();
    };
    let events = rows.iter().filter(|row| {
        let told = row.flags.has(Flags::OPENED) || row.flags.has(Flags::CLOSED);
        // Nobody told a close whose reason is not known.
        told && row.end_reason != Some(EndReason::Unknown)
    });
    events.map(|row| now.since(row.end)).collect()
}
