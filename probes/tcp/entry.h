/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What is remembered of a socket, in its own storage, and who may change it: whatever happens,
 * exactly one program run takes an entry from one stage to the next, by compare-and-swap, so that
 * the number of tracked connections is exact.
 */
#ifndef TAPETUM_TCP_ENTRY_H
#define TAPETUM_TCP_ENTRY_H

#include "kernel.h"
#include "tcp_record.h"

/* Set by user space before the program is loaded. */
const volatile struct {
	__u32 connections_max;
	__u32 listeners_max;
	__u32 tick_us;
	__u32 node_hierarchy; /* as `enum node_hierarchy` */
	__u32 node_id[2];     /* low half, high half */
} config = { 65536, 4096, 4000, 0, { 0, 0 } };

/* In which hierarchy the control group of this node is looked for. */
enum node_hierarchy {
	NODE_IS_ALL = 0, /* the node has the kernel for itself */
	NODE_IN_UNIFIED,
	NODE_IN_MEMORY, /* of v1 */
};

struct tapetum_counters counters SEC(".bss");

enum stage {
	STAGE_NEW = 0, /* just made; nobody has claimed it */
	STAGE_BORN,    /* claimed and being filled: nobody else looks at it */
	STAGE_LIVE,    /* counted in `tracked` */
	STAGE_CLOSED,  /* told, no longer counted; the socket may connect again */
	STAGE_DYING,   /* a sweep is taking the storage away */
	STAGE_LISTENER,
};

/* Who connected or listened. */
struct process {
	__u64 cgroup_id;
	__u64 cgroup_v1_id;
	char comm[16];
	__u32 pid;
	__u32 elsewhere; /* on another node of this kernel */
};

/*
 * At most 184 bytes: then the kernel's allocation is 256. What a sweep looks at first stands in the
 * first 56, which share a cache line with what the walk itself has just read.
 */
struct entry {
	__u64 id;
	__u64 established_ns;
	__u64 packets_sent;     /* as in the last row that was told */
	__u64 packets_received; /* likewise */
	__u32 stage;
	__u32 flags;
	__u8 role;
	__u8 family;
	__u8 told_state; /* the TCP state in the last row that was told */
	__u8 zero;
	__u16 local_port;
	__u16 peer_port;
	__u64 netns_cookie;
	__u64 born_ns;
	__u64 socket_cgroup_id;
	struct process process;
	__u32 local_address[4];
	__u32 peer_address[4];
	__u32 netns_inum;
	__u32 isn_own;
	__u32 isn_peer;
	__u32 handshake_us;
	__u32 data_segs_in; /* when this end closed first */
};

_Static_assert(sizeof(struct entry) <= 184, "an entry must fit the allocator's 256-byte class");

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct entry);
} sockets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096); /* sized by user space */
} ring SEC(".maps");

#define COUNT(field) __sync_fetch_and_add(&counters.field, 1)
#define barrier() asm volatile("" ::: "memory")

static __always_inline void *reserve(__u32 kind, __u64 bytes)
{
	void *record = bpf_ringbuf_reserve(&ring, bytes, 0);

	if (!record && kind < KINDS)
		COUNT(ring_lost[kind]);
	return record;
}

static __always_inline _Bool slot_taken(void)
{
	if (__sync_fetch_and_add(&counters.tracked, 1) < config.connections_max)
		return 1;
	__sync_fetch_and_add(&counters.tracked, -1);
	COUNT(over_limit);
	return 0;
}

static __always_inline void slot_freed(void)
{
	__sync_fetch_and_add(&counters.tracked, -1);
}

static __always_inline _Bool stage_moved(struct entry *e, __u32 from, __u32 to)
{
	return __sync_val_compare_and_swap(&e->stage, from, to) == from;
}

/* An entry belongs to who claims it: a new one, or one whose connection is over. */
static __always_inline _Bool claimed(struct entry *e)
{
	return stage_moved(e, STAGE_NEW, STAGE_BORN) || stage_moved(e, STAGE_CLOSED, STAGE_BORN);
}

/* Storage for one more tracked connection: what the socket has, or new. 0: there is no room. */
static __always_inline struct entry *entry_counted(struct sock *sk, struct entry *e)
{
	if (!slot_taken())
		return 0;
	if (!e)
		e = bpf_sk_storage_get(&sockets, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!e) {
		slot_freed();
		COUNT(no_memory);
	}
	return e;
}

#endif
