"""What the API server says of pods, nodes and Services: the truth that the agents' names are held against.

Pods come from a watch that began before the agents did, so those that are long gone are known too, with every
container that they ever had; the rest is asked when the judge begins.
"""

import ipaddress
import json
from dataclasses import dataclass, field
from datetime import datetime


@dataclass
class Pod:
    """A pod, with every address and container that any event of its life showed."""

    uid: str
    namespace: str
    name: str
    node: str
    zone: str
    on_host_network: bool
    workload: tuple[str, str]
    labels: dict
    addresses: set = field(default_factory=set)
    # container.id -> name
    containers: dict = field(default_factory=dict)
    # name -> ports that it declares
    ports: dict = field(default_factory=dict)
    begun: float = 0.0
    ended: float = float("inf")


class Cluster:
    """Everything that has a name in the cluster."""

    def __init__(self, pods_file, objects, networks):
        self.networks = {ipaddress.ip_network(cidr): name for cidr, name in networks.items()}
        self.owners, self.zones, self.nodes = {}, {}, {}
        # What stands for others, as the plan writes it, by address and port.
        self.asked = {}
        self.uid = None
        # Nodes first: a NodePort is at their addresses.
        for item in sorted(objects, key=lambda one: one["kind"] != "Node"):
            self._learn(item)
        self.pods = {}
        with open(pods_file, encoding="utf-8") as lines:
            for event in _events(lines.read()):
                self._witness(event["object"])
        self.by_container = {
            container: pod for pod in self.pods.values() for container in pod.containers
        }

    def _learn(self, item):
        meta, kind = item["metadata"], item["kind"]
        if kind == "Node":
            self.zones[meta["name"]] = meta["labels"]["topology.kubernetes.io/zone"]
            for address in item["status"]["addresses"]:
                self.nodes[address["address"]] = meta["name"]
            # The bridge that its pods are at: what the node itself asks them from.
            bridge = ipaddress.ip_network(item["spec"]["podCIDR"])[1]
            self.nodes[str(bridge)] = meta["name"]
        elif kind == "Service":
            namespace = "" if meta["namespace"] == "shop" else f"{meta['namespace']}:"
            for port in item["spec"].get("ports", []):
                self.asked[(item["spec"].get("clusterIP"), port["port"])] = f"{namespace}{meta['name']}:{port['port']}"
                if "nodePort" in port:
                    for address in self.nodes:
                        self.asked[(address, port["nodePort"])] = f"node:{port['nodePort']}"
        elif kind == "Namespace" and meta["name"] == "kube-system":
            self.uid = meta["uid"]
        elif kind in ("ReplicaSet", "Job"):
            self.owners[meta["uid"]] = _controller(meta)

    def _witness(self, item):
        meta, spec, status = item["metadata"], item["spec"], item.get("status", {})
        node = spec.get("nodeName")
        if node is None:
            return
        pod = self.pods.setdefault(
            meta["uid"],
            Pod(
                meta["uid"],
                meta["namespace"],
                meta["name"],
                node,
                self.zones[node],
                spec.get("hostNetwork", False),
                self._workload(meta),
                meta.get("labels", {}),
                begun=_seconds(meta["creationTimestamp"]),
            ),
        )
        pod.addresses |= {one["ip"] for one in status.get("podIPs", [])}
        for kind in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"):
            for one in status.get(kind, []):
                # A container that is there now, and the one before it that a restart took away.
                ended = [one.get(when, {}).get("terminated", {}) for when in ("state", "lastState")]
                for identity in filter(None, (state.get("containerID") for state in [one, *ended])):
                    pod.containers[identity.split("://")[1]] = one["name"]
        for one in spec.get("initContainers", []) + spec["containers"]:
            pod.ports[one["name"]] = {port["containerPort"] for port in one.get("ports", [])}
        if "deletionTimestamp" in meta:
            pod.ended = _seconds(meta["deletionTimestamp"])

    def _workload(self, meta):
        """Kind and name of the highest controller; a pod without one is its own."""
        owner, highest = _controller(meta), ("Pod", meta["name"])
        while owner is not None:
            highest, owner = owner[:2], self.owners.get(owner[2])
        return highest

    def pods_at(self, address, when):
        """Who may have had an address at a time, in seconds, on the network of pods."""
        return [
            pod
            for pod in self.pods.values()
            if address in pod.addresses and not pod.on_host_network and pod.begun - 1 <= when <= pod.ended + 1
        ]

    def network(self, address):
        """What an address outside of the cluster is called: the longest network that holds it, else external."""
        address = ipaddress.ip_address(address)
        named = [network for network in self.networks if address in network]
        return self.networks[max(named, key=lambda one: one.prefixlen)] if named else "external"


def _controller(meta):
    """Kind, name and uid of who controls an object."""
    for owner in meta.get("ownerReferences", []):
        if owner.get("controller"):
            return (owner["kind"], owner["name"], owner["uid"])
    return None


def _seconds(stamp):
    return datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()


def _events(text):
    """The JSON values of a stream, one behind the other; the last may be half written."""
    decoder, at = json.JSONDecoder(), 0
    while True:
        while at < len(text) and text[at].isspace():
            at += 1
        try:
            value, at = decoder.raw_decode(text, at)
        except json.JSONDecodeError:
            return
        yield value
