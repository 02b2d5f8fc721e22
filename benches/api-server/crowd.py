"""Makes a large cluster's objects in an API server: nodes, Deployments' ReplicaSets, pods with addresses, Services with
their backends. Nothing runs; the API server only says that it does."""

import argparse
import http.client
import json
import ssl
from concurrent.futures import ThreadPoolExecutor
from threading import local

THREADS = 24


class Api:
    """Requests with the administrator's certificate, one connection a thread."""

    def __init__(self, server, keys):
        self.server = server
        self.tls = ssl.create_default_context(cafile=f"{keys}/ca.crt")
        self.tls.load_cert_chain(f"{keys}/admin.crt", f"{keys}/admin.key")
        self.mine = local()

    def send(self, method, path, body, kind="application/json"):
        if not hasattr(self.mine, "connection"):
            self.mine.connection = http.client.HTTPSConnection(self.server, context=self.tls, timeout=60)
        self.mine.connection.request(method, path, json.dumps(body), {"Content-Type": kind})
        answer = self.mine.connection.getresponse()
        said = json.loads(answer.read())
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {said.get('message')}")
        return said

    def make(self, path, body, status=None):
        made = self.send("POST", path, body)
        if status:
            where = f"{path}/{made['metadata']['name']}/status"
            self.send("PATCH", where, {"status": status}, "application/merge-patch+json")
        return made


def address(number):
    """Of a pod: 10.159.1.1 and on."""
    return f"10.159.{1 + number // 250}.{1 + number % 250}"


def node(number):
    meta = {"name": f"node-{number}", "labels": {"topology.kubernetes.io/zone": f"zone-{number % 3}"}}
    addresses = [{"type": "InternalIP", "address": f"10.158.{number // 250}.{1 + number % 250}"}]
    return {"apiVersion": "v1", "kind": "Node", "metadata": meta}, {"addresses": addresses}


def replica_set(number):
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": f"shop-{number}", "uid": f"0000-{number}", "controller": True}
    labels = {"app": f"shop-{number}"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": "web"}]}}
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
    meta = {"name": f"shop-{number}-7d4b9c", "ownerReferences": [owner]}
    return {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": meta, "spec": spec}


def pod(number, owner, nodes):
    """As its kubelet would describe it: with the environment, mounts and conditions that make real ones large."""
    reference = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"], "controller": True}
    labels = owner["spec"]["selector"]["matchLabels"] | {"pod-template-hash": "7d4b9c", "app.kubernetes.io/part-of": "shop"}
    environment = [{"name": f"SETTING_{n}", "value": "a value of usual length"} for n in range(20)]
    container = {"name": "web", "image": "registry.example/shop/web:1.2.3", "ports": [{"containerPort": 8080}], "env": environment}
    spec = {"nodeName": f"node-{number % nodes}", "containers": [container], "automountServiceAccountToken": False}
    meta = {"name": f"pod-{number}", "labels": labels, "ownerReferences": [reference]}
    state = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
    container_status = {
        "name": "web", "image": container["image"], "imageID": "sha256:" + "0" * 64, "ready": True, "restartCount": 0,
        "containerID": f"containerd://{number:064x}", "state": state,
    }
    conditions = [{"type": kind, "status": "True"} for kind in ("Initialized", "Ready", "ContainersReady", "PodScheduled")]
    ip = address(number)
    status = {
        "phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}], "startTime": "2026-01-01T00:00:00Z",
        "conditions": conditions, "containerStatuses": [container_status],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}, status


def service(number, deployments, pods):
    app = f"shop-{number % deployments}"
    ports = [{"name": "http", "port": 80 + number // deployments, "targetPort": 8080}]
    made = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": f"svc-{number}"}, "spec": {"selector": {"app": app}, "ports": ports}}
    backends = range(number % deployments, pods, deployments)
    slice_meta = {"name": f"svc-{number}-a", "labels": {"kubernetes.io/service-name": f"svc-{number}"}}
    endpoints = [
        {"addresses": [address(n)], "conditions": {"ready": True}, "targetRef": {"kind": "Pod", "name": f"pod-{n}", "namespace": "default"}}
        for n in list(backends)[:100]
    ]
    return made, {
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": slice_meta, "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}], "endpoints": endpoints,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", required=True)
    parser.add_argument("--keys", required=True)
    for name in ("pods", "services", "deployments", "nodes"):
        parser.add_argument(f"--{name}", type=int, required=True)
    wanted = parser.parse_args()
    api = Api(wanted.server, wanted.keys)
    core, apps = "/api/v1/namespaces/default", "/apis/apps/v1/namespaces/default"
    discovery = "/apis/discovery.k8s.io/v1/namespaces/default"

    def both(made, of_backends):
        api.make(f"{core}/services", made)
        api.make(f"{discovery}/endpointslices", of_backends)

    with ThreadPoolExecutor(THREADS) as threads:
        everything = [threads.submit(api.make, "/api/v1/nodes", *node(n)) for n in range(wanted.nodes)]
        owners = list(threads.map(lambda n: api.make(f"{apps}/replicasets", replica_set(n)), range(wanted.deployments)))
        everything += [
            threads.submit(api.make, f"{core}/pods", *pod(n, owners[n % wanted.deployments], wanted.nodes))
            for n in range(wanted.pods)
        ]
        everything += [
            threads.submit(both, *service(n, wanted.deployments, wanted.pods)) for n in range(wanted.services)
        ]
        for one in everything:
            one.result()


if __name__ == "__main__":
    main()
