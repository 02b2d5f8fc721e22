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
        yield Span(span["traceID"], span["spanID"], parent, span["operationName"], tags, resource, begun)


def judge(cluster, edges, spans, strict_from):
    """Holds every span against the truth; what began after `strict_from` must also be complete."""
    verdict = Verdict()
    for (trace, _), times in Counter((span.trace, span.identity) for span in spans).items():
        if times > 1:
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
    """By its address, for an end that nobody observed."""
    address = span.tags["network.peer.address"]
    pods = cluster.pods_at(address, span.begun)
    if pods:
        named = [name for name in pods[0].ports if span.tags.get("network.peer.port") in pods[0].ports[name]]
        return End("container", named[0] if len(named) == 1 else "", pods[0].node, pods[0])
    node = cluster.nodes.get(address)
    return End("process", "unseen", node) if node else End("network", cluster.network(address))


def _edge_of(edges, client, server, span):
    for edge in edges:
        if edge.server != server.key and not (server.name == "unseen" and edge.server.startswith("process/")):
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
    true = end.names(cluster.zones)
    known = end.known(edge.port if span.is_client else None)
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
            _compare("destination.k8s.service.name", said, {edge.server.split("/")[1]}, False, where, verdict, strict)


def _compare(key, said, true, known, where, verdict, strict):
    if said is None:
        if known and strict:
            verdict.missing[f"{where}: {key} is not said"] += 1
    elif said not in true:
        truth = " or ".join(sorted(map(str, true))) or "nothing"
        verdict.wrong[f"{where}: {key} is {said}, truly {truth}"] += 1


def _say(span):
    return f"{span.name} of {span.resource.get('service.name')}"
