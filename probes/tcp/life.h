/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The life of a connection: born at SYN_SENT (client) or cloned from its listener (server), told when
 * established, told again and let go when it closes.
 */
#ifndef TAPETUM_TCP_LIFE_H
#define TAPETUM_TCP_LIFE_H

#include "row.h"
#include "who.h"

static __always_inline void client_born(struct sock *sk)
{
	struct process process = {};
	struct entry *e;

	process_read(&process, bpf_get_current_task_btf());
	if (process.elsewhere) {
		COUNT(elsewhere);
		return;
	}
	e = bpf_sk_storage_get(&sockets, sk, 0, 0);
	if (e && e->stage == STAGE_DYING) {
		bpf_sk_storage_delete(&sockets, sk);
		e = 0;
	}
	e = entry_counted(sk, e);
	if (!e)
		return;
	if (!claimed(e)) {
		slot_freed();
		return;
	}
	life_begun(e, ROLE_CLIENT, 0);
	socket_noted(e, sk);
	e->process = process;
	ends_noted(e, sk);
	barrier();
	e->stage = STAGE_LIVE;
	COUNT(births);
}

/* The entry of an accepted socket is a copy of its listener's, and with it the process. */
static __always_inline void server_born(struct sock *sk)
{
	struct entry *cloned = bpf_sk_storage_get(&sockets, sk, 0, 0);
	struct entry *e;

	if (cloned ? cloned->process.elsewhere : socket_elsewhere(sk)) {
		if (cloned)
			bpf_sk_storage_delete(&sockets, sk);
		COUNT(elsewhere);
		return;
	}
	e = entry_counted(sk, cloned);
	if (!e) {
		if (cloned)
			bpf_sk_storage_delete(&sockets, sk);
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
	if (!e || !claimed(e)) {
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
	barrier();
	e->stage = STAGE_LISTENER;
	listener_told(e, KIND_LISTENING, 0, 0);
}

/* Both ends sent a SYN. */
static __always_inline void crossed(struct sock *sk)
{
	struct entry *e = bpf_sk_storage_get(&sockets, sk, 0, 0);

	if (e && e->stage == STAGE_LIVE)
		__sync_fetch_and_or(&e->flags, FLAG_CROSSED);
}

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

/* This end closes first. */
static __always_inline void finishing(struct sock *sk)
{
	struct entry *e = bpf_sk_storage_get(&sockets, sk, 0, 0);
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);

	if (e && tp)
		e->data_segs_in = tp->data_segs_in;
}

/*
 * The kernel also calls it a reset received when data reaches a socket whose process is gone: then the
 * reset is ours, and goes out after this. A reset brings no data, so the count of data tells.
 */
static __always_inline void reset_received(struct sock *sk)
{
	struct entry *e = bpf_sk_storage_get(&sockets, sk, 0, 0);
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);
	__u32 flag = FLAG_RST_RECEIVED;

	if (!e || !tp || e->stage != STAGE_LIVE)
		return;
	if (sk->__sk_common.skc_state == TCP_FIN_WAIT1 && orphaned(sk) &&
	    tp->data_segs_in != e->data_segs_in)
		flag = FLAG_RST_SENT;
	__sync_fetch_and_or(&e->flags, flag);
}

static __always_inline _Bool listener_closed(struct entry *e)
{
	if (!e || !stage_moved(e, STAGE_LISTENER, STAGE_CLOSED))
		return 0;
	__sync_fetch_and_add(&counters.listeners, -1);
	listener_told(e, KIND_LISTENER_CLOSED, 0, 0);
	return 1;
}

static __always_inline void closed(struct sock *sk, __u8 from)
{
	struct entry *e = bpf_sk_storage_get(&sockets, sk, 0, 0);
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);

	if (!e || !tp)
		return;
	if (listener_closed(e))
		return;
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

#endif
