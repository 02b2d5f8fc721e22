// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * A load balancer inside connect(): whoever asks for one address gets another, and its socket never knows.
 */
#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("cgroup/connect4")
int connect4(struct bpf_sock_addr *ctx)
{
	if (ctx->user_ip4 == bpf_htonl(FROM_ADDRESS) && ctx->user_port == bpf_htons(FROM_PORT)) {
		ctx->user_ip4 = bpf_htonl(TO_ADDRESS);
		ctx->user_port = bpf_htons(TO_PORT);
	}
	return 1;
}
