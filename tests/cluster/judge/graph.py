"""Jaeger's own graph of who calls whom, against the plan: no edge less, none more."""

import time

from plan import graph_name, observed
from spans import ask


def judge(edges, jaeger):
    """Edges that nobody planned, and planned ones that are not drawn."""
    url = f"{jaeger}/api/dependencies?endTs={time.time_ns() // 1_000_000}&lookback=3600000"
    drawn = {(one["parent"], one["child"]) for one in ask(url)["data"] or []}
    # Jaeger draws from pairs of spans, so an edge with an end that nobody observes is not in its graph.
    whole = [edge for edge in edges if observed(edge.client) and observed(edge.server)]
    planned = {_names(edge) for edge in whole}
    needed = {_names(edge) for edge in whole if not edge.optional}
    wrong = [f"Jaeger draws {parent} -> {child}, which nobody planned" for parent, child in drawn - planned]
    missing = [f"Jaeger does not draw {parent} -> {child}" for parent, child in needed - drawn]
    return wrong, missing


def _names(edge):
    return (graph_name(edge.client), graph_name(edge.server))
