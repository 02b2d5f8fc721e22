//! The TCP probe on the running kernel: the real object, real sockets, network namespaces of our own.
//!
//! These need root (or CAP_BPF, CAP_PERFMON and CAP_SYS_ADMIN for the namespaces); without, each says
//! so and ends. What they do not prove: other kernels (`tests/vm`), NAT between namespaces and
//! several agents (`tests/lab`).

mod adoption;
mod births;
mod bytes;
mod cgroups;
mod ends;
mod limits;
mod privileges;
mod watch;
