"""One end of a connection as it truly is, and the names that follow from that."""

from dataclasses import dataclass

from truth import Pod


@dataclass(frozen=True)
class End:
    """A container, a process of a node, an address outside; or who on a node is not known."""

    kind: str
    name: str
    node: str | None = None
    pod: Pod | None = None

    def __hash__(self):
        return hash((self.kind, self.name, self.node, self.pod and self.pod.uid))

    @property
    def key(self):
        """As the plan writes it."""
        if self.pod is None:
            return f"{self.kind}/{self.name}"
        kind, workload = self.pod.workload
        namespace = "" if self.pod.namespace == "shop" else f"{self.pod.namespace}:"
        return f"{namespace}{kind}/{workload}/{self.name}"

    def names(self, zones):
        """Every attribute that a far end may have, with the values that are true."""
        if self.kind == "network":
            return {"service.name": {self.name}}
        true = {"k8s.node.name": {self.node}, "zone": {zones[self.node]}}
        if self.pod is None:
            # Nothing in the cluster says what a process of a node is called: its node, its own name, or the
            # Service that it stands behind.
            true["service.name"] = {self.name, self.node, "kubernetes"}
            if self.name == "unseen":
                true.pop("service.name")
            return true
        kind, workload = self.pod.workload
        return true | {
            "service.name": {workload},
            "k8s.namespace.name": {self.pod.namespace},
            "k8s.pod.name": {self.pod.name},
            "k8s.container.name": {self.name} if self.name else set(self.pod.ports),
            "k8s.workload.name": {workload},
            "k8s.workload.kind": {kind},
        }

    def known(self, port):
        """Which of the names the other end's agent must know, by the address alone; `port` if this end is the server."""
        if self.kind == "network":
            return {"service.name"}
        if self.pod is None:
            return {"k8s.node.name", "zone"}
        if self.pod.on_host_network and port not in self.pod.ports.get(self.name, ()):
            return {"k8s.node.name", "zone"}
        known = {"service.name", "k8s.namespace.name", "k8s.pod.name", "k8s.node.name", "zone"}
        # A pod that nobody controls has no workload.
        if self.pod.workload[0] != "Pod":
            known |= {"k8s.workload.name", "k8s.workload.kind"}
        if port and (len(self.pod.ports) == 1 or port in self.pod.ports.get(self.name, ())):
            known.add("k8s.container.name")
        return known

    def resource(self, cluster):
        """The resource of spans of which this is the near end."""
        pod = self.pod
        if pod is None:
            return {"k8s.node.name": self.node, "service.name": self.name}
        kind, workload = pod.workload
        resource = {
            "service.name": workload,
            "service.namespace": pod.namespace,
            "service.instance.id": f"{pod.namespace}.{pod.name}.{self.name}",
            "k8s.namespace.name": pod.namespace,
            "k8s.pod.name": pod.name,
            "k8s.pod.uid": pod.uid,
            "k8s.container.name": self.name,
            "k8s.node.name": pod.node,
            "k8s.cluster.uid": cluster.uid,
        }
        if kind != "Pod":
            resource[f"k8s.{kind.lower()}.name"] = workload
        return resource
