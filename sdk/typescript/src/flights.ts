/**
 * The requests in flight that carry a log level, for any service.
 *
 * Each is an object in its context, which is freed when nothing runs in it any longer, so that the end of a request
 * need not be observed. The context's overrides decide; this only avoids needless lookups.
 */

import { type Context, createContextKey } from "@opentelemetry/api";

const KEY = createContextKey("detour-flight");

let inFlight = 0;

const ended = new FinalizationRegistry<undefined>(() => {
  inFlight--;
});

/** Whether there are any. */
export function anyInFlight(): boolean {
  return inFlight > 0;
}

/** Returns the context, marked as such a request. */
export function begin(context: Context): Context {
  if (context.getValue(KEY)) return context;
  const flight = {};
  ended.register(flight, undefined);
  inFlight++;
  return context.setValue(KEY, flight);
}
