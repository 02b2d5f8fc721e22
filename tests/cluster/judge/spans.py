"""The spans in Jaeger: who each end of each really was, and whether the agents say so."""

import json
import urllib.request
from collections import Counter
from dataclasses import dataclass, field

from ends import End


@dataclass
class Span:
    """One span with its resource."""

    trace: str
    identity: str
    parent: str | None
    name: str
    tags: dict
    resource: dict

    @property
    def is_client(self):
        """Whether its near end connected."""
        return self.tags["span.kind"] == "client"

    begun: float = 0.0
    ended: float = 0.0


@dataclass
class Verdict:
    """What the judge found."""

    # A name that is not true, an edge that nobody planned, a connection that two report.
    wrong: Counter = field(default_factory=Counter)
    # A name or an edge that should be there.
    missing: Counter = field(default_factory=Counter)
    # Connections of each edge, by (edge, observed ends, across nodes).
    seen: Counter = field(default_factory=Counter)


def ask(url):
    """The answer of a JSON API."""
    with urllib.request.urlopen(url, timeout=60) as answer:
        return json.load(answer)


def fetch(jaeger, lookback):
    """Every span of the last seconds, each as often as it was sent."""
    traces = {}
    for service in ask(f"{jaeger}/api/services")["data"] or []:
        quoted = urllib.request.quote(service, safe="")
        url = f"{jaeger}/api/traces?service={quoted}&limit=100000&lookback={lookback}s"
        for trace in ask(url)["data"]:
            traces[trace["traceID"]] = trace
    return [span for trace in traces.values() for span in _spans(trace)]


def _spans(trace):
    resources = {
        key: {tag["key"]: tag["value"] for tag in process["tags"]} | {"service.name": process["serviceName"]}
        for key, process in trace["processes"].items()
    }
    for span in trace["spans"]:
        parents = [one["spanID"] for one in span["references"] if one["refType"] == "CHILD_OF"]
        tags = {tag["key"]: tag["value"] for tag in span["tags"]}
        resource = resources[span["processID"]]
        begun = span["startTime"] / 1e6
        parent = parents[0] if parents else None
        ended = begun + span["duration"] / 1e6
        yield Span(span["traceID"], span["spanID"], parent, span["operationName"], tags, resource, begun, ended)


def judge(cluster, edges, spans, strict_from):
    """Holds every span against the truth; what began after `strict_from` must also be complete."""
    verdict = Verdict()
    # An agent that was started again begins to count anew: it says of the same connection what came later.
    for times in Counter((span.trace, span.identity, span.begun) for span in spans).values():
        if times > 1:
            verdict.wrong["a span is reported twice"] += 1
    reporters = {}
    for span in spans:
        reporters.setdefault((span.trace, span.identity), set()).add(span.resource.get("k8s.node.name"))
    for nodes in reporters.values():
        if len(nodes) > 1:
            verdict.wrong["a span is reported by two agents"] += 1
    clients = {(span.trace, span.identity): span for span in spans if span.is_client}
    servers = {(span.trace, span.parent): span for span in spans if not span.is_client}
    for span in spans:
        other = servers.get((span.trace, span.identity)) if span.is_client else clients.get((span.trace, span.parent))
        _judge_one(cluster, edges, span, other, verdict, span.begun >= strict_from)
    for edge in edges:
        if not edge.optional and not any(one[0] == edge for one in verdict.seen):
            verdict.missing[f"{edge}: no connection of this edge is in Jaeger"] += 1
    return verdict


def _judge_one(cluster, edges, span, other, verdict, strict):
    near = near_end(cluster, span)
    if near is None:
        verdict.wrong[f"{_say(span)}: a container that the API server never showed"] += 1
        return
    far = near_end(cluster, other) if other else None
    far = far or far_end(cluster, span)
    client, server = (near, far) if span.is_client else (far, near)
    unanswered = "error.type" in span.tags or span.tags.get("tcp.end_reason") == "cancelled"
    if unanswered and other is None:
        _judge_failed(cluster, near, span, verdict)
        return
    edge = _edge_of(edges, client, server, span)
    if edge is None:
        # Whose span it is may be the very thing that is wrong: without that there is no edge to name.
        verdict.wrong[f"nobody planned {client.key} -> {server.key}:{span.tags.get('server.port')}"] += 1
        return
    across = other is not None and near.node != far.node
    verdict.seen[(edge, span.is_client, other is not None, across)] += 1
    where = f"{edge}, the {'client' if span.is_client else 'server'}'s span"
    _judge_near(cluster, near, span, where, verdict, strict)
    _judge_far(cluster, edge, far, span, where, verdict, strict)


def _judge_failed(cluster, near, span, verdict):
    """A connect to where nobody answered: whose address it was a moment ago, or became while it tried, may be said, and
    nobody else's name."""
    where = f"{near.key} that found nobody"
    _judge_near(cluster, near, span, where, verdict, False)
    if not span.is_client:
        return
    address = span.tags["network.peer.address"]
    had = [pod for pod in cluster.pods.values() if address in pod.addresses]
    pods = [pod for pod in had if pod.begun <= span.ended and span.begun < pod.ended + 10]
    true = {key: {of_pod[key] for of_pod in map(_pod_names, pods)} for key in _pod_names(None)}
    node = cluster.nodes.get(address)
    if node:
        true["service.name"] |= {node, "kube-apiserver"} if span.tags.get("server.port") in (443, 6443) else {node}
        true["k8s.node.name"].add(node)
    elif not pods:
        true["service.name"].add(cluster.network(address))
    for key, values in true.items():
        _compare(f"destination.{key}", span.tags.get(f"destination.{key}"), values, False, where, verdict, False)


def _pod_names(pod):
    names = ("service.name", "k8s.pod.name", "k8s.workload.name", "k8s.node.name")
    return dict(zip(names, (pod.workload[1], pod.name, pod.workload[1], pod.node))) if pod else dict.fromkeys(names)


def near_end(cluster, span):
    """By its container, which the kernel knows; a process outside of pods by its own name."""
    container = span.resource.get("container.id")
    if container is None:
        pods = cluster.pods_at(span.tags["network.local.address"], span.begun)
        node = cluster.nodes.get(span.tags["network.local.address"])
        if pods or node is None:
            return End("unknown", span.resource["service.name"], node)
        return End("process", span.tags.get("process.executable.name", "unknown"), node)
    pod = cluster.by_container.get(container)
    return pod and End("container", pod.containers[container], pod.node, pod)


def far_end(cluster, span):
    """By its address, for an end that nobody observed, or whose span is not there yet."""
    address = span.tags["network.peer.address"]
    asked = cluster.asked.get((address, span.tags.get("network.peer.port")))
    if asked:
        return End("asked", asked)
    pods = cluster.pods_at(address, span.begun)
    if pods:
        ports = pods[0].ports
        named = list(ports) if len(ports) == 1 else [
            name for name in ports if span.tags.get("network.peer.port") in ports[name]
        ]
        return End("container", named[0] if len(named) == 1 else "", pods[0].node, pods[0])
    node = cluster.nodes.get(address)
    return End("process", "unseen", node) if node else End("network", cluster.network(address))


def _edge_of(edges, client, server, span):
    for edge in edges:
        unseen = server.name == "unseen" and edge.server.startswith("process/")
        if edge.server != server.key and edge.asked != server.name and not unseen:
            continue
        # Who comes from outside by a node's port is, for who answers, the node that translated it.
        through_node = edge.client == "network/external" and client.name == "unseen" and edge.asked.startswith("node:")
        if (edge.client == client.key or through_node) and span.tags.get("server.port") in (edge.port, edge.asked_port):
            return edge
    return None


def _judge_near(cluster, end, span, where, verdict, strict):
    if end.pod and not end.pod.on_host_network and span.tags["network.local.address"] not in end.pod.addresses:
        verdict.wrong[f"{where}: {span.tags['network.local.address']} is no address of {end.pod.name}"] += 1
    for key, true in end.resource(cluster).items():
        _compare(key, span.resource.get(key), {true}, True, where, verdict, strict)


def _judge_far(cluster, edge, end, span, where, verdict, strict):
    side = "destination" if span.is_client else "source"
    if end.kind == "asked":
        # Who answered nobody says: it is one of those behind the Service, and no name needs to be known.
        true, known = _behind(cluster, edge), set()
    else:
        true = end.names(cluster.zones)
        known = end.known(edge.port if span.is_client else None)
        if end.pod and end.pod.on_host_network:
            # By its address alone it is its node.
            true["service.name"].add(end.node)
    if edge.asked.startswith("node:") and not span.is_client:
        # A port of a node is translated at that node: who is behind it nobody can see from here.
        translator = End("process", "translator", cluster.nodes.get(span.tags["network.peer.address"]))
        true, known = translator.names(cluster.zones), {"k8s.node.name", "zone"}
    for key in set(true) | {"k8s.pod.name", "k8s.namespace.name", "k8s.workload.name", "k8s.node.name"}:
        said = span.tags.get(f"{side}.{key}")
        _compare(f"{side}.{key}", said, true.get(key, set()), key in known, where, verdict, strict)
    if span.is_client:
        said = span.tags.get("destination.k8s.service.name")
        if edge.service or edge.asked.startswith("node:"):
            name = edge.service[1] if edge.service else edge.server.split("/")[1]
            _compare("destination.k8s.service.name", said, {name}, True, where, verdict, strict)
        elif said is not None:
            # Who is asked directly may be the only one that a Service has; the API server is `kubernetes`.
            behind = {"process/kube-apiserver": "kubernetes"}.get(edge.server, edge.server.split("/")[1])
            _compare("destination.k8s.service.name", said, {behind}, False, where, verdict, strict)


def _behind(cluster, edge):
    """Every name that a server of this edge has."""
    true = {}
    kind, name = edge.server.split("/")[0], edge.server.split("/")[-1]
    ends = [End("container", name, pod.node, pod) for pod in cluster.pods.values() if name in pod.ports]
    if kind == "process":
        ends = [End("process", name, node) for node in cluster.zones]
    for end in ends:
        if end.key == edge.server:
            for key, values in end.names(cluster.zones).items():
                true.setdefault(key, set()).update(values)
    return true


def _compare(key, said, true, known, where, verdict, strict):
    if said is None:
        if known and strict:
            verdict.missing[f"{where}: {key} is not said"] += 1
    elif said not in true:
        truth = " or ".join(sorted(map(str, true))) or "nothing"
        verdict.wrong[f"{where}: {key} is {said}, truly {truth}"] += 1


def _say(span):
    return f"{span.name} of {span.resource.get('service.name')}"
