/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The probe's shared headers, compiled for the host under sanitizers: the arithmetic is played on a
 * TCP that counts exactly, and the record layout is printed for the test in main.rs to compare.
 */
#include <linux/types.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "tcp_record.h"
#include "tcp_count.h"

#define CHECK(what)                                                                    \
	do {                                                                           \
		if (!(what)) {                                                         \
			fprintf(stderr, "line %d: %s\n", __LINE__, #what);             \
			exit(1);                                                       \
		}                                                                      \
	} while (0)

/* One end of a connection, as the kernel counts it, beside what really happened. */
struct end {
	struct tcp_seqs seqs;
	__u32 isn, peer_isn;
	__u64 sent, received; /* the truth, in bytes of payload */
	_Bool accepted, fin_queued, fin_received;
};

static __u64 state = 88172645463325252ULL;

static __u64 some(__u64 below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state % below;
}

static struct end established(__u32 isn, __u32 peer_isn, _Bool accepted)
{
	struct end e = { .isn = isn, .peer_isn = peer_isn, .accepted = accepted };

	e.seqs.snd_una = e.seqs.snd_nxt = e.seqs.write_seq = isn + 1;
	e.seqs.rcv_nxt = peer_isn + 1;
	e.seqs.bytes_acked = accepted ? 0 : 1;
	return e;
}

static void wrote_and_sent(struct end *e, __u32 bytes)
{
	e->seqs.write_seq += bytes;
	e->seqs.snd_nxt += bytes;
	e->sent += bytes;
}

static void acknowledged(struct end *e, __u32 bytes)
{
	e->seqs.snd_una += bytes;
	e->seqs.bytes_acked += bytes;
}

static void got(struct end *e, __u32 bytes)
{
	e->seqs.rcv_nxt += bytes;
	e->seqs.bytes_received += bytes;
	e->received += bytes;
}

static void exact(const struct end *e)
{
	CHECK(tcp_isn_own(&e->seqs, e->accepted) == e->isn);
	CHECK(tcp_isn_peer(&e->seqs) == e->peer_isn);
	CHECK(tcp_sent(&e->seqs, e->isn, e->fin_queued) == e->sent);
	CHECK(tcp_received(&e->seqs, e->peer_isn, e->fin_received) == e->received);
	CHECK(tcp_role(&e->seqs, tcp_isn_own(&e->seqs, 0), e->fin_queued, e->sent) ==
	      (e->accepted ? ROLE_SERVER : ROLE_CLIENT));
	/* What a local firewall dropped was counted as payload more than once: then nothing tells. */
	CHECK(tcp_role(&e->seqs, tcp_isn_own(&e->seqs, 0), e->fin_queued, e->sent + 2) ==
	      ROLE_UNKNOWN);
}

/* A read on another CPU that saw one counter new and the other old is off by this much at most;
 * the results must not be. */
static void torn(const struct end *e)
{
	struct end t = *e;
	__u32 inflight = t.seqs.snd_nxt - t.seqs.snd_una;

	t.seqs.bytes_acked += some(inflight + 1ULL);
	t.seqs.bytes_received += some(1 << 20);
	CHECK(tcp_sent(&t.seqs, e->isn, e->fin_queued) == e->sent);
	CHECK(tcp_received(&t.seqs, e->peer_isn, e->fin_received) == e->received);
}

static void a_life(__u32 isn, __u32 peer_isn, _Bool accepted)
{
	struct end e = established(isn, peer_isn, accepted);

	exact(&e);
	/* Far beyond 4 GiB in both directions, so that every 32-bit number wraps. */
	for (int step = 0; step < 3000; step++) {
		wrote_and_sent(&e, some(8 << 20));
		exact(&e);
		acknowledged(&e, some(e.seqs.snd_nxt - e.seqs.snd_una + 1ULL));
		got(&e, some(8 << 20));
		exact(&e);
		torn(&e);
	}
	CHECK(e.sent > 1ULL << 32 && e.received > 1ULL << 32);
	/* A FIN queued behind data that is not sent yet is not sent either. */
	e.seqs.write_seq += 1000;
	e.seqs.write_seq += 1;
	e.fin_queued = 1;
	CHECK(!tcp_fin_sent(&e.seqs, 1) && !tcp_fin_acked(&e.seqs, 1));
	exact(&e);
	e.seqs.snd_nxt += 1000;
	e.sent += 1000;
	exact(&e);
	e.seqs.snd_nxt += 1;
	CHECK(tcp_fin_sent(&e.seqs, 1) && !tcp_fin_acked(&e.seqs, 1));
	exact(&e);
	acknowledged(&e, e.seqs.snd_nxt - e.seqs.snd_una);
	CHECK(tcp_fin_acked(&e.seqs, 1));
	exact(&e);
	e.seqs.rcv_nxt += 1;
	e.seqs.bytes_received += 1;
	e.fin_received = 1;
	exact(&e);
	torn(&e);
}

static void little_things(void)
{
	struct tcp_seqs nothing = { 0 };

	/* A connect that never sent its SYN. */
	CHECK(tcp_sent(&nothing, 0, 0) == 0);
	CHECK(tcp_received(&nothing, 0, 0) == 0);
	CHECK(tcp_widen_up(0, 7) == 7);
	CHECK(tcp_widen_up(0xfffffff0, 5) == 0x100000005ULL);
	CHECK(tcp_widen_up(0x3fffffff0ULL, 0xfffffff0) == 0x3fffffff0ULL);
	CHECK(tcp_limited_us(10, 0, 5, 99, 4000) == 40000);
	CHECK(tcp_limited_us(10, 1, 0xfffffffe, 3, 4000) == 60000);
	CHECK(tcp_limited_us(~0U - 5, 1, 0, 5, 1000) == 4294967295000ULL);
}

#define FIELD(record, name) \
	printf("%s %zu\n", #name, offsetof(struct record, name))

static void row_layout(void)
{
	FIELD(tapetum_row, kind);
	FIELD(tapetum_row, bytes);
	FIELD(tapetum_row, sweep);
	FIELD(tapetum_row, at_ns);
	FIELD(tapetum_row, id);
	FIELD(tapetum_row, netns_cookie);
	FIELD(tapetum_row, born_ns);
	FIELD(tapetum_row, established_ns);
	FIELD(tapetum_row, cgroup_id);
	FIELD(tapetum_row, cgroup_v1_id);
	FIELD(tapetum_row, socket_cgroup_id);
	FIELD(tapetum_row, bytes_sent);
	FIELD(tapetum_row, bytes_received);
	FIELD(tapetum_row, bytes_retransmitted);
	FIELD(tapetum_row, packets_sent);
	FIELD(tapetum_row, packets_received);
	FIELD(tapetum_row, rwnd_limited_us);
	FIELD(tapetum_row, sndbuf_limited_us);
	FIELD(tapetum_row, local_address);
	FIELD(tapetum_row, peer_address);
	FIELD(tapetum_row, comm);
	FIELD(tapetum_row, netns_inum);
	FIELD(tapetum_row, pid);
	FIELD(tapetum_row, isn_own);
	FIELD(tapetum_row, isn_peer);
	FIELD(tapetum_row, retransmits);
	FIELD(tapetum_row, srtt_us);
	FIELD(tapetum_row, rttvar_us);
	FIELD(tapetum_row, min_rtt_us);
	FIELD(tapetum_row, handshake_us);
	FIELD(tapetum_row, flags);
	FIELD(tapetum_row, reordering);
	FIELD(tapetum_row, reordering_seen);
	FIELD(tapetum_row, local_port);
	FIELD(tapetum_row, peer_port);
	FIELD(tapetum_row, error);
	FIELD(tapetum_row, family);
	FIELD(tapetum_row, role);
	FIELD(tapetum_row, state);
	FIELD(tapetum_row, zero);
}

int main(void)
{
	const __u32 isns[] = { 0, 1, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff, 12345 };
	const int count = sizeof(isns) / sizeof(isns[0]);

	for (int own = 0; own < count; own++)
		for (int peer = 0; peer < count; peer++)
			for (int accepted = 0; accepted < 2; accepted++)
				a_life(isns[own], isns[peer], accepted);
	little_things();
	row_layout();
	return 0;
}
