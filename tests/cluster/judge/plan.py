"""The plan: which edges the shop has. `plan` beside this folder says what its columns mean."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Edge:
    """One line of the plan."""

    client: str
    asked: str
    server: str
    port: int
    optional: bool

    @property
    def service(self):
        """Namespace and name of the Service whose ClusterIP is asked, and the port; none for other ways."""
        if self.asked == "-" or self.asked.startswith("node:"):
            return None
        *namespace, name, port = self.asked.split(":")
        return (namespace[0] if namespace else "shop", name, int(port))

    @property
    def asked_port(self):
        """The port that a client names."""
        return self.port if self.asked == "-" else int(self.asked.rsplit(":", 1)[1])

    def __str__(self):
        return f"{self.client} -> {self.server}:{self.port}"


def read(path):
    """The edges of a plan file."""
    edges = []
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            columns = line.split("#")[0].split()
            if not columns:
                continue
            optional = columns[0] == "may"
            client, asked, server, port = columns[optional:]
            edges.append(Edge(client, asked, server, int(port), optional))
    return edges


def observed(end):
    """Whether an agent watches this end: it is a process of a node that is not left out."""
    return not end.startswith("network/") and end != "process/unseen"


def graph_name(end):
    """What an end is called in Jaeger's graph: its service.name."""
    return end.split(":")[-1].split("/")[1]
