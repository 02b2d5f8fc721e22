/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * From a socket's counters to a row in the ring.
 */
#ifndef TAPETUM_TCP_ROW_H
#define TAPETUM_TCP_ROW_H

#include "entry.h"
#include "tcp_count.h"

#define CHRONO_RWND_LIMITED 2
#define CHRONO_SNDBUF_LIMITED 3

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

static __always_inline _Bool orphaned(struct sock *sk)
{
	return sk->__sk_common.skc_flags >> bpf_core_enum_value(enum sock_flags, SOCK_DEAD) & 1;
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
	/* Before the first sample this is what the kernel starts from, a quarter of a second. */
	row->rttvar_us = tp->srtt_us ? tp->mdev_us >> 2 : 0;
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

/* An ICMP error that came while the process was in connect() is no more than a soft one, and whoever asks
 * for it takes it away; the packet that it came with stays in the error queue. */
static __always_inline __u16 connect_error(struct sock *sk)
{
	struct sock_exterr_skb *last;

	if (sk->sk_err_soft)
		return sk->sk_err_soft;
	if (!sk->sk_error_queue.qlen)
		return 0;
	last = (void *)sk->sk_error_queue.prev->cb;
	return BPF_CORE_READ(last, ee.ee_errno);
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
	if (!row->error && !e->established_ns)
		row->error = connect_error(sk);
	row_submit(row, e, flags);
}

/* A listener has no counters worth a word, and one of another node is none of ours: its entry only marks
 * what it accepts. */
static __always_inline _Bool listener_told(struct entry *e, __u16 kind, __u32 sweep, __u64 flags)
{
	struct tapetum_row *row;

	if (e->process.elsewhere)
		return 1;
	row = reserve(kind, sizeof(*row));
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

#endif
