/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Arithmetic over a TCP socket's counters: initial sequence numbers, payload to the byte, who opened
 * it. Pure, so that the same lines compile for the kernel and, under sanitizers, for the tests.
 *
 * The kernel counts in two ways: 64-bit counters (`bytes_acked`, `bytes_received`) and 32-bit
 * sequence numbers. Reading them together from a socket that another CPU is moving can tear. So
 * each result takes its low 32 bits from ONE sequence number, less the initial one, and only its
 * high bits from the rest.
 */
#ifndef TAPETUM_TCP_COUNT_H
#define TAPETUM_TCP_COUNT_H

struct tcp_seqs {
	__u64 bytes_acked;    /* with the SYN of a connecting end, and the FIN */
	__u64 bytes_received; /* with the FIN, without the SYN */
	__u32 snd_una;
	__u32 snd_nxt;
	__u32 write_seq;
	__u32 rcv_nxt;
};

/* The own initial sequence number: the accepting end's SYN is not among what was acknowledged. */
static inline __u32 tcp_isn_own(const struct tcp_seqs *s, _Bool accepted)
{
	return s->snd_una - (__u32)s->bytes_acked - (accepted ? 1 : 0);
}

static inline __u32 tcp_isn_peer(const struct tcp_seqs *s)
{
	return s->rcv_nxt - 1 - (__u32)s->bytes_received;
}

/* `about` with its low 32 bits replaced, for an `about` that is off by less than 2^31. */
static inline __u64 tcp_widen(__u64 about, __u32 low)
{
	__s64 wide = (__s64)about + (__s32)(low - (__u32)about);

	return wide < 0 ? 0 : (__u64)wide;
}

/* A FIN stands at the end of what was written; it was sent once everything written was. */
static inline _Bool tcp_fin_sent(const struct tcp_seqs *s, _Bool fin_queued)
{
	return fin_queued && s->snd_nxt == s->write_seq;
}

static inline _Bool tcp_fin_acked(const struct tcp_seqs *s, _Bool fin_queued)
{
	return fin_queued && s->snd_una == s->write_seq;
}

/* Payload sent, each byte once. */
static inline __u64 tcp_sent(const struct tcp_seqs *s, __u32 isn_own, _Bool fin_queued)
{
	__u64 about = s->bytes_acked + (__u32)(s->snd_nxt - s->snd_una);
	__u64 sent = tcp_widen(about, s->snd_nxt - isn_own - 1);

	return sent && tcp_fin_sent(s, fin_queued) ? sent - 1 : sent;
}

/* Payload received in order. */
static inline __u64 tcp_received(const struct tcp_seqs *s, __u32 isn_peer, _Bool fin_received)
{
	__u64 received = tcp_widen(s->bytes_received, s->rcv_nxt - isn_peer - 1);

	return received && fin_received ? received - 1 : received;
}

/*
 * Which end a socket is whose birth nobody watched: what left it counted in sequence numbers exceeds
 * what left it counted in payload by the SYN at a connecting end, by nothing at an accepting one.
 * Anything else (a local firewall dropped some, or it is sending right now) does not tell.
 * `isn_connecting` is what tcp_isn_own() gives for a connecting end.
 */
static inline int tcp_role(const struct tcp_seqs *s, __u32 isn_connecting, _Bool fin_queued,
			   __u64 payload_once)
{
	__u32 in_sequence = s->snd_nxt - isn_connecting - tcp_fin_sent(s, fin_queued);

	if (in_sequence == (__u32)payload_once + 1)
		return ROLE_CLIENT;
	if (in_sequence == (__u32)payload_once)
		return ROLE_SERVER;
	return ROLE_UNKNOWN;
}

/* A 32-bit counter that wraps, against what it was widened to last time. */
static inline __u64 tcp_widen_up(__u64 last, __u32 now)
{
	return last + (__u32)(now - (__u32)last);
}

/* A time in ticks with the part that is still running. */
static inline __u64 tcp_limited_us(__u32 ticks, _Bool running, __u32 started, __u32 now, __u32 tick_us)
{
	return (__u64)(ticks + (running ? now - started : 0)) * tick_us;
}

#endif
