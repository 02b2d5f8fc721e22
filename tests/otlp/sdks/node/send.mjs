// Sends a span, two metrics and a log record with the OpenTelemetry SDK of Node.js: send.mjs PROTOCOL ENDPOINT.

import { SpanKind, SpanStatusCode, TraceFlags } from "@opentelemetry/api";
import { SeverityNumber } from "@opentelemetry/api-logs";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchLogRecordProcessor, LoggerProvider } from "@opentelemetry/sdk-logs";
import { MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import { BasicTracerProvider, BatchSpanProcessor } from "@opentelemetry/sdk-trace-base";

const [protocol, endpoint] = process.argv.slice(2);
const kind = { grpc: "grpc", "http/protobuf": "proto", "http/json": "http" }[protocol];
const { OTLPTraceExporter } = await import(`@opentelemetry/exporter-trace-otlp-${kind}`);
const { OTLPMetricExporter } = await import(`@opentelemetry/exporter-metrics-otlp-${kind}`);
const { OTLPLogExporter } = await import(`@opentelemetry/exporter-logs-otlp-${kind}`);
const url = (signal) => ({ url: kind === "grpc" ? endpoint : `${endpoint}/v1/${signal}` });

const resource = resourceFromAttributes({ "service.name": "shop", "deployment.environment.name": "test" });

const tracing = new BasicTracerProvider({
  resource,
  spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter(url("traces")))],
});
const linked = { traceId: "1234567890abcdef1234567890abcdef", spanId: "1234567890abcdef", traceFlags: TraceFlags.NONE };
const span = tracing.getTracer("sender", "1.2.3").startSpan("GET /items/{id}", {
  kind: SpanKind.SERVER,
  attributes: { text: "naïve ✓", yes: true, int: -7, double: 0.5, list: ["a", "b"] },
  links: [{ context: linked, attributes: { why: "test" } }],
});
span.addEvent("retried", { times: 3 }, [1_700_000_000, 1]);
span.setStatus({ code: SpanStatusCode.ERROR, message: "out of stock" });
span.end();

const reader = new PeriodicExportingMetricReader({ exporter: new OTLPMetricExporter(url("metrics")) });
const metering = new MeterProvider({ resource, readers: [reader] });
const meter = metering.getMeter("sender", "1.2.3");
meter.createCounter("orders", { unit: "{order}", description: "Orders." }).add(42, { country: "NZ" });
const histogram = meter.createHistogram("latency", { unit: "s" });
for (const value of [0.5, 7, 30_000]) histogram.record(value, { route: "/" });

const logged = new LoggerProvider({
  resource,
  processors: [new BatchLogRecordProcessor({ exporter: new OTLPLogExporter(url("logs")) })],
});
logged.getLogger("sender", "1.2.3").emit({
  timestamp: [1_700_000_000, 2],
  severityNumber: SeverityNumber.WARN,
  severityText: "WARN",
  body: "nearly out of stock",
  attributes: { item: "0PUK6V6EV0", left: 1 },
});

for (const provider of [tracing, metering, logged]) {
  await provider.forceFlush();
  await provider.shutdown();
}
