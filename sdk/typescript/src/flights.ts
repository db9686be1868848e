/**
 * The requests in flight that carry a log level, for whichever service.
 *
 * Each is an object in its context, which is freed when nothing runs under it any more: no end of a request need be
 * known. What counts is what the context's overrides say; this only says that nobody needs to look.
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

/** Returns the context as one of them. */
export function begin(context: Context): Context {
  if (context.getValue(KEY)) return context;
  const flight = {};
  ended.register(flight, undefined);
  inFlight++;
  return context.setValue(KEY, flight);
}
