//! Pods come and go on a few addresses by a seeded schedule, the API server is cut off and forgets, and
//! at each step the index is asked who had an address when. It may not know; it may never be wrong.
//!
//! What the world is held to is what a kubelet does: an address is free only after its pod's end has
//! been asked for (or the pod has finished, or is gone), and a pod's address is told of after it has
//! been used.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};
use tapetum_k8s::{Holder, Watch};
use tapetum_model::UnixNanos;
use tapetum_testkit::{ApiServer, Cut, Random};

use crate::world::{PODS, settings, uid, until};

const ADDRESSES: usize = 5;
const STEPS: usize = 260;
const MILLI: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MILLI;
/// 2026-11-24T14:00:00Z
const BEGIN: u64 = 1_795_528_800 * SECOND;
/// A pod that changes with every step: who sees it has seen all before it.
const MARKER: u32 = 0xffff_ffff;

/// What a pod does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Sandbox,
    Told,
    Ending,
    Stops,
    Rests,
    Gone,
    Nothing,
}

/// How a pod ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Graceful,
    Finishes,
    Forced,
}

struct Life {
    n: u32,
    ip: usize,
    way: Way,
    next: Next,
    due: u64,
    object: Value,
}

/// Who had an address from when to when.
struct Truth {
    ip: usize,
    n: u32,
    from: u64,
    to: u64,
}

struct Model {
    server: ApiServer,
    watch: Watch,
    clock: Arc<AtomicU64>,
    random: Random,
    lives: Vec<Life>,
    truth: Vec<Truth>,
    pods: u32,
    marks: u32,
    /// Since when the agent is cut off.
    cut: Option<u64>,
    right: u64,
    unknown: u64,
}

#[tokio::test(flavor = "multi_thread")]
async fn no_name_is_ever_wrong() {
    for seed in 1..=2 {
        let mut model = Model::new(seed);
        model.mark().await;
        for _ in 0..STEPS {
            model.step().await;
        }
        let (right, unknown) = (model.right, model.unknown);
        assert!(
            right > unknown,
            "seed {seed}: {right} right, {unknown} unknown"
        );
        assert!(model.pods > 30, "seed {seed}: only {} pods", model.pods);
    }
}

impl Model {
    fn new(seed: u64) -> Self {
        let server = ApiServer::start();
        let clock = Arc::new(AtomicU64::new(BEGIN));
        let told = Arc::clone(&clock);
        let now = Arc::new(move || UnixNanos(told.load(Ordering::SeqCst)));
        let watch = Watch::start(settings(&server), now, seed).expect("it starts");
        Self {
            server,
            watch,
            clock,
            random: Random::new(seed),
            lives: Vec::new(),
            truth: Vec::new(),
            pods: 0,
            marks: 0,
            cut: None,
            right: 0,
            unknown: 0,
        }
    }

    fn now(&self) -> u64 {
        self.clock.load(Ordering::SeqCst)
    }

    fn pass(&mut self, most_milliseconds: u64) {
        let passed = self.random.below(most_milliseconds) * MILLI;
        self.clock.fetch_add(passed, Ordering::SeqCst);
    }

    async fn step(&mut self) {
        self.pass(1_500);
        match self.cut {
            None if self.random.once_in(25) => {
                self.cut = Some(self.now());
                self.server.down(true);
            }
            Some(_) if self.random.once_in(8) => self.come_back().await,
            None if self.random.once_in(20) => {
                let cut = self
                    .random
                    .one_of(&[Cut::Ended, Cut::Torn, Cut::Error(410)]);
                self.server.cut_watches(cut);
            }
            _ => {}
        }
        self.live().await;
        let free = (0..ADDRESSES).filter(|ip| !self.lives.iter().any(|life| life.ip == *ip));
        let free: Vec<usize> = free.collect();
        if !free.is_empty() && !self.random.once_in(3) {
            let ip = self.random.one_of(&free);
            self.begin(ip);
        }
        if self.cut.is_none() {
            // What was done just now is heard of late.
            self.pass(1_000);
            self.mark().await;
        }
        self.judge();
    }

    async fn come_back(&mut self) {
        if self.random.once_in(2) {
            self.server.forget_history();
        }
        self.server.down(false);
        self.cut = None;
        self.mark().await;
        until("it has caught up", || {
            self.watch.index().snapshot().state().behind_since.is_none()
        })
        .await;
    }

    /// Waits until all that happened is known.
    async fn mark(&mut self) {
        self.marks += 1;
        let mark = format!("node-{}", self.marks);
        self.server.put(
            PODS,
            json!({
                "metadata": {"name": "marker", "namespace": "shop", "uid": uid(MARKER)},
                "spec": {"nodeName": mark, "hostNetwork": true, "containers": [{"name": "main"}]},
                "status": {"phase": "Running"},
            }),
        );
        until("what happened is known", || {
            let snapshot = self.watch.index().snapshot();
            let marker = snapshot.pod(&uid(MARKER));
            marker.is_some_and(|marker| marker.node.as_deref() == Some(&mark))
        })
        .await;
    }

    fn begin(&mut self, ip: usize) {
        self.pods += 1;
        let n = self.pods;
        let object = json!({
            "metadata": {"name": format!("pod-{n}"), "namespace": "shop", "uid": uid(n)},
            "spec": {"nodeName": "node-1", "containers": [{"name": "main"}]},
            "status": {"phase": "Pending", "startTime": stamp(self.now())},
        });
        self.server.put(PODS, object.clone());
        let way = self
            .random
            .one_of(&[Way::Graceful, Way::Graceful, Way::Finishes, Way::Forced]);
        let due = self.now() + (100 + self.random.below(3_000)) * MILLI;
        self.lives.push(Life {
            n,
            ip,
            way,
            next: Next::Sandbox,
            due,
            object,
        });
    }

    async fn live(&mut self) {
        for at in 0..self.lives.len() {
            if self.lives[at].due <= self.now() {
                self.advance(at);
            }
        }
        self.lives.retain(|life| life.next != Next::Nothing);
    }

    /// Lets a pod do what is due.
    fn advance(&mut self, at: usize) {
        let now = self.now();
        let wait = self.random.below(2_000) * MILLI;
        let life = &mut self.lives[at];
        let terminated =
            json!([{"name": "main", "state": {"terminated": {"finishedAt": stamp(now)}}}]);
        life.due = now + wait;
        life.next = match life.next {
            Next::Sandbox => {
                self.truth.push(Truth {
                    ip: life.ip,
                    n: life.n,
                    from: now,
                    to: u64::MAX,
                });
                Next::Told
            }
            Next::Told => {
                life.object["status"]["podIPs"] = json!([{"ip": format!("10.0.0.{}", life.ip)}]);
                life.object["status"]["phase"] = json!("Running");
                life.object["status"]["containerStatuses"] = json!([{"name": "main", "state": {"running": {"startedAt": life.object["status"]["startedAt"]}}}]);
                self.server.put(PODS, life.object.clone());
                life.due = now + wait * 12;
                Next::Ending
            }
            Next::Ending => {
                match life.way {
                    Way::Graceful => {
                        life.object["metadata"]["deletionTimestamp"] = json!(stamp(now));
                        self.server.put(PODS, life.object.clone());
                    }
                    Way::Finishes => {
                        // Nothing runs in it any more; the address is still its own.
                        let truth = self.truth.iter_mut().find(|one| one.n == life.n);
                        truth.expect("it had the address").to = now;
                        life.object["status"]["phase"] = json!("Succeeded");
                        life.object["status"]["containerStatuses"] = terminated;
                        self.server.put(PODS, life.object.clone());
                    }
                    Way::Forced => self.server.delete(PODS, "shop", &format!("pod-{}", life.n)),
                }
                Next::Stops
            }
            Next::Stops => {
                let n = life.n;
                life.object["status"]["containerStatuses"] = terminated;
                // The address is free from here on, whatever the API server has still to be told.
                life.ip = usize::MAX;
                let truth = self.truth.iter_mut().find(|one| one.n == n);
                let truth = truth.expect("it had the address");
                truth.to = truth.to.min(now);
                Next::Rests
            }
            Next::Rests => {
                if life.way == Way::Graceful {
                    self.server.put(PODS, life.object.clone());
                }
                Next::Gone
            }
            Next::Gone | Next::Nothing => {
                self.server.delete(PODS, "shop", &format!("pod-{}", life.n));
                Next::Nothing
            }
        };
    }

    /// Asks for every address at moments of the past, and of now.
    fn judge(&mut self) {
        let snapshot = self.watch.index().snapshot();
        let known_to = self.cut.unwrap_or(u64::MAX).min(self.now());
        for ip in 0..ADDRESSES {
            for back in [0, self.random.below(5_000), self.random.below(40_000)] {
                let then = known_to.saturating_sub(back * MILLI);
                let mut truth = self.truth.iter();
                let had = |one: &&Truth| one.ip == ip && one.from <= then && then <= one.to;
                // Where nobody had it nobody could send from it.
                let Some(truth) = truth.find(had) else {
                    continue;
                };
                let address = format!("10.0.0.{ip}").parse().expect("an address");
                match snapshot.pod_at(address, UnixNanos(then)) {
                    Holder::Pod(pod) => {
                        assert_eq!(
                            &*pod.uid,
                            uid(truth.n),
                            "10.0.0.{ip} at {then}, {back} ms before {known_to}, was pod-{}'s",
                            truth.n
                        );
                        self.right += 1;
                    }
                    Holder::Several | Holder::Nobody => self.unknown += 1,
                }
            }
        }
    }
}

/// As the API server writes it: whole seconds.
fn stamp(nanos: u64) -> String {
    let second = nanos / SECOND - 1_795_528_800;
    let (hours, minutes) = (14 + second / 3_600, second / 60 % 60);
    format!("2026-11-24T{hours:02}:{minutes:02}:{:02}Z", second % 60)
}
