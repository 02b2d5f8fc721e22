//! The memory budget: what every component and queue can take, summed before anything starts.

use crate::{Bound, Build, GraphSpec, Kind, Size};

/// What a graph can take, line by line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// One line an instance (a processor: one for all its pipelines) and one a queue.
    pub lines: Vec<BudgetLine>,
}

/// What one component or queue can take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetLine {
    /// Which.
    pub what: String,
    /// How much.
    pub bound: Bound,
}

impl Budget {
    /// The sum over all lines.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        self.lines.iter().map(BudgetLine::bytes).sum()
    }

    /// A sentence on what to lower, if the sum does not fit into `memory_bytes`.
    #[must_use]
    pub fn excess(&self, memory_bytes: u64) -> Option<String> {
        let total = self.total_bytes();
        if total <= memory_bytes {
            return None;
        }
        let mut largest: Vec<&BudgetLine> = self.lines.iter().collect();
        largest.sort_by_key(|line| std::cmp::Reverse(line.bytes()));
        let named: Vec<String> = largest
            .iter()
            .take(3)
            .map(|line| format!("{} {}", line.what, mebibytes(line.bytes())))
            .collect();
        Some(format!(
            "the pipelines can take {} but `service.memory` is {}: raise it, or lower the largest: {}",
            mebibytes(total),
            Size(memory_bytes),
            named.join(", ")
        ))
    }
}

impl BudgetLine {
    /// In this process and in the kernel.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bound
            .user_bytes
            .saturating_add(self.bound.kernel_bytes)
    }
}

impl GraphSpec {
    /// What the graph can take.
    #[must_use]
    pub fn budget(&self) -> Budget {
        let mut lines = Vec::new();
        for kind in Kind::ALL {
            for instance in self.instances(kind) {
                let pipelines = match kind {
                    Kind::Processor => self
                        .pipelines
                        .iter()
                        .filter(|pipeline| pipeline.processors.contains(&instance.id))
                        .count() as u64,
                    _ => 1,
                };
                let bound = (instance.component.bound)(&instance.settings);
                lines.push(BudgetLine {
                    what: kind.header(&instance.id),
                    bound: Bound {
                        user_bytes: bound.user_bytes.saturating_mul(pipelines),
                        kernel_bytes: bound.kernel_bytes.saturating_mul(pipelines),
                    },
                });
                if matches!(instance.component.build, Build::Exporter(_)) {
                    lines.push(BudgetLine {
                        what: format!("`queue.size` of {}", kind.header(&instance.id)),
                        bound: Bound {
                            user_bytes: instance.queue.size_bytes,
                            kernel_bytes: 0,
                        },
                    });
                }
            }
        }
        Budget { lines }
    }
}

/// Rounded up, so that what is printed is enough.
fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}
