//! What senders were told is taken while a processor still holds it: the room that was promised for it
//! in the queues stays promised.
//!
//! A sender is answered once, so what it was told must stay true: a queue that was filled meanwhile by
//! somebody else would have no room for what comes out of a `batch` that is flushed a moment later.

use std::sync::Arc;

use crate::queue::{Door, Front, Permit, Weight};

/// The promises behind what a pipeline's processors hold.
pub(super) struct Owed {
    /// One a queue, in the order of the pipeline's exporters.
    promised: Vec<Permit>,
    /// What was handed over since nothing was held; `None`: it cannot be added up.
    weight: Option<Weight>,
    /// What has come out of that, a queue each.
    came_out: Vec<u64>,
    /// There is something to settle.
    touched: bool,
}

impl Owed {
    pub(super) fn new(fronts: &[Arc<Front>]) -> Self {
        Self {
            promised: fronts.iter().map(Permit::none).collect(),
            weight: Some(Weight::default()),
            came_out: vec![0; fronts.len()],
            touched: false,
        }
    }

    /// Keeps what was promised for a batch that is held, in part or whole.
    pub(super) fn keep(&mut self, permits: Vec<Permit>, weight: Weight, fronts: &[Arc<Front>]) {
        for permit in permits {
            let of_front = fronts.iter().position(|front| permit.is_for(front));
            if let Some(at) = of_front {
                self.promised[at].add(permit);
            }
        }
        self.touched = true;
        self.weight = self.weight.and_then(|known| known.and(weight));
    }

    /// From now on the queues are these; to one that is new nothing was promised.
    pub(super) fn lead_to(&mut self, fronts: &[Arc<Front>]) {
        let mut before = std::mem::take(&mut self.promised);
        let of = |front: &Arc<Front>| {
            let at = before.iter().position(|permit| permit.is_for(front));
            at.map_or_else(|| Permit::none(front), |at| before.swap_remove(at))
        };
        self.promised = fronts.iter().map(of).collect();
        self.came_out = vec![0; fronts.len()];
        // What comes out goes to others than what came in was meant for.
        self.weight = None;
        self.touched = true;
    }

    /// So many bytes come out for the `at`th queue, which is about to get them.
    pub(super) fn redeem(&mut self, at: usize, bytes: u64) {
        self.promised[at].redeem_part(bytes);
        self.came_out[at] += bytes;
        self.touched |= bytes > 0;
    }

    /// Nothing is held any more: gives back what was promised beyond what came out, and learns.
    pub(super) fn settle(&mut self, door: &Door, fronts: &[Arc<Front>]) {
        if !std::mem::take(&mut self.touched) {
            return;
        }
        for ((promised, front), came_out) in
            self.promised.iter_mut().zip(fronts).zip(&mut self.came_out)
        {
            *promised = Permit::none(front);
            let bytes = std::mem::take(came_out);
            if let (Some(weight), 1..) = (self.weight, bytes) {
                door.learn(front, weight, bytes);
            }
        }
        self.weight = Some(Weight::default());
    }
}
