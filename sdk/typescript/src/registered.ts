/**
 * What is registered with OpenTelemetry's API. All copies of it keep that in one place, and none has a way to ask.
 */

import type { ContextManager, TextMapPropagator } from "@opentelemetry/api";

interface Registered {
  readonly context?: ContextManager;
  propagation?: TextMapPropagator;
}

const API = Symbol.for("opentelemetry.js.api.1");

/** Returns it; what nobody has registered is not there. */
export function registered(): Registered {
  return (globalThis as { [API]?: Registered })[API] ?? {};
}
