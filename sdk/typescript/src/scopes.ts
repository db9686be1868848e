/**
 * How long a request's overrides count: until a bounded time after its response is complete.
 *
 * A scope begins where overrides are read, and stays in the context beside them, so whatever carries the one carries
 * the other. It holds no timer: who uses overrides asks whether their scope is over.
 */

import { type Context, createContextKey } from "@opentelemetry/api";
import { types } from "node:util";
import { tellOnce } from "./telling";

const DEFAULT_MS = 60_000;
const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, "": 1000 };
const DURATION = /^([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s|m|)$/;

const KEY = createContextKey("detour-scope");

/** From a request's headers until its response is complete, or from a message until it is handled. */
export class Scope {
  /** When it was complete, in milliseconds of a clock that all threads share; NaN before. */
  #completed: Float64Array;

  /** How long it counts at the least after that, in milliseconds. */
  #atLeast = 0;

  /**
   * @param header - The baggage that came in, by which a second reader of the same request finds this scope.
   * @param completed - What another thread writes the end to.
   */
  constructor(
    readonly header = "",
    completed?: SharedArrayBuffer,
  ) {
    this.#completed = completed ? new Float64Array(completed) : Float64Array.of(Number.NaN);
  }

  /** Returns a scope whose end nobody will see: it counts for the time from now, and long enough to be served. */
  static withoutEnd(header: string): Scope {
    const scope = new Scope(header);
    scope.#atLeast = DEFAULT_MS;
    scope.complete();
    return scope;
  }

  /** Whether its request has been answered, or its message handled. */
  get isComplete(): boolean {
    return !Number.isNaN(this.#completed[0]);
  }

  /** Whether its overrides count no more. */
  get isOver(): boolean {
    if (!this.isComplete) return false;
    const since = now() - (this.#completed[0] ?? 0);
    return since >= this.#atLeast && since >= afterResponse();
  }

  /** Says that the request is answered; again is too late. */
  complete(): void {
    if (!this.isComplete) this.#completed[0] = now();
  }

  /** Returns memory by which another thread knows when this is complete. */
  shared(): SharedArrayBuffer {
    const { buffer } = this.#completed;
    if (buffer instanceof SharedArrayBuffer) return buffer;
    const memory = new SharedArrayBuffer(Float64Array.BYTES_PER_ELEMENT);
    const before = this.#completed[0] ?? Number.NaN;
    this.#completed = new Float64Array(memory);
    this.#completed[0] = before;
    return memory;
  }
}

/** Returns the scope of a context's overrides, if it has one. */
export function scopeOf(context: Context): Scope | undefined {
  return context.getValue(KEY) as Scope | undefined;
}

/** Returns the context in a scope, or in none. */
export function withScope(context: Context, scope: Scope | undefined): Context {
  if (scope === scopeOf(context)) return context;
  return scope ? context.setValue(KEY, scope) : context.deleteValue(KEY);
}

/**
 * Runs a function whose end completes a scope, and gives what it gives.
 *
 * Of a promise that is when it is settled. A follower of it is returned, not itself: looking on would count as
 * handling its error. What only resembles a promise may begin its work when it is asked for the result, so that is
 * not asked.
 */
export function completing<T>(scope: Scope, fn: () => T): T {
  let result: T | undefined;
  try {
    result = fn();
    return types.isPromise(result) ? (result.finally(() => scope.complete()) as T) : result;
  } finally {
    if (!types.isPromise(result)) scope.complete();
  }
}

/** How long overrides count after the response, in milliseconds: `DETOUR_AFTER_RESPONSE`. */
export function afterResponse(): number {
  const text = process.env.DETOUR_AFTER_RESPONSE?.trim() ?? "";
  if (text !== readText) [readText, readMs] = [text, parseDuration(text)];
  return readMs;
}

let readText = "";
let readMs = DEFAULT_MS;

function parseDuration(text: string): number {
  if (!text) return DEFAULT_MS;
  const [, number, unit = ""] = DURATION.exec(text) ?? [];
  if (number !== undefined) return Number(number) * (UNITS[unit] ?? 1);
  tellOnce(
    `DETOUR_AFTER_RESPONSE=${text} is ignored: expected seconds, such as 60, 60s, 1.5, 500ms or 2m; 60 s counts`,
  );
  return DEFAULT_MS;
}

/** Milliseconds; performance.now() begins anew in each thread. */
function now(): number {
  return Number(process.hrtime.bigint() / 1000n) / 1000;
}
