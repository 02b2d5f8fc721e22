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

#endif
