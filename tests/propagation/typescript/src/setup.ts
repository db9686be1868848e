/**
 * OpenTelemetry as its documentation sets it up, unless `TRACED` is empty; with `DETOUR_SDK=on` Detour's SDK as well.
 */

import FastifyOtelInstrumentation from "@fastify/otel";
import { registerInstrumentations } from "@opentelemetry/instrumentation";
import { AmqplibInstrumentation } from "@opentelemetry/instrumentation-amqplib";
import { ExpressInstrumentation } from "@opentelemetry/instrumentation-express";
import { GrpcInstrumentation } from "@opentelemetry/instrumentation-grpc";
import { HttpInstrumentation } from "@opentelemetry/instrumentation-http";
import { UndiciInstrumentation } from "@opentelemetry/instrumentation-undici";
import { NodeTracerProvider } from "@opentelemetry/sdk-trace-node";

if (process.env.TRACED) {
  new NodeTracerProvider().register();
  registerInstrumentations({
    instrumentations: [
      new HttpInstrumentation(),
      new ExpressInstrumentation(),
      new FastifyOtelInstrumentation({ registerOnInitialization: true }),
      new UndiciInstrumentation(),
      new GrpcInstrumentation(),
      new AmqplibInstrumentation(),
    ],
  });
}

if (process.env.DETOUR_SDK === "on") require("detour-mesh/register");
