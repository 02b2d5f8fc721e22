/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * A walk over every socket that has an entry, into the ring: whole, or known not to be.
 */
#ifndef TAPETUM_TCP_SWEEP_H
#define TAPETUM_TCP_SWEEP_H

#include "row.h"
#include "who.h"

/* Sockets of the running sweep that did not move, until there are enough to tell. */
struct tapetum_unchanged unchanged SEC(".data.unchanged");

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

	reader_noted();
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

#endif
