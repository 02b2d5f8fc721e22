/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What the TCP probe writes into its ring: plain, fixed-size records whose layout user space relies
 * on. Every size and a few telling offsets are asserted here and again in tcp/record.rs, so that a
 * change on one side alone does not compile. Also compiled for the host by the tests.
 */
#ifndef TAPETUM_TCP_RECORD_H
#define TAPETUM_TCP_RECORD_H

enum tapetum_kind {
	KIND_OPENED = 1,          /* established: a client's, or a server's accepted socket */
	KIND_CLOSED = 2,          /* the socket is closed, established or not */
	KIND_ADOPTED = 3,         /* existed before the probe */
	KIND_SWEPT = 4,           /* its counters at a sweep */
	KIND_LISTENING = 5,       /* a listener: new, adopted or swept */
	KIND_LISTENER_CLOSED = 6,
	KIND_SWEEP_BEGAN = 7,
	KIND_SWEEP_ENDED = 8,
	KIND_CGROUP_MADE = 9,
	KIND_UNCHANGED = 10, /* at a sweep: as in the row before */
	KINDS = 11,
};

enum tapetum_role {
	ROLE_UNKNOWN = 0, /* adopted, and its counters do not tell */
	ROLE_CLIENT = 1,  /* it sent the SYN */
	ROLE_SERVER = 2,  /* a listener accepted it */
};

enum tapetum_flag {
	FLAG_ADOPTED = 1 << 0,
	FLAG_ANNOUNCED = 1 << 1,    /* an earlier record of this socket reached the ring */
	FLAG_MAPPED = 1 << 2,       /* an AF_INET6 socket that speaks IPv4 */
	FLAG_FIN_SENT = 1 << 3,
	FLAG_FIN_ACKED = 1 << 4,
	FLAG_FIN_RECEIVED = 1 << 5, /* consumed in order */
	FLAG_RST_SENT = 1 << 6,     /* seen before the socket closed */
	FLAG_RST_RECEIVED = 1 << 7,
	FLAG_ISN = 1 << 8,          /* both initial sequence numbers are known */
	FLAG_CROSSED = 1 << 9,      /* both ends sent a SYN: there is no server */
	FLAG_MPTCP = 1 << 10,       /* a listener whose connections do not inherit its process */
};

/* Addresses are IPv4-mapped IPv6 throughout, ports in host order, times CLOCK_MONOTONIC. */
struct tapetum_row {
	__u16 kind;
	__u16 bytes; /* sizeof this record, so that a reader of another layout notices */
	__u32 sweep; /* number of the sweep that wrote it; 0 outside one */
	__u64 at_ns;
	__u64 id; /* socket cookie */
	__u64 netns_cookie;
	__u64 born_ns;
	__u64 established_ns;
	__u64 cgroup_id;        /* of the creating process, unified hierarchy */
	__u64 cgroup_v1_id;     /* of the creating process, v1 memory hierarchy, else 0 */
	__u64 socket_cgroup_id; /* of the socket, unified hierarchy */
	__u64 bytes_sent;
	__u64 bytes_received;
	__u64 bytes_retransmitted;
	__u64 packets_sent;
	__u64 packets_received;
	__u64 rwnd_limited_us;
	__u64 sndbuf_limited_us;
	__u8 local_address[16];
	__u8 peer_address[16];
	__u8 comm[16];
	__u32 netns_inum;
	__u32 pid;
	__u32 isn_own;
	__u32 isn_peer;
	__u32 retransmits;
	__u32 srtt_us;
	__u32 rttvar_us;
	__u32 min_rtt_us;
	__u32 handshake_us;
	__u32 flags;
	__u16 reordering;
	__u16 reordering_seen;
	__u16 local_port;
	__u16 peer_port;
	__u16 error;  /* the socket's errno, positive */
	__u8 family;  /* 4 or 6, of the addresses as they are on the wire */
	__u8 role;
	__u8 state; /* the TCP state it is in; of a closed one, the state it died from */
	__u8 zero[3];
};

#define UNCHANGED_MAX 64

/* Sockets that a sweep found as the row before it said. */
struct tapetum_unchanged {
	__u16 kind;
	__u16 bytes;
	__u32 sweep;
	__u32 count; /* of `ids` in use */
	__u32 zero;
	__u64 at_ns;
	__u64 ids[UNCHANGED_MAX];
};

struct tapetum_sweep_began {
	__u16 kind;
	__u16 bytes;
	__u32 sweep;
	__u64 at_ns;
};

struct tapetum_sweep_ended {
	__u16 kind;
	__u16 bytes;
	__u32 sweep;
	__u64 at_ns;
	__u64 began_ns;
	__u64 rows; /* written, listeners included */
	__u64 lost; /* not written for want of room: then this sweep proves no absence */
};

#define CGROUP_PATH_BYTES 512

struct tapetum_cgroup_made {
	__u16 kind;
	__u16 bytes;
	__u32 hierarchy; /* 0 is the unified one */
	__u64 at_ns;
	__u64 id;
	__u32 level;
	__u32 path_bytes; /* used of path, without the final NUL */
	__u8 path[CGROUP_PATH_BYTES];
};

/* One page of 64-bit counters, since the probe was loaded. Never reset; only `tracked`,
 * `listeners` and `sweep` go down or round. */
struct tapetum_counters {
	__u64 tracked;
	__u64 listeners;
	__u64 births;
	__u64 opened;
	__u64 closes;
	__u64 adopted;
	__u64 over_limit;
	__u64 listeners_over_limit;
	__u64 no_memory;
	__u64 sweeps;
	__u64 sweep_session; /* which walk the sweep's state below belongs to */
	__u64 sweep_began_ns;
	__u64 sweep_now_ns;
	__u64 sweep_full;
	__u64 sweep_seen;
	__u64 sweep_rows;
	__u64 sweep_lost;
	__u64 ghosts;
	__u64 reader; /* process that walks the sockets, as the kernel numbers it */
	__u64 elsewhere; /* ends of connections on another node of this kernel: not tracked */
	__u64 ring_lost[KINDS];
};

_Static_assert(sizeof(struct tapetum_row) == 232, "row layout");
_Static_assert(__builtin_offsetof(struct tapetum_row, bytes_sent) == 72, "row layout");
_Static_assert(__builtin_offsetof(struct tapetum_row, comm) == 160, "row layout");
_Static_assert(__builtin_offsetof(struct tapetum_row, flags) == 212, "row layout");
_Static_assert(__builtin_offsetof(struct tapetum_row, state) == 228, "row layout");
_Static_assert(sizeof(struct tapetum_unchanged) == 24 + 8 * UNCHANGED_MAX, "unchanged layout");
_Static_assert(sizeof(struct tapetum_sweep_began) == 16, "sweep layout");
_Static_assert(sizeof(struct tapetum_sweep_ended) == 40, "sweep layout");
_Static_assert(sizeof(struct tapetum_cgroup_made) == 32 + CGROUP_PATH_BYTES, "cgroup layout");
_Static_assert(sizeof(struct tapetum_counters) == 8 * (20 + KINDS), "counters layout");

#endif
