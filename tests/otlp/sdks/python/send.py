"""Sends a span, two metrics and a log record with the OpenTelemetry SDK of Python: send.py PROTOCOL ENDPOINT."""

import logging
import sys

from opentelemetry import trace
from opentelemetry._logs import SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, SpanKind, Status, StatusCode


def exporters(protocol, endpoint):
    """One exporter a signal."""
    if protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        return [each(endpoint=endpoint, insecure=True) for each in (OTLPSpanExporter, OTLPMetricExporter, OTLPLogExporter)]
    if protocol == "http/json":
        from opentelemetry.exporter.otlp.json.http._log_exporter import OTLPLogExporter
        from opentelemetry.exporter.otlp.json.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.json.http.trace_exporter import OTLPSpanExporter
    else:
        from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    return [
        OTLPSpanExporter(endpoint=endpoint + "/v1/traces"),
        OTLPMetricExporter(endpoint=endpoint + "/v1/metrics"),
        OTLPLogExporter(endpoint=endpoint + "/v1/logs"),
    ]


def main():
    """Sends, and ends when all of it was acknowledged."""
    logging.basicConfig(level=logging.WARNING)
    spans, metrics, logs = exporters(*sys.argv[1:3])
    resource = Resource.create({"service.name": "shop", "deployment.environment.name": "test"})

    tracing = TracerProvider(resource=resource)
    tracing.add_span_processor(BatchSpanProcessor(spans))
    tracer = tracing.get_tracer("sender", "1.2.3")
    linked = trace.SpanContext(0x1234567890ABCDEF1234567890ABCDEF, 0x1234567890ABCDEF, False)
    with tracer.start_as_current_span(
        "GET /items/{id}",
        kind=SpanKind.SERVER,
        attributes={"text": "naïve ✓", "yes": True, "int": -7, "double": 0.5, "list": ["a", "b"]},
        links=[Link(linked, {"why": "test"})],
    ) as span:
        span.add_event("retried", {"times": 3}, timestamp=1_700_000_000_000_000_001)
        span.set_status(Status(StatusCode.ERROR, "out of stock"))

    reader = PeriodicExportingMetricReader(metrics)
    metering = MeterProvider(resource=resource, metric_readers=[reader])
    meter = metering.get_meter("sender", "1.2.3")
    meter.create_counter("orders", unit="{order}", description="Orders.").add(42, {"country": "NZ"})
    histogram = meter.create_histogram("latency", unit="s")
    for value in (0.5, 7.0, 30_000.0):
        histogram.record(value, {"route": "/"})

    logged = LoggerProvider(resource=resource)
    logged.add_log_record_processor(BatchLogRecordProcessor(logs))
    logged.get_logger("sender", "1.2.3").emit(
        timestamp=1_700_000_000_000_000_002,
        severity_number=SeverityNumber.WARN,
        severity_text="WARN",
        body="nearly out of stock",
        attributes={"item": "0PUK6V6EV0", "left": 1},
    )
    ended = [tracing.force_flush(), metering.force_flush(), logged.force_flush()]
    tracing.shutdown()
    metering.shutdown()
    logged.shutdown()
    return 0 if all(each is not False for each in ended) else 1


sys.exit(main())
