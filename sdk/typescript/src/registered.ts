/**
 * The globals of OpenTelemetry's API. All copies of it store them in one place, without a way to read them.
 */

import type { ContextManager, TextMapPropagator } from "@opentelemetry/api";

interface Registered {
  readonly context?: ContextManager;
  propagation?: TextMapPropagator;
}

const API = Symbol.for("opentelemetry.js.api.1");

/** Returns the globals; those that have not been registered are undefined. */
export function registered(): Registered {
  return (globalThis as { [API]?: Registered })[API] ?? {};
}
