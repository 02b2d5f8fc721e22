//! Every program of every probe, what it hangs on, and what is lost without it: one table, from
//! which the loader loads and `doctor` speaks.

/// Where a program hangs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attach {
    /// A BTF tracepoint of this name.
    Tracepoint(&'static str),
    /// An iterator over this target, run when user space asks.
    Iterator(&'static str),
}

/// Whether the probe is anything without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing works without it.
    Required,
    /// Its own feature is lost.
    Optional,
}

/// One program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hook {
    /// Name of the program in the object.
    pub program: &'static str,
    /// What it hangs on.
    pub attach: Attach,
    /// Whether the probe can do without.
    pub need: Need,
    /// What is lost without it.
    pub lost: &'static str,
}

impl Attach {
    /// The tracepoint's or iterator's name.
    pub fn target(&self) -> &'static str {
        match self {
            Attach::Tracepoint(name) | Attach::Iterator(name) => name,
        }
    }

    /// The name under which the kernel's type information has it.
    pub(super) fn btf_name(&self) -> String {
        match self {
            Attach::Tracepoint(name) => format!("btf_trace_{name}"),
            Attach::Iterator(name) => format!("bpf_iter__{name}"),
        }
    }
}

/// The programs of the TCP probe.
pub const TCP_HOOKS: [Hook; 6] = [
    Hook {
        program: "set_state",
        attach: Attach::Tracepoint("inet_sock_set_state"),
        need: Need::Required,
        lost: "TCP connections are not seen at all",
    },
    Hook {
        program: "sweep",
        attach: Attach::Iterator("bpf_sk_storage_map"),
        need: Need::Required,
        lost: "counters of open connections cannot be read",
    },
    Hook {
        program: "adopt",
        attach: Attach::Iterator("task_file"),
        need: Need::Optional,
        lost: "connections older than the agent are not seen",
    },
    Hook {
        program: "receive_reset",
        attach: Attach::Tracepoint("tcp_receive_reset"),
        need: Need::Optional,
        lost: "a reset by the peer can be taken for one of our own",
    },
    Hook {
        program: "send_reset",
        attach: Attach::Tracepoint("tcp_send_reset"),
        need: Need::Optional,
        lost: "a reset of our own can be taken for an orderly end",
    },
    Hook {
        program: "cgroup_made",
        attach: Attach::Tracepoint("cgroup_mkdir"),
        need: Need::Optional,
        lost: "a container that lives shorter than a second may stay without a name",
    },
];
