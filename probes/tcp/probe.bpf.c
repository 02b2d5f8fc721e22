// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Every TCP connection from birth to close, in socket-local storage: nothing here runs per packet.
 *
 * Life of an entry: made at SYN_SENT (client) or cloned from the listener's (server), told to user
 * space when established, told again and let go at CLOSE. Whatever happens, exactly one program run
 * takes an entry from one stage to the next (`stage`, by compare-and-swap), so `tracked` is exact.
 *
 * Long because the programs share their maps and the steps of one life: apart, nobody could check it.
 */
#include "kernel.h"
#include "tcp_record.h"
#include "tcp_count.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define IPPROTO_TCP 6
#define CHRONO_RWND_LIMITED 2
#define CHRONO_SNDBUF_LIMITED 3
/* Set by user space before the program is loaded. */
const volatile struct {
	__u32 connections_max;
	__u32 listeners_max;
	__u32 tick_us;
} config = { 65536, 4096, 4000 };

struct tapetum_counters counters SEC(".bss");
/* Sockets of the running sweep that did not move, until there are enough to tell. */
struct tapetum_unchanged unchanged SEC(".data.unchanged");

enum stage {
	STAGE_NEW = 0, /* just made; nobody counted it */
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
	__u32 zero;
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
};

_Static_assert(sizeof(struct entry) <= 184, "an entry must fit the allocator's 256-byte class");

/* The process whose files an adoption is walking. */
struct {
	struct process process;
	__u64 session;
} adoption SEC(".data.adoption");

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

/* ---- who and where ---- */

/* An entry of a pointer array whose index is this kernel's: the array's type says only that it is one. */
#define nth_pointer(array, index) (*(typeof(&(array)[0]))((void *)(array) + (index) * sizeof(void *)))

static __always_inline void process_read(struct process *p, struct task_struct *task)
{
	struct css_set *groups = task->cgroups;

	p->pid = task->tgid;
	bpf_probe_read_kernel(p->comm, sizeof(p->comm), &task->group_leader->comm);
	p->cgroup_id = groups->dfl_cgrp->kn->id;
	p->cgroup_v1_id = 0;
	if (bpf_core_enum_value_exists(enum cgroup_subsys_id, memory_cgrp_id)) {
		__u64 memory = bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id);
		struct cgroup *group = nth_pointer(groups->subsys, memory)->cgroup;

		if (group->root->hierarchy_id != 0)
			p->cgroup_v1_id = group->kn->id;
	}
}

static __always_inline void socket_noted(struct entry *e, struct sock *sk)
{
	struct net *net = sk->__sk_common.skc_net.net;

	e->id = bpf_get_socket_cookie(sk);
	e->netns_cookie = net->net_cookie;
	e->netns_inum = net->ns.inum;
	e->socket_cgroup_id = sk->sk_cgrp_data.cgroup->kn->id;
}

static __always_inline void mapped(__u32 *to, __u32 address)
{
	to[0] = 0;
	to[1] = 0;
	to[2] = bpf_htonl(0xffff);
	to[3] = address;
}

/* Also at CLOSE for what never was established: by then the bound port is gone from `skc_num`, but
 * not from `inet_sport`. A port once known stays. */
static __always_inline void ends_noted(struct entry *e, struct sock *sk)
{
	const __u32 *peer = sk->__sk_common.skc_v6_daddr.in6_u.u6_addr32;
	const __u32 *local = sk->__sk_common.skc_v6_rcv_saddr.in6_u.u6_addr32;
	_Bool six = sk->__sk_common.skc_family == AF_INET6;

	if (six && !(peer[0] == 0 && peer[1] == 0 && peer[2] == bpf_htonl(0xffff))) {
		e->family = 6;
		e->peer_address[0] = peer[0];
		e->peer_address[1] = peer[1];
		e->peer_address[2] = peer[2];
		e->peer_address[3] = peer[3];
		e->local_address[0] = local[0];
		e->local_address[1] = local[1];
		e->local_address[2] = local[2];
		e->local_address[3] = local[3];
	} else {
		e->family = 4;
		mapped(e->peer_address, sk->__sk_common.skc_daddr);
		mapped(e->local_address, sk->__sk_common.skc_rcv_saddr);
		if (six)
			__sync_fetch_and_or(&e->flags, FLAG_MAPPED);
	}
	e->peer_port = bpf_ntohs(sk->__sk_common.skc_dport);
	e->local_port = sk->__sk_common.skc_num;
	if (!e->local_port)
		e->local_port = bpf_ntohs(BPF_CORE_READ((struct inet_sock *)sk, inet_sport));
}

static __always_inline void life_begun(struct entry *e, __u8 role, __u32 flags)
{
	e->born_ns = bpf_ktime_get_ns();
	e->established_ns = 0;
	e->packets_sent = 0;
	e->packets_received = 0;
	e->isn_own = 0;
	e->isn_peer = 0;
	e->handshake_us = 0;
	e->flags = flags;
	e->local_port = 0;
	e->role = role;
}

/* ---- counters ---- */

static __always_inline void seqs_read(struct tcp_seqs *s, struct tcp_sock *tp)
{
	s->rcv_nxt = tp->rcv_nxt;
	s->snd_nxt = tp->snd_nxt;
	s->snd_una = tp->snd_una;
	s->bytes_acked = tp->bytes_acked;
	s->bytes_received = tp->bytes_received;
	barrier();
	s->write_seq = tp->write_seq;
}

static __always_inline _Bool fin_queued(__u8 state)
{
	return state == TCP_FIN_WAIT1 || state == TCP_FIN_WAIT2 || state == TCP_CLOSING ||
	       state == TCP_LAST_ACK || state == TCP_TIME_WAIT;
}

static __always_inline _Bool fin_received(struct sock *sk)
{
	return sk->__sk_common.skc_flags >> bpf_core_enum_value(enum sock_flags, SOCK_DONE) & 1;
}

static __always_inline void isn_noted(struct entry *e, const struct tcp_seqs *s)
{
	e->isn_own = tcp_isn_own(s, e->role == ROLE_SERVER);
	e->isn_peer = tcp_isn_peer(s);
	__sync_fetch_and_or(&e->flags, FLAG_ISN);
}

static __always_inline void row_identity(struct tapetum_row *row, struct entry *e)
{
	row->id = e->id;
	row->netns_cookie = e->netns_cookie;
	row->born_ns = e->born_ns;
	row->established_ns = e->established_ns;
	row->cgroup_id = e->process.cgroup_id;
	row->cgroup_v1_id = e->process.cgroup_v1_id;
	row->socket_cgroup_id = e->socket_cgroup_id;
	__builtin_memcpy(row->local_address, e->local_address, 16);
	__builtin_memcpy(row->peer_address, e->peer_address, 16);
	__builtin_memcpy(row->comm, e->process.comm, 16);
	row->netns_inum = e->netns_inum;
	row->pid = e->process.pid;
	row->isn_own = e->isn_own;
	row->isn_peer = e->isn_peer;
	row->handshake_us = e->handshake_us;
	row->local_port = e->local_port;
	row->peer_port = e->peer_port;
	row->family = e->family;
	row->role = e->role;
}

static __always_inline void row_counters(struct tapetum_row *row, struct entry *e, struct sock *sk,
					 struct tcp_sock *tp, __u8 state)
{
	__u32 ticks = 0, started = tp->chrono_start, min_rtt = tp->rtt_min.s[0].v;
	__u8 chrono = BPF_CORE_READ_BITFIELD(tp, chrono_type);
	_Bool queued = fin_queued(state), received;
	struct tcp_seqs s;
	__u32 flags;

	if (chrono)
		ticks = bpf_jiffies64();
	seqs_read(&s, tp);
	row->packets_sent = e->packets_sent = tcp_widen_up(e->packets_sent, tp->segs_out);
	row->packets_received = e->packets_received =
		tcp_widen_up(e->packets_received, tp->segs_in);
	row->bytes_retransmitted = tp->bytes_retrans;
	row->retransmits = tp->total_retrans;
	row->srtt_us = tp->srtt_us >> 3;
	row->rttvar_us = tp->mdev_us >> 2;
	row->min_rtt_us = min_rtt == ~0U ? 0 : min_rtt;
	row->reordering = tp->reordering;
	row->reordering_seen = tp->reord_seen;
	row->rwnd_limited_us = tcp_limited_us(tp->chrono_stat[CHRONO_RWND_LIMITED - 1],
					      chrono == CHRONO_RWND_LIMITED, started, ticks,
					      config.tick_us);
	row->sndbuf_limited_us = tcp_limited_us(tp->chrono_stat[CHRONO_SNDBUF_LIMITED - 1],
						chrono == CHRONO_SNDBUF_LIMITED, started, ticks,
						config.tick_us);
	row->state = e->told_state = state;
	/* Last, so that a FIN consumed while we read is rather missed than counted as payload. */
	barrier();
	received = fin_received(sk);
	flags = e->flags;
	if (flags & FLAG_ISN) {
		row->bytes_sent = tcp_sent(&s, e->isn_own, queued);
		row->bytes_received = tcp_received(&s, e->isn_peer, received);
	} else {
		row->bytes_sent = 0;
		row->bytes_received = 0;
	}
	if (tcp_fin_sent(&s, queued))
		flags |= FLAG_FIN_SENT;
	if (tcp_fin_acked(&s, queued))
		flags |= FLAG_FIN_ACKED;
	if (received)
		flags |= FLAG_FIN_RECEIVED;
	row->flags = flags;
}

static __always_inline void row_head(struct tapetum_row *row, __u16 kind, __u32 sweep, __u64 now)
{
	row->kind = kind;
	row->bytes = sizeof(*row);
	row->sweep = sweep;
	row->at_ns = now;
	row->zero[0] = row->zero[1] = row->zero[2] = 0;
}

static __always_inline void row_submit(struct tapetum_row *row, struct entry *e, __u64 flags)
{
	if (!(e->flags & FLAG_ANNOUNCED))
		__sync_fetch_and_or(&e->flags, FLAG_ANNOUNCED);
	bpf_ringbuf_submit(row, flags);
}

static __always_inline void told(struct entry *e, struct sock *sk, struct tcp_sock *tp, __u16 kind,
				 __u8 state, __u64 flags)
{
	struct tapetum_row *row = reserve(kind, sizeof(*row));

	if (!row)
		return;
	row_head(row, kind, 0, bpf_ktime_get_ns());
	row_identity(row, e);
	row_counters(row, e, sk, tp, state);
	row->error = sk->sk_err;
	row_submit(row, e, flags);
}

/* A listener has no counters worth a word. */
static __always_inline _Bool listener_told(struct entry *e, __u16 kind, __u32 sweep, __u64 flags)
{
	struct tapetum_row *row = reserve(kind, sizeof(*row));

	if (!row)
		return 0;
	__builtin_memset(row, 0, sizeof(*row));
	row_head(row, kind, sweep, bpf_ktime_get_ns());
	row_identity(row, e);
	row->flags = e->flags;
	row->state = TCP_LISTEN;
	row_submit(row, e, flags);
	return 1;
}

/* ---- birth ---- */

static __always_inline void client_born(struct sock *sk)
{
	struct entry *e = bpf_sk_storage_get(&sockets, sk, 0, 0);

	if (e && e->stage == STAGE_DYING) {
		bpf_sk_storage_delete(&sockets, sk);
		e = 0;
	}
	if (!slot_taken())
		return;
	if (!e)
		e = bpf_sk_storage_get(&sockets, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!e) {
		slot_freed();
		COUNT(no_memory);
		return;
	}
	if (!stage_moved(e, STAGE_NEW, STAGE_LIVE) && !stage_moved(e, STAGE_CLOSED, STAGE_LIVE)) {
		slot_freed();
		return;
	}
	life_begun(e, ROLE_CLIENT, 0);
	socket_noted(e, sk);
	process_read(&e->process, bpf_get_current_task_btf());
	ends_noted(e, sk);
	COUNT(births);
}

/* The entry of an accepted socket is a copy of its listener's, and with it the process. */
static __always_inline void server_born(struct sock *sk)
{
	struct entry *e = bpf_sk_storage_get(&sockets, sk, 0, 0);

	if (!slot_taken()) {
		if (e)
			bpf_sk_storage_delete(&sockets, sk);
		return;
	}
	if (!e)
		e = bpf_sk_storage_get(&sockets, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!e) {
		slot_freed();
		COUNT(no_memory);
		return;
	}
	life_begun(e, ROLE_SERVER, 0);
	socket_noted(e, sk);
	/* Without a listener of ours the process is not known, the control group still is. */
	if (!e->process.cgroup_id)
		e->process.cgroup_id = e->socket_cgroup_id;
	barrier();
	e->stage = STAGE_LIVE;
	COUNT(births);
}

static __always_inline void listener_born(struct sock *sk, const struct process *process,
					  struct task_struct *task, __u32 flags)
{
	struct entry *e = bpf_sk_storage_get(&sockets, sk, 0, 0);

	if (e && (e->stage == STAGE_LISTENER || e->stage == STAGE_LIVE))
		return;
	if (__sync_fetch_and_add(&counters.listeners, 1) >= config.listeners_max) {
		__sync_fetch_and_add(&counters.listeners, -1);
		COUNT(listeners_over_limit);
		return;
	}
	if (!e)
		e = bpf_sk_storage_get(&sockets, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!e || (!stage_moved(e, STAGE_NEW, STAGE_LISTENER) &&
		   !stage_moved(e, STAGE_CLOSED, STAGE_LISTENER))) {
		__sync_fetch_and_add(&counters.listeners, -1);
		return;
	}
	life_begun(e, ROLE_SERVER, flags);
	socket_noted(e, sk);
	if (process)
		e->process = *process;
	else
		process_read(&e->process, task);
	ends_noted(e, sk);
	listener_told(e, KIND_LISTENING, 0, 0);
}

/* ---- established, and the end ---- */

static __always_inline void opened(struct sock *sk)
{
	struct entry *e = bpf_sk_storage_get(&sockets, sk, 0, 0);
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);
	struct tcp_seqs s;
	__u64 now;

	if (!e || !tp || e->stage != STAGE_LIVE || e->established_ns)
		return;
	now = bpf_ktime_get_ns();
	if (e->role == ROLE_SERVER) {
		e->handshake_us = tp->srtt_us >> 3;
		/* Between its birth and now it was given its request's cookie. */
		e->id = bpf_get_socket_cookie(sk);
	} else if (!(e->flags & FLAG_ADOPTED)) {
		e->handshake_us = (now - e->born_ns) / 1000;
	}
	ends_noted(e, sk);
	seqs_read(&s, tp);
	isn_noted(e, &s);
	e->established_ns = now;
	COUNT(opened);
	told(e, sk, tp, KIND_OPENED, TCP_ESTABLISHED, 0);
}

static __always_inline void closed(struct sock *sk, __u8 from)
{
	struct entry *e = bpf_sk_storage_get(&sockets, sk, 0, 0);
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);

	if (!e || !tp)
		return;
	if (stage_moved(e, STAGE_LISTENER, STAGE_CLOSED)) {
		__sync_fetch_and_add(&counters.listeners, -1);
		listener_told(e, KIND_LISTENER_CLOSED, 0, 0);
		return;
	}
	if (!stage_moved(e, STAGE_LIVE, STAGE_CLOSED))
		return;
	slot_freed();
	COUNT(closes);
	/* A half-open child that the kernel gave up was never a connection to anybody. */
	if (!e->established_ns && e->role == ROLE_SERVER)
		return;
	if (!e->established_ns)
		ends_noted(e, sk);
	told(e, sk, tp, KIND_CLOSED, from, 0);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(set_state, struct sock *sk, int from, int to)
{
	if (to == TCP_FIN_WAIT1 || to == TCP_FIN_WAIT2 || to == TCP_CLOSE_WAIT ||
	    to == TCP_LAST_ACK || to == TCP_CLOSING)
		return 0;
	if (sk->sk_protocol != IPPROTO_TCP)
		return 0;
	if (to == TCP_ESTABLISHED)
		opened(sk);
	else if (to == TCP_CLOSE)
		closed(sk, from);
	else if (to == TCP_SYN_SENT)
		client_born(sk);
	else if (to == TCP_SYN_RECV && from == TCP_LISTEN)
		server_born(sk);
	else if (to == TCP_LISTEN)
		listener_born(sk, 0, bpf_get_current_task_btf(), 0);
	return 0;
}

SEC("tp_btf/tcp_receive_reset")
int BPF_PROG(receive_reset, struct sock *sk)
{
	struct entry *e = bpf_sk_storage_get(&sockets, sk, 0, 0);

	if (e && e->stage == STAGE_LIVE)
		__sync_fetch_and_or(&e->flags, FLAG_RST_RECEIVED);
	return 0;
}

/* A third argument, the reason, came later than the oldest kernel that we run on: not used. */
SEC("tp_btf/tcp_send_reset")
int BPF_PROG(send_reset, struct sock *sk)
{
	struct entry *e;

	if (!sk)
		return 0;
	e = bpf_sk_storage_get(&sockets, sk, 0, 0);
	if (e && e->stage == STAGE_LIVE)
		__sync_fetch_and_or(&e->flags, FLAG_RST_SENT);
	return 0;
}

/* ---- what was there before ---- */

/* The walk comes file by file; what holds for the whole process is read once for all of its files. */
static __always_inline const struct process *adopting(struct task_struct *task, __u64 session)
{
	if (adoption.session != session || adoption.process.pid != (__u32)task->tgid) {
		process_read(&adoption.process, task);
		adoption.session = session;
	}
	return &adoption.process;
}

static __always_inline void connection_adopted(struct sock *sk, struct tcp_sock *tp,
					       const struct process *process, __u8 state)
{
	struct entry *e;
	struct tcp_seqs s, again;
	__u64 once;
	__u8 role = ROLE_CLIENT;

	if (bpf_sk_storage_get(&sockets, sk, 0, 0) || !slot_taken())
		return;
	e = bpf_sk_storage_get(&sockets, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!e) {
		slot_freed();
		COUNT(no_memory);
		return;
	}
	/* A birth on another CPU was faster: it is counted there. */
	if (e->stage != STAGE_NEW) {
		slot_freed();
		return;
	}
	seqs_read(&s, tp);
	once = tp->bytes_sent - tp->bytes_retrans;
	life_begun(e, role, FLAG_ADOPTED);
	socket_noted(e, sk);
	e->process = *process;
	ends_noted(e, sk);
	e->packets_sent = tp->segs_out;
	e->packets_received = tp->segs_in;
	if (state != TCP_SYN_SENT) {
		/* Another CPU may move the socket between two reads. What was read once more, after
		 * all of the above, and gives the same, was not torn. */
		seqs_read(&again, tp);
		if (tcp_isn_own(&s, 0) != tcp_isn_own(&again, 0) ||
		    tcp_isn_peer(&s) != tcp_isn_peer(&again)) {
			once = tp->bytes_sent - tp->bytes_retrans;
			seqs_read(&again, tp);
		}
		e->role = tcp_role(&again, fin_queued(state), once);
		isn_noted(e, &again);
		e->established_ns = e->born_ns;
	}
	barrier();
	if (!stage_moved(e, STAGE_NEW, STAGE_LIVE)) {
		slot_freed();
		return;
	}
	COUNT(adopted);
	told(e, sk, tp, KIND_ADOPTED, state, BPF_RB_NO_WAKEUP);
}

SEC("iter/task_file")
int adopt(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct tcp_sock *tp;
	struct socket *sock;
	struct sock *sk;
	__u8 state;

	if (!task || !file)
		return 0;
	sock = bpf_sock_from_file(file);
	if (!sock)
		return 0;
	sk = sock->sk;
	if (!sk || sk->sk_protocol != IPPROTO_TCP)
		return 0;
	if (sk->__sk_common.skc_family != AF_INET && sk->__sk_common.skc_family != AF_INET6)
		return 0;
	state = sk->__sk_common.skc_state;
	if (state == TCP_LISTEN) {
		listener_born(sk, adopting(task, ctx->meta->session_id), task, FLAG_ADOPTED);
	} else if (state != TCP_CLOSE && state != TCP_TIME_WAIT) {
		tp = bpf_skc_to_tcp_sock(sk);
		if (tp)
			connection_adopted(sk, tp, adopting(task, ctx->meta->session_id), state);
	}
	return 0;
}

/* ---- the sweep ---- */

/*
 * A place in the ring costs as much as all the rest, so those that did not move are told many at a
 * time. That they are told late does no harm: of a socket that has closed meanwhile it says nothing.
 */
static __always_inline void unchanged_told(void)
{
	unchanged.kind = KIND_UNCHANGED;
	unchanged.bytes = sizeof(unchanged);
	unchanged.sweep = counters.sweeps;
	unchanged.at_ns = counters.sweep_now_ns;
	if (bpf_ringbuf_output(&ring, &unchanged, sizeof(unchanged), BPF_RB_NO_WAKEUP)) {
		counters.sweep_lost += unchanged.count;
		__sync_fetch_and_add(&counters.ring_lost[KIND_SWEPT], unchanged.count);
	} else {
		counters.sweep_rows += unchanged.count;
	}
	unchanged.count = 0;
}

static __always_inline void unchanged_noted(struct entry *e)
{
	unchanged.ids[unchanged.count & (UNCHANGED_MAX - 1)] = e->id;
	unchanged.count += 1;
	if (unchanged.count >= UNCHANGED_MAX)
		unchanged_told();
}

static __always_inline void sweep_began(__u64 session)
{
	struct tapetum_sweep_began *mark;

	counters.sweep_session = session;
	counters.sweeps += 1;
	counters.sweep_began_ns = bpf_ktime_get_ns();
	counters.sweep_rows = 0;
	counters.sweep_lost = 0;
	counters.sweep_full = 0;
	counters.sweep_seen = 0;
	unchanged.count = 0;
	mark = reserve(KIND_SWEEP_BEGAN, sizeof(*mark));
	if (!mark)
		return;
	mark->kind = KIND_SWEEP_BEGAN;
	mark->bytes = sizeof(*mark);
	mark->sweep = counters.sweeps;
	mark->at_ns = counters.sweep_began_ns;
	bpf_ringbuf_submit(mark, BPF_RB_NO_WAKEUP);
}

static __always_inline void sweep_ended(void)
{
	struct tapetum_sweep_ended *mark;

	if (unchanged.count)
		unchanged_told();
	mark = reserve(KIND_SWEEP_ENDED, sizeof(*mark));
	if (!mark) {
		counters.sweep_lost += 1;
		return;
	}
	mark->kind = KIND_SWEEP_ENDED;
	mark->bytes = sizeof(*mark);
	mark->sweep = counters.sweeps;
	mark->at_ns = bpf_ktime_get_ns();
	mark->began_ns = counters.sweep_began_ns;
	mark->rows = counters.sweep_rows;
	mark->lost = counters.sweep_lost;
	bpf_ringbuf_submit(mark, 0);
}

/* A thirty-second of the ring is left to closes that happen meanwhile, and to the end mark. */
static __always_inline _Bool sweep_has_room(void)
{
	__u64 size = bpf_ringbuf_query(&ring, BPF_RB_RING_SIZE);

	return bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) < size - size / 32;
}

/* An adopted socket whose close came just before its storage: seen closed, never told. */
static __always_inline void ghost_laid(struct entry *e, struct sock *sk, struct tcp_sock *tp)
{
	if (!stage_moved(e, STAGE_LIVE, STAGE_CLOSED))
		return;
	slot_freed();
	COUNT(ghosts);
	told(e, sk, tp, KIND_CLOSED, TCP_CLOSE, BPF_RB_NO_WAKEUP);
}

/* Nothing moved since the last row that was told: every counter is as it said. */
static __always_inline _Bool still(struct entry *e, struct tcp_sock *tp, __u8 state)
{
	return e->flags & FLAG_ANNOUNCED && e->told_state == state &&
	       (__u32)e->packets_sent == tp->segs_out &&
	       (__u32)e->packets_received == tp->segs_in &&
	       BPF_CORE_READ_BITFIELD(tp, chrono_type) < CHRONO_RWND_LIMITED;
}

static __always_inline void swept(struct entry *e, struct sock *sk, struct tcp_sock *tp, __u8 state)
{
	struct tapetum_row *row;

	/* The clock and the room left are asked for now and then: each costs as much as a row. */
	counters.sweep_seen += 1;
	if (counters.sweep_seen % 64 == 1) {
		counters.sweep_now_ns = bpf_ktime_get_ns();
		if (!sweep_has_room())
			counters.sweep_full = 1;
	}
	/* One row lost makes the sweep not whole: the rest would only take room from closes. */
	if (counters.sweep_lost || counters.sweep_full)
		goto lost;
	if (still(e, tp, state)) {
		unchanged_noted(e);
		return;
	}
	row = bpf_ringbuf_reserve(&ring, sizeof(*row), 0);
	if (!row)
		goto lost;
	/* Only after the place in the ring is ours: a close that is already in the ring has left
	 * STAGE_LIVE before, so no row ever follows the close of its socket. */
	barrier();
	if (*(volatile __u32 *)&e->stage != STAGE_LIVE) {
		bpf_ringbuf_discard(row, BPF_RB_NO_WAKEUP);
		return;
	}
	/* A connect that is still trying got its port after its birth. */
	if (!e->established_ns)
		ends_noted(e, sk);
	row_head(row, KIND_SWEPT, counters.sweeps, counters.sweep_now_ns);
	row_identity(row, e);
	row_counters(row, e, sk, tp, state);
	row->error = 0;
	row_submit(row, e, BPF_RB_NO_WAKEUP);
	counters.sweep_rows += 1;
	return;
lost:
	counters.sweep_lost += 1;
	COUNT(ring_lost[KIND_SWEPT]);
}

SEC("iter/bpf_sk_storage_map")
int sweep(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	struct sock *sk = ctx->sk;
	struct entry *e;
	struct tcp_sock *tp;
	__u8 state;

	/* Not `seq_num == 0`: with a single socket that holds at the end, too. */
	if (ctx->meta->session_id != counters.sweep_session)
		sweep_began(ctx->meta->session_id);
	if (!sk) {
		sweep_ended();
		return 0;
	}
	e = ctx->value;
	tp = bpf_skc_to_tcp_sock(sk);
	if (!e || !tp)
		return 0;
	state = sk->__sk_common.skc_state;
	if (e->stage == STAGE_LIVE) {
		if (state == TCP_CLOSE && e->flags & FLAG_ADOPTED)
			ghost_laid(e, sk, tp);
		else if (e->established_ns || e->role == ROLE_CLIENT)
			swept(e, sk, tp, state);
	} else if (e->stage == STAGE_LISTENER && state == TCP_LISTEN) {
		if (listener_told(e, KIND_LISTENING, counters.sweeps, BPF_RB_NO_WAKEUP))
			counters.sweep_rows += 1;
		else
			counters.sweep_lost += 1;
	} else if (e->stage == STAGE_CLOSED && state == TCP_CLOSE &&
		   stage_moved(e, STAGE_CLOSED, STAGE_DYING)) {
		bpf_sk_storage_delete(&sockets, sk);
	}
	return 0;
}

/* ---- control groups ---- */

SEC("tp_btf/cgroup_mkdir")
int BPF_PROG(cgroup_made, struct cgroup *group, const char *path)
{
	__u32 hierarchy = group->root->hierarchy_id;
	struct tapetum_cgroup_made *made;
	long length;

	/* Of the v1 hierarchies only the one that `cgroup_v1_id` is of. */
	if (hierarchy != 0) {
		__u64 memory = bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id);

		if (!nth_pointer(group->subsys, memory))
			return 0;
	}
	made = reserve(KIND_CGROUP_MADE, sizeof(*made));
	if (!made)
		return 0;
	made->kind = KIND_CGROUP_MADE;
	made->bytes = sizeof(*made);
	made->hierarchy = hierarchy;
	made->at_ns = bpf_ktime_get_ns();
	made->id = group->kn->id;
	made->level = group->level;
	length = bpf_probe_read_kernel_str(made->path, sizeof(made->path), path);
	made->path_bytes = length > 0 ? length - 1 : 0;
	bpf_ringbuf_submit(made, 0);
	return 0;
}
