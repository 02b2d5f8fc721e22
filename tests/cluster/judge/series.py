"""The series in Prometheus: whether each end of each is somebody, and the somebody that the plan says."""

import urllib.request
from collections import Counter

from spans import ask

METRIC = "tcp_connections_opened_total"


class Ends:
    """Which names of an end go together: those of one pod of the cluster."""

    def __init__(self, cluster):
        self.zones = cluster.zones
        self.pods = [pod for pod in cluster.pods.values()]
        self.outside = set(cluster.networks.values()) | {"external"}

    def true(self, end):
        """Whether one pod, node or network has all of these names."""
        if not any(key.startswith("k8s_") for key in end):
            return True
        # The API server is no pod here; where it was asked as a Service it has that Service's namespace.
        if end.get("service_name") == "kube-apiserver":
            end = {key: value for key, value in end.items() if (key, value) != ("k8s_namespace_name", "default")}
        if "k8s_namespace_name" not in end:
            # A node, and nothing in it that has a name in the cluster.
            nodes = [node for node in self.zones if end.get("k8s_node_name", node) == node]
            return any(end.get("zone", self.zones[node]) == self.zones[node] for node in nodes)
        return any(all(of_pod(pod).get(key) == value for key, value in end.items()) for pod in self.pods)


def of_pod(pod):
    """The labels that an end in this pod may have."""
    kind, workload = pod.workload
    names = {
        "service_name": workload,
        "k8s_namespace_name": pod.namespace,
        "k8s_pod_name": pod.name,
        "k8s_node_name": pod.node,
        "zone": pod.zone,
    }
    # A pod that nobody controls has no workload.
    return names if kind == "Pod" else names | {"k8s_workload_name": workload, "k8s_workload_kind": kind}


def fetch(prometheus, job):
    """The newest value of every series of connections that were opened."""
    query = urllib.request.quote(f'{METRIC}{{job="{job}"}}')
    return [one["metric"] for one in ask(f"{prometheus}/api/v1/query?query={query}")["data"]["result"]]


def end_of(series, side):
    """The names of one end of a series."""
    return {key.removeprefix(f"{side}_"): value for key, value in series.items()
            if key.startswith(f"{side}_") and key != "destination_k8s_service_name"}


def judge(cluster, edges, series, node_of, with_pods):
    """Wrong and missing series, as counters of sentences."""
    wrong, missing = Counter(), Counter()
    ends = Ends(cluster)
    for one in series:
        _judge_one(ends, one, node_of[one["instance"]], wrong)
    for edge in edges:
        if edge.optional:
            continue
        for direction, side, who in (("transmit", "source", edge.client), ("receive", "destination", edge.server)):
            if who.startswith(("network/", "process/")):
                continue
            _look_for(cluster, edge, direction, side, series, node_of, with_pods, missing)
    return wrong, missing


def _judge_one(ends, series, node, wrong):
    for side in ("source", "destination"):
        end = end_of(series, side)
        if not ends.true(end):
            wrong[f"nobody has these names of a {side}: {_text(end)}"] += 1
    near = "source" if series["network_io_direction"] == "transmit" else "destination"
    zone = series.get(f"{near}_zone")
    if zone not in (None, ends.zones[node]):
        wrong[f"the agent of {node} reports what is at {_text(end_of(series, near))}"] += 1


def _look_for(cluster, edge, direction, side, series, node_of, with_pods, missing):
    """Each pod of the observed end must be in a series of its node's agent, with the other end as the plan says."""
    who, whom = (edge.client, edge.server) if side == "source" else (edge.server, edge.client)
    for pod in _pods(cluster, who):
        want = of_pod(pod)
        if not with_pods:
            del want["k8s_pod_name"], want["k8s_node_name"]
        want = {f"{side}_{key}": value for key, value in want.items()}
        far = "destination" if side == "source" else "source"
        if whom.count("/") == 2 and not edge.asked.startswith("node:"):
            kind, workload, _ = whom.split(":")[-1].split("/")
            on_node = any(pod.on_host_network for pod in _pods(cluster, whom)) and far == "source"
            if not on_node:
                want[f"{far}_service_name"] = workload
            if not on_node and kind != "Pod":
                want |= {f"{far}_k8s_workload_name": workload, f"{far}_k8s_workload_kind": kind}
        elif whom.startswith("network/") and far == "destination":
            want[f"{far}_service_name"] = whom.split("/")[1]
        if direction == "transmit" and edge.service:
            want["destination_k8s_service_name"] = edge.service[1]
        want |= {"network_io_direction": direction, "server_port": str(edge.asked_port if side == "source" else edge.port)}
        here = [one for one in series if node_of[one["instance"]] == pod.node]
        if not any(all(one.get(key) == value for key, value in want.items()) for one in here):
            missing[f"{edge}: the agent of {pod.node} has no series {_text(want)}"] += 1


def _pods(cluster, who):
    """The pods that live of an end of the plan."""
    namespace, _, rest = who.rpartition(":")
    kind, workload, _ = rest.split("/")
    return [
        pod
        for pod in cluster.pods.values()
        if pod.namespace == (namespace or "shop") and pod.workload == (kind, workload) and pod.ended == float("inf")
    ]


def _text(names):
    return "{" + ", ".join(f'{key}="{value}"' for key, value in sorted(names.items())) + "}"
