// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Every TCP connection from birth to close, in socket-local storage: nothing here runs per packet.
 * The programs and what they hang on; what they do is in the headers beside.
 */
#include "adopt.h"
#include "life.h"
#include "sweep.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define IPPROTO_TCP 6
#define IPPROTO_MPTCP 262

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(set_state, struct sock *sk, int from, int to)
{
	if (to == TCP_FIN_WAIT2 || to == TCP_CLOSE_WAIT || to == TCP_LAST_ACK || to == TCP_CLOSING)
		return 0;
	if (sk->sk_protocol != IPPROTO_TCP) {
		if (sk->sk_protocol != IPPROTO_MPTCP || from != TCP_LISTEN)
			return 0;
		/* What it accepts begins as a copy, and the entry with it, which is nobody's there. */
		if (to == TCP_CLOSE)
			listener_closed(bpf_sk_storage_get(&sockets, sk, 0, 0));
		else
			bpf_sk_storage_delete(&sockets, sk);
		return 0;
	}
	if (to == TCP_ESTABLISHED)
		opened(sk);
	else if (to == TCP_CLOSE)
		closed(sk, from);
	else if (to == TCP_FIN_WAIT1)
		finishing(sk);
	else if (to == TCP_SYN_SENT)
		client_born(sk);
	else if (to == TCP_SYN_RECV && from == TCP_LISTEN)
		server_born(sk);
	else if (to == TCP_SYN_RECV && from == TCP_SYN_SENT)
		crossed(sk);
	else if (to == TCP_LISTEN)
		listener_born(sk, 0, bpf_get_current_task_btf(), 0);
	return 0;
}

SEC("tp_btf/tcp_receive_reset")
int BPF_PROG(receive_reset, struct sock *sk)
{
	reset_received(sk);
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

SEC("iter/task_file")
int adopt(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct tcp_sock *tp;
	struct socket *sock;
	struct sock *sk;
	__u32 flags = FLAG_ADOPTED;
	__u8 state;

	if (!counters.reader)
		reader_noted();
	if (!task || !file)
		return 0;
	sock = bpf_sock_from_file(file);
	if (!sock)
		return 0;
	sk = sock->sk;
	if (!sk || (sk->sk_protocol != IPPROTO_TCP && sk->sk_protocol != IPPROTO_MPTCP))
		return 0;
	if (sk->__sk_common.skc_family != AF_INET && sk->__sk_common.skc_family != AF_INET6)
		return 0;
	state = sk->__sk_common.skc_state;
	if (state == TCP_LISTEN) {
		/* What an MPTCP listener accepts comes from a TCP socket behind it that no file leads to. */
		if (sk->sk_protocol == IPPROTO_MPTCP)
			flags |= FLAG_MPTCP;
		listener_born(sk, adopting(task, ctx->meta->session_id), task, flags);
	} else if (state != TCP_CLOSE && state != TCP_TIME_WAIT) {
		tp = bpf_skc_to_tcp_sock(sk);
		if (tp)
			connection_adopted(sk, tp, adopting(task, ctx->meta->session_id), state);
	}
	return 0;
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
	if (!e)
		return 0;
	state = sk->__sk_common.skc_state;
	if (e->stage == STAGE_LIVE) {
		tp = bpf_skc_to_tcp_sock(sk);
		if (!tp)
			return 0;
		if (state == TCP_CLOSE && e->flags & FLAG_ADOPTED)
			ghost_laid(e, sk, tp);
		else if (e->established_ns || e->role == ROLE_CLIENT)
			swept(e, sk, tp, state);
	} else if (e->stage == STAGE_LISTENER && state == TCP_LISTEN) {
		if (e->process.elsewhere)
			return 0;
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
