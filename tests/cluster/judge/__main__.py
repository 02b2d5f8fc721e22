"""Holds what the agents say against what the API server says: each end of each edge of the plan.

    python3 judge --pods FILE --objects FILE --plan FILE… --jaeger URL --prometheus URL [--since SECONDS]
            [--what spans|graph|series]… [--network CIDR=NAME]… [--lenient]

Prints what is wrong or missing, one line each with how often, and how many connections of each edge it saw; the
exit status is 1 if anything is wrong, or missing from what began after `--since`. `--lenient` lets names and edges
be missing: what nobody knows may be said to be unknown, but nothing may be said that is not true.
"""

import argparse
import json
import sys
from collections import Counter

import graph
import plan
import series
import spans
from truth import Cluster

LINES_MAX = 20


def arguments():
    parser = argparse.ArgumentParser(prog="judge", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("pods", "objects", "jaeger", "prometheus"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--plan", required=True, nargs="+")
    parser.add_argument("--since", type=float, default=0.0, help="unix time from which on nothing may be missing")
    parser.add_argument("--lookback", type=int, default=3600, help="seconds of spans that are judged")
    parser.add_argument("--what", action="append", choices=("spans", "graph", "series"))
    parser.add_argument("--network", action="append", default=[])
    parser.add_argument("--lenient", action="store_true")
    return parser.parse_args()


def main():
    options = arguments()
    with open(options.objects, encoding="utf-8") as file:
        objects = json.load(file)["items"]
    networks = dict(one.split("=") for one in options.network)
    cluster, edges = Cluster(options.pods, objects, networks), [edge for file in options.plan for edge in plan.read(file)]
    what = options.what or ["spans", "graph", "series"]
    wrong, missing, said = Counter(), Counter(), []
    if "spans" in what:
        verdict = spans.judge(cluster, edges, spans.fetch(options.jaeger, options.lookback), options.since)
        wrong, missing = wrong + verdict.wrong, missing + verdict.missing
        said += summary(edges, verdict.seen)
    if "graph" in what:
        for counter, lines in zip((wrong, missing), graph.judge(edges, options.jaeger)):
            counter.update(lines)
    if "series" in what:
        node_of = {f"{address}:{port}": node for address, node in cluster.nodes.items() for port in (9464, 9466)}
        for job, with_pods in (("tapetum", False), ("tapetum-pods", True)):
            found = series.judge(cluster, edges, series.fetch(options.prometheus, job), node_of, with_pods)
            wrong, missing = wrong + found[0], missing + found[1]
    for title, counter in (("WRONG", wrong), ("missing", missing)):
        for line, times in counter.most_common(LINES_MAX):
            print(f"{title} {times}x {line}")
        if len(counter) > LINES_MAX:
            print(f"{title}: and {len(counter) - LINES_MAX} sentences more")
    print("\n".join(said))
    return bool(wrong) or (bool(missing) and not options.lenient)


def summary(edges, seen):
    """A line for each edge: connections by which of their ends were seen."""
    lines = []
    for edge in edges:
        both = sum(times for (one, client, paired, _), times in seen.items() if one == edge and client and paired)
        across = sum(times for (one, client, _, far), times in seen.items() if one == edge and client and far)
        alone = sum(times for (one, _, paired, _), times in seen.items() if one == edge and not paired)
        if both or alone:
            lines.append(f"{both:6} both ends, {across:6} across nodes, {alone:6} one end: {edge}")
    return lines


if __name__ == "__main__":
    sys.exit(main())
