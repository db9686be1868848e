/**
 * The overrides of the current request.
 *
 * They are stored in OpenTelemetry's baggage, where its instrumentations and other code can find them, too.
 * Reading never throws; unreadable overrides are ignored, with one warning.
 */

import { type Baggage, type Context, context, propagation, trace } from "@opentelemetry/api";
import { ownKey } from "./baggage";
import { warnOver } from "./carriers";
import { ensureContextManager } from "./contexts";
import { begin } from "./flights";
import { withCarrier } from "./opentracing";
import { type Entry, NOTHING, Overrides, PREFIX, type Parsed, isEmpty, keyOf, readEntries } from "./overrides";
import { Scope, completing, scopeOf, withScope } from "./scopes";
import { report } from "./reporting";
import { parseWords } from "./words";

/** Baggage is immutable, so it is parsed once. */
const read = new WeakMap<Baggage, Parsed>();

/**
 * Returns the overrides of a request, by default the current one's; an empty set if it has none.
 *
 * Work that outlives its request by more than `DETOUR_AFTER_RESPONSE` has none.
 */
export function current(of: Context = context.active()): Overrides {
  const overrides = inBaggage(of);
  if (overrides.size === 0 || !scopeOf(of)?.isOver) return overrides;
  warnOver(overrides);
  return Overrides.none;
}

/** Returns the overrides in a context's baggage, even if they have ended. */
function inBaggage(of: Context): Overrides {
  return parsedIn(of).overrides;
}

/** Returns the same, including unreadable ones. */
export function parsedIn(of: Context): Parsed {
  const baggage = propagation.getBaggage(of);
  if (!baggage) return NOTHING;
  let parsed = read.get(baggage);
  if (!parsed) {
    parsed = fromBaggage(baggage);
    read.set(baggage, parsed);
  }
  return parsed;
}

/** Returns the overrides that a call carries: including unreadable ones, but none after its request has ended. */
export function goingOn(of: Context = context.active()): Parsed {
  const parsed = parsedIn(of);
  if (isEmpty(parsed) || !scopeOf(of)?.isOver) return parsed;
  warnOver(parsed.overrides);
  return NOTHING;
}

/**
 * Runs a function, and everything that it starts, without overrides: for work that should outlive requests.
 *
 *     detached(() => setInterval(refresh, 30_000));
 *
 * The trace and other baggage stay.
 */
export function detached<T>(fn: () => T): T {
  return context.with(withoutRequest(context.active()), fn);
}

/** Returns the context without Detour's part of a request; the trace and other baggage stay. */
export function withoutRequest(of: Context): Context {
  return withScope(withCarrier(withoutAny(of), undefined), undefined);
}

/**
 * Runs a function with these overrides and no others, in tests and scripts; they end some time after it.
 *
 *     await using("users=pr-42", () => fetch("http://rides/"));
 *
 * @param overrides - Overrides, or words as on the command line.
 * @throws Error if a word is not an override; the message says which, and what was expected.
 */
export function using<T>(overrides: Overrides | string | Iterable<string>, fn: () => T): T {
  const chosen = overrides instanceof Overrides ? overrides : parseWords(overrides);
  ensureContextManager();
  const scope = new Scope();
  const before = withScope(withoutAny(context.active()), scope);
  return completing(scope, () => context.with(withOverrides(before, chosen), fn));
}

/** Returns the context with these overrides added to its baggage. */
export function withOverrides(of: Context, overrides: Overrides): Context {
  if (overrides.size === 0) return of;
  let baggage = propagation.getBaggage(of) ?? propagation.createBaggage();
  for (const { kind, subject, value } of overrides) {
    baggage = baggage.setEntry(keyOf(kind, subject), { value });
  }
  const made = propagation.setBaggage(of, baggage);
  return overrides.of("log").size > 0 ? begin(made) : made;
}

/** Returns the context with unreadable overrides added to its baggage, so that they are forwarded. */
export function withUnread(of: Context, unread: ReadonlyMap<string, string>): Context {
  let baggage = propagation.getBaggage(of) ?? propagation.createBaggage();
  for (const [key, value] of unread) baggage = baggage.setEntry(key, { value });
  return unread.size > 0 ? propagation.setBaggage(of, baggage) : of;
}

/** Returns the context without these overrides; other baggage stays. */
export function without(of: Context, own: Parsed): Context {
  const baggage = propagation.getBaggage(of);
  const keys = [...own.overrides.keys(), ...own.unread.keys()];
  return baggage && keys.length > 0 ? propagation.setBaggage(of, baggage.removeEntries(...keys)) : of;
}

/** Returns the context without any override in its baggage, however its key is encoded. */
export function withoutAny(of: Context): Context {
  const baggage = propagation.getBaggage(of);
  const own = baggage?.getAllEntries().filter(([key]) => ownKey(key) !== undefined) ?? [];
  return baggage && own.length > 0
    ? propagation.setBaggage(of, baggage.removeEntries(...own.map(([key]) => key)))
    : of;
}

/** A carrier's headers as text, whatever their wire format. */
export type Headers = Record<string, string>;

/** Returns headers with the current request's overrides; empty if it has none. */
export function carried(): Headers {
  const headers: Headers = {};
  if (!isEmpty(goingOn())) propagation.inject(context.active(), headers);
  return headers;
}

/**
 * Runs a function with the overrides in these headers, and no others; they end some time after it.
 *
 * An existing span stays: the code that started it has decided what it belongs to.
 */
export function underCarried<T>(headers: Headers, fn: () => T): T {
  const scope = new Scope();
  const active = context.active();
  const span = trace.getSpan(active);
  const extracted = withScope(propagation.extract(propagation.deleteBaggage(withoutRequest(active)), headers), scope);
  return completing(scope, () => context.with(span ? trace.setSpan(extracted, span) : extracted, fn));
}

function fromBaggage(baggage: Baggage): Parsed {
  const own = baggage.getAllEntries().filter(([key]) => key.startsWith(PREFIX));
  if (own.length === 0) return NOTHING;
  const parsed = readEntries(
    own.map(([key, { value }]): Entry => [key, typeof value === "string" ? value : undefined]),
  );
  report(parsed.problems);
  return parsed;
}
