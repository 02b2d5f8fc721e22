/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Who opened a socket and where it leads: read at its birth, when both are at hand.
 */
#ifndef TAPETUM_TCP_WHO_H
#define TAPETUM_TCP_WHO_H

#include "entry.h"

/* An entry of a pointer array whose index is this kernel's: the array's type says only that it is one. */
#define nth_pointer(array, index) (*(typeof(&(array)[0]))((void *)(array) + (index) * sizeof(void *)))

/* Deeper than any runtime nests. */
#define LEVELS_MAX 32

/* Whether a control group lies outside of this node's, where several nodes share the kernel. */
static __always_inline _Bool outside(struct cgroup *group)
{
	__u64 node = config.node_id[0] | (__u64)config.node_id[1] << 32;

	for (int level = 0; level < LEVELS_MAX && group; level++) {
		struct cgroup_subsys_state *above;

		if (group->kn->id == node)
			return 0;
		above = group->self.parent;
		if (!above)
			return 1;
		group = above->cgroup;
	}
	return 1;
}

static __always_inline _Bool socket_elsewhere(struct sock *sk)
{
	return config.node_hierarchy == NODE_IN_UNIFIED && outside(sk->sk_cgrp_data.cgroup);
}

static __always_inline void process_read(struct process *p, struct task_struct *task)
{
	struct css_set *groups = task->cgroups;

	p->elsewhere = config.node_hierarchy == NODE_IN_UNIFIED && outside(groups->dfl_cgrp);
	p->pid = task->tgid;
	bpf_probe_read_kernel(p->comm, sizeof(p->comm), &task->group_leader->comm);
	p->cgroup_id = groups->dfl_cgrp->kn->id;
	p->cgroup_v1_id = 0;
	if (bpf_core_enum_value_exists(enum cgroup_subsys_id, memory_cgrp_id)) {
		__u64 memory = bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id);
		struct cgroup *group = nth_pointer(groups->subsys, memory)->cgroup;

		if (group->root->hierarchy_id != 0) {
			p->cgroup_v1_id = group->kn->id;
			if (config.node_hierarchy == NODE_IN_MEMORY)
				p->elsewhere = outside(group);
		}
	}
}

/* An iterator runs in whoever reads it: our own process. */
static __always_inline void reader_noted(void)
{
	counters.reader = bpf_get_current_task_btf()->tgid;
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

#endif
