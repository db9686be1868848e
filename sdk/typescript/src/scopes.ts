/**
 * How long a request's overrides apply: until a limited time after its response is complete.
 *
 * A scope is created when overrides are read, and is stored in the same context. It has no timer: code that uses
 * overrides checks whether their scope has ended.
 */

import { type Context, createContextKey } from "@opentelemetry/api";
import { types } from "node:util";
import { warnOnce } from "./reporting";

const DEFAULT_MS = 60_000;
const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, "": 1000 };
const DURATION = /^([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s|m|)$/;

const KEY = createContextKey("detour-scope");

/** From a request's headers until its response is complete, or from a message until it is handled. */
export class Scope {
  /** When it was completed, in milliseconds of a clock that all threads share; NaN before. */
  #completed: Float64Array;

  /** Minimum duration after completion, in milliseconds. */
  #atLeast = 0;

  /**
   * @param header - The incoming baggage, by which a second reader of the same request finds this scope.
   * @param completed - Memory that another thread writes the end to.
   */
  constructor(
    readonly header = "",
    completed?: SharedArrayBuffer,
  ) {
    this.#completed = completed ? new Float64Array(completed) : Float64Array.of(Number.NaN);
  }

  /** Returns a scope whose end will not be observed: its time counts from now, and is long enough to be served. */
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

  /** Whether its overrides have ended. */
  get isOver(): boolean {
    if (!this.isComplete) return false;
    const since = now() - (this.#completed[0] ?? 0);
    return since >= this.#atLeast && since >= afterResponse();
  }

  /** Records that the request has been answered; further calls have no effect. */
  complete(): void {
    if (!this.isComplete) this.#completed[0] = now();
  }

  /** Returns memory from which another thread can read when the scope was completed. */
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

/** Returns the context with a scope, or without one. */
export function withScope(context: Context, scope: Scope | undefined): Context {
  if (scope === scopeOf(context)) return context;
  return scope ? context.setValue(KEY, scope) : context.deleteValue(KEY);
}

/**
 * Runs a function whose end completes a scope, and returns its result.
 *
 * A promise ends when it is settled. A promise derived from it is returned: observing the original counts as handling
 * its error, so the derived one has to report it. Other thenables may start their work when `then` is called, so it is
 * not called.
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

/** How long overrides apply after the response, in milliseconds: `DETOUR_AFTER_RESPONSE`. */
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
  warnOnce(
    `DETOUR_AFTER_RESPONSE=${text} is ignored: expected seconds, such as 60, 60s, 1.5, 500ms or 2m; using 60 s`,
  );
  return DEFAULT_MS;
}

/** Milliseconds of a clock that all threads share: performance.now() starts at zero in each thread. */
function now(): number {
  return Number(process.hrtime.bigint() / 1000n) / 1000;
}
