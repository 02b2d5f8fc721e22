//! A log against a model of it: whatever is done in whatever order, and wherever the process dies or the
//! power is cut, what was written is there once more, in its order, and nothing else is.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use tapetum_spool::{Draft, Limits, Log, Meta, Opened, Position};
use tapetum_testkit::{Disk, Random};

#[derive(Clone, Debug)]
enum Act {
    Append(Vec<u16>),
    Load(u16),
    /// So many of those that were loaded.
    Settle(u8),
    DropOldest,
    Sync,
    /// A stop that writes back what was loaded and not settled.
    Stop,
    /// The process dies after so many bytes of the next write, or between two.
    Die(Option<u16>),
    CutPower(u64),
}

/// What a log should hold.
#[derive(Default)]
struct Model {
    next: u64,
    /// Written and not settled, in order.
    waiting: VecDeque<u64>,
    /// How many of these were loaded, and where each ends.
    loaded: VecDeque<Position>,
    /// The last that a power cut leaves for sure.
    synced: u64,
    /// Of a write that was torn: these may be there, from the first on.
    torn: Vec<u64>,
}

const LIMITS: Limits = Limits {
    segment_bytes: 2_000,
    durable: true,
};

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => prop::collection::vec(0u16..900, 1..5).prop_map(Act::Append),
        5 => (0u16..3_000).prop_map(Act::Load),
        5 => (0u8..8).prop_map(Act::Settle),
        1 => Just(Act::DropOldest),
        2 => Just(Act::Sync),
        1 => Just(Act::Stop),
        1 => prop::option::of(0u16..2_000).prop_map(Act::Die),
        1 => any::<u64>().prop_map(Act::CutPower),
    ]
}

/// A message whose body says which it is.
fn body(id: u64, length: u16) -> Vec<u8> {
    let mut body = vec![id as u8; usize::from(length)];
    body.splice(..0, id.to_le_bytes());
    body
}

fn draft(id: u64, body: &[u8]) -> Draft<'_> {
    let (left, right) = body.split_at(body.len() / 2);
    Draft {
        meta: Meta {
            kind: id as u8,
            items: id,
            lost: [id, 0, 7],
        },
        parts: vec![left, right],
    }
}

fn id_of(body: &[u8]) -> u64 {
    u64::from_le_bytes(*body.first_chunk().expect("a message of ours"))
}

fn open(disk: &Disk) -> Opened {
    let files = Arc::new(disk.clone());
    Log::open(files, Path::new("/queue/otlp"), LIMITS).expect("nothing is wrong with the disk")
}

fn load(log: &mut Log, bytes: u64) -> Vec<(u64, Position, Vec<u8>)> {
    let loaded = log.load(bytes, 48, true).expect("the disk is well");
    assert_eq!(loaded.damaged_messages, 0);
    let messages = loaded.messages.into_iter();
    messages
        .map(|one| {
            let id = id_of(&one.body);
            assert_eq!(one.meta.items, id);
            assert_eq!(one.meta.lost, [id, 0, 7]);
            (id, one.position, one.body.to_vec())
        })
        .collect()
}

struct Run {
    disk: Disk,
    log: Log,
    model: Model,
    /// The bodies of what was loaded and not settled.
    bodies: VecDeque<Vec<u8>>,
}

impl Run {
    fn new() -> Self {
        let disk = Disk::default();
        let log = open(&disk).log;
        Self {
            disk,
            log,
            model: Model {
                next: 1,
                ..Model::default()
            },
            bodies: VecDeque::new(),
        }
    }

    fn act(&mut self, act: &Act) {
        match act {
            Act::Append(lengths) => self.append(lengths),
            Act::Load(bytes) => self.load(u64::from(*bytes)),
            Act::Settle(count) => self.settle(usize::from(*count)),
            Act::DropOldest => self.drop_oldest(),
            Act::Sync => {
                self.log.sync().expect("the disk is well");
                self.model.synced = self.model.next - 1;
            }
            Act::Stop => self.stop(),
            Act::Die(None) => {
                self.disk.kill();
                self.reopen(false);
            }
            Act::Die(Some(bytes)) => {
                self.disk.dies_after(u64::from(*bytes));
                self.append(&[300, 300, 300]);
                self.disk.kill();
                self.reopen(false);
            }
            Act::CutPower(seed) => {
                self.disk.cut_power(&mut Random::new(*seed));
                self.reopen(true);
            }
        }
    }

    fn append(&mut self, lengths: &[u16]) {
        let ids: Vec<u64> = (self.model.next..).take(lengths.len()).collect();
        self.model.next += ids.len() as u64;
        let pairs = ids.iter().zip(lengths);
        let bodies: Vec<Vec<u8>> = pairs.map(|(id, length)| body(*id, *length)).collect();
        let pairs = ids.iter().zip(&bodies);
        let drafts: Vec<Draft<'_>> = pairs.map(|(id, body)| draft(*id, body)).collect();
        match self.log.append(&drafts, 0) {
            Ok(positions) => {
                assert_eq!(positions.len(), ids.len());
                self.model.waiting.extend(ids);
            }
            Err(_) => self.model.torn = ids,
        }
    }

    fn load(&mut self, bytes: u64) {
        let at = self.model.loaded.len();
        let expected: Vec<u64> = self.model.waiting.iter().skip(at).copied().collect();
        let loaded = load(&mut self.log, bytes);
        assert_eq!(loaded.is_empty(), expected.is_empty());
        for ((id, position, body), expected) in loaded.into_iter().zip(expected) {
            assert_eq!(id, expected);
            self.model.loaded.push_back(position);
            self.bodies.push_back(body);
        }
        let (unread, _) = self.log.unread();
        let left = self.model.waiting.len() - self.model.loaded.len();
        assert_eq!(unread, left as u64);
    }

    fn settle(&mut self, count: usize) {
        let count = count.min(self.model.loaded.len());
        let settled = self.model.loaded.drain(..count).next_back();
        self.model.waiting.drain(..count);
        self.bodies.drain(..count);
        if let Some(position) = settled {
            self.log.settle(position).expect("the disk is well");
        }
    }

    fn drop_oldest(&mut self) {
        let dropped = self.log.drop_oldest().expect("the disk is well");
        let at = self.model.loaded.len();
        let gone: Vec<u64> = self
            .model
            .waiting
            .drain(at..at + dropped.messages as usize)
            .collect();
        assert_eq!(dropped.items, gone.iter().sum::<u64>());
        // What was loaded of it lives on in memory only: here it is as if it were settled.
        self.settle(at);
    }

    fn stop(&mut self) {
        let ids = self.model.waiting.iter().take(self.bodies.len());
        let pairs = ids.zip(&self.bodies);
        let drafts: Vec<Draft<'_>> = pairs.map(|(id, body)| draft(*id, body)).collect();
        self.log.prepend(&drafts).expect("the disk is well");
        self.log.sync().expect("the disk is well");
        self.model.synced = self.model.next - 1;
        self.disk.kill();
        self.reopen(false);
    }

    /// Opens what is there, and looks at all of it. `again`: what was settled may come once more.
    fn reopen(&mut self, again: bool) {
        self.log = open(&self.disk).log;
        self.bodies.clear();
        self.model.loaded.clear();
        let all = self.log.load(u64::MAX, 0, true).expect("the disk is well");
        let found: Vec<u64> = all.messages.iter().map(|one| id_of(&one.body)).collect();
        // What was written and never synced may be noise after a power cut: that is counted, not given.
        assert!(again || all.damaged_messages == 0);
        let mut expected = self.model.waiting.clone();
        let torn = std::mem::take(&mut self.model.torn);
        if again {
            // Behind what was synced only the first may be there; what was settled may be there.
            let first = expected.front().copied().unwrap_or(u64::MAX);
            let sure = expected.iter().filter(|id| **id <= self.model.synced);
            let sure = sure.count();
            let old = found.iter().take_while(|id| **id < first).count();
            let (old, new) = found.split_at(old);
            assert!(old.is_sorted(), "{old:?}");
            assert!(new.len() >= sure, "{sure} of {expected:?} in {new:?}");
            expected = found.iter().copied().collect();
            let all = self.model.waiting.iter().chain(&torn);
            assert!(all.take(new.len()).eq(new), "{new:?}");
        } else {
            let extra = found.len().saturating_sub(expected.len());
            assert!(extra <= torn.len(), "{found:?} {expected:?}");
            expected.extend(&torn[..extra]);
            assert_eq!(expected, found);
        }
        self.model.synced = self.model.next - 1;
        self.model.waiting = expected;
        if all.damaged_messages > 0 {
            self.model.waiting.clear();
            let all = self.log.read_position();
            self.log.settle(all).expect("the disk is well");
        }
        self.disk.kill();
        self.log = open(&self.disk).log;
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        cases: 1_000,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_log_does_what_its_model_does(acts in prop::collection::vec(act(), 1..60)) {
        let mut run = Run::new();
        for act in &acts {
            run.act(act);
        }
        run.disk.kill();
        run.reopen(false);
    }
}
