/** Callbacks and listeners that run in the request that registered them. */

import { type Context, context } from "@opentelemetry/api";
import { EventEmitter } from "node:events";
import { type Scope, scopeOf } from "./scopes";

type Listener = (this: EventEmitter, ...args: unknown[]) => unknown;
type Add = (this: EventEmitter, event: string | symbol, listener: Listener) => EventEmitter;

/** Runs all listeners of an emitter in its request's scope, whichever request causes the event. */
export function keepUnder(emitter: EventEmitter, under: Context, scope: Scope): void {
  const { emit } = emitter;
  emitter.emit = function (this: EventEmitter, ...args: Parameters<typeof emit>) {
    return inScope(under, scope, () => emit.apply(this, args));
  };
}

/** Runs the listeners of an emitter that the current request creates for itself, such as a query, in its scope. */
export function keepHere(emitter: EventEmitter): void {
  const active = context.active();
  const scope = scopeOf(active);
  if (scope) keepUnder(emitter, active, scope);
}

/** Returns a function, wrapped to run with the current request's overrides, or without any. */
export function bound<F extends (...args: never[]) => unknown>(fn: F): F {
  const active = context.active();
  const scope = scopeOf(active);
  if (!scope) return fn;
  return function (this: unknown, ...args: Parameters<F>) {
    return inScope(active, scope, () => fn.apply(this, args));
  } as F;
}

/**
 * Listeners that wait for a single event, such as a free place in a pool, continue in the request that waits.
 *
 * Permanent listeners (`on`) may serve all requests: they run in the request that causes the event.
 */
export function followInWaiting(): void {
  const holder = EventEmitter.prototype as unknown as Record<string, Add>;
  for (const [once, on] of [
    ["once", "on"],
    ["prependOnceListener", "prependListener"],
  ] as const) {
    const own = holder[once] as Add;
    holder[once] = function (event, listener) {
      const isRequests = typeof listener === "function" && scopeOf(context.active()) !== undefined;
      return isRequests ? this[on](event, waiting(this, event, listener)) : own.call(this, event, listener);
    };
  }
}

/** As Node creates them itself: `listener` identifies the original function, so that it can be removed. */
function waiting(emitter: EventEmitter, event: string | symbol, listener: Listener): Listener {
  const run = bound(listener);
  let isDone = false;
  const once: Listener = function (...args) {
    if (isDone) return undefined;
    isDone = true;
    emitter.removeListener(event, once);
    return run.apply(emitter, args);
  };
  return Object.assign(once, { listener });
}

/** Code that already runs in the scope keeps the current context, such as a span. */
function inScope<T>(under: Context, scope: Scope, run: () => T): T {
  return scopeOf(context.active()) === scope ? run() : context.with(under, run);
}
