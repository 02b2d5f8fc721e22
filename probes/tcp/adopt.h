/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Connections and listeners that are older than the probe.
 */
#ifndef TAPETUM_TCP_ADOPT_H
#define TAPETUM_TCP_ADOPT_H

#include "life.h"

/* The process whose files an adoption is walking. */
struct {
	struct process process;
	__u64 session;
} adoption SEC(".data.adoption");

/* The walk comes file by file; what holds for the whole process is read once for all of its files. */
static __always_inline const struct process *adopting(struct task_struct *task, __u64 session)
{
	if (adoption.session != session || adoption.process.pid != (__u32)task->tgid) {
		process_read(&adoption.process, task);
		adoption.session = session;
	}
	return &adoption.process;
}

static __always_inline __u64 payload_once(struct tcp_sock *tp)
{
	return tp->bytes_sent - tp->bytes_retrans;
}

/*
 * Both initial sequence numbers, and which end it is. Another CPU may move the socket between two
 * reads: what was read once more, some time later, and gives the same was not torn.
 */
static __always_inline void numbers_found(struct entry *e, struct tcp_sock *tp, __u8 state,
					  const struct tcp_seqs *first)
{
	struct tcp_seqs s;
	__u64 once;

	seqs_read(&s, tp);
	if (tcp_isn_own(&s, 0) != tcp_isn_own(first, 0) || tcp_isn_peer(&s) != tcp_isn_peer(first))
		seqs_read(&s, tp);
	e->role = ROLE_CLIENT;
	isn_noted(e, &s);
	once = payload_once(tp);
	s.snd_nxt = tp->snd_nxt;
	barrier();
	e->role = payload_once(tp) == once ?
			  tcp_role(&s, e->isn_own, fin_queued(state), once) :
			  ROLE_UNKNOWN;
	if (e->role == ROLE_SERVER)
		e->isn_own -= 1;
}

static __always_inline void connection_adopted(struct sock *sk, struct tcp_sock *tp,
					       const struct process *process, __u8 state)
{
	struct entry *e = bpf_sk_storage_get(&sockets, sk, 0, 0);
	struct tcp_seqs first;

	if (e) {
		/* Accepted after the probe began and before its listener was known. */
		if (!e->process.pid)
			e->process = *process;
		return;
	}
	if (process->elsewhere) {
		/* A later walk finds the same ones again. */
		if (!counters.sweeps)
			COUNT(elsewhere);
		return;
	}
	e = entry_counted(sk, 0);
	if (!e)
		return;
	/* A birth on another CPU was faster: it is counted there. */
	if (!stage_moved(e, STAGE_NEW, STAGE_BORN)) {
		slot_freed();
		return;
	}
	seqs_read(&first, tp);
	life_begun(e, ROLE_CLIENT, FLAG_ADOPTED);
	socket_noted(e, sk);
	e->process = *process;
	ends_noted(e, sk);
	e->packets_sent = tp->segs_out;
	e->packets_received = tp->segs_in;
	if (state != TCP_SYN_SENT) {
		numbers_found(e, tp, state, &first);
		e->established_ns = e->born_ns;
	}
	barrier();
	e->stage = STAGE_LIVE;
	COUNT(adopted);
	told(e, sk, tp, KIND_ADOPTED, state, BPF_RB_NO_WAKEUP);
}

#endif
