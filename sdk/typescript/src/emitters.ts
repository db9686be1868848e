/** Callbacks and listeners that run for the request that gave them, whoever calls them. */

import { type Context, context } from "@opentelemetry/api";
import { EventEmitter } from "node:events";
import { type Scope, scopeOf } from "./scopes";

type Listener = (this: EventEmitter, ...args: unknown[]) => unknown;
type Add = (this: EventEmitter, event: string | symbol, listener: Listener) => EventEmitter;

/** Has everything that an emitter says be heard in its request's scope: who makes it speak may be another one. */
export function keepUnder(emitter: EventEmitter, under: Context, scope: Scope): void {
  const { emit } = emitter;
  emitter.emit = function (this: EventEmitter, ...args: Parameters<typeof emit>) {
    return inScope(under, scope, () => emit.apply(this, args));
  };
}

/** Has an emitter that the current request makes for itself, such as a query, be heard in its scope. */
export function keepHere(emitter: EventEmitter): void {
  const active = context.active();
  const scope = scopeOf(active);
  if (scope) keepUnder(emitter, active, scope);
}

/** Returns a function as the current request gives it: it runs under this one's overrides, or none. */
export function bound<F extends (...args: never[]) => unknown>(fn: F): F {
  const active = context.active();
  const scope = scopeOf(active);
  if (!scope) return fn;
  return function (this: unknown, ...args: Parameters<F>) {
    return inScope(active, scope, () => fn.apply(this, args));
  } as F;
}

/**
 * Has what waits for an event once, such as for a place in a pool, go on as the request that waits.
 *
 * Who waits again and again (`on`) may do so for everybody: that is heard as the request that causes it.
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

/** As Node makes them itself: `listener` is how one is found that is to be taken off. */
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

/** What runs in the scope already keeps what is current in it, such as a span. */
function inScope<T>(under: Context, scope: Scope, run: () => T): T {
  return scopeOf(context.active()) === scope ? run() : context.with(under, run);
}
