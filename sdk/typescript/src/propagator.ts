/**
 * What carries overrides into a service and out of it: a propagator in front of those that are configured.
 *
 * The others read and write everything as ever. Overrides are read and written here, as every language of Detour's
 * SDK does it: whatever stands beside them in the header, and however the others encode. What can't be read goes on as
 * it came: it fails where it is for. Nothing that a carrier holds throws, and other people's baggage makes no header
 * longer than 8192 bytes.
 */

import {
  type Context,
  type TextMapGetter,
  type TextMapPropagator,
  type TextMapSetter,
  context as contexts,
  defaultTextMapGetter,
  defaultTextMapSetter,
} from "@opentelemetry/api";
import { appendToBaggage, parseBaggage } from "./baggage";
import { tellShared } from "./carriers";
import { OPENTRACING, carrierOf, parseOpentracing, withCarrier, writeOpentracing } from "./opentracing";
import { NOTHING, PREFIX, type Parsed, type Problem, isEmpty, over } from "./overrides";
import { type Headers, goingOn, parsedIn, withOverrides, withUnread, without, withoutAny } from "./request";
import { Scope, scopeOf, withScope } from "./scopes";
import { sharedIn } from "./sharing";
import { tell, tellOnce } from "./telling";

export const BAGGAGE = "baggage";

const drop = (problem: Problem): void => tell([problem]);

/** Reads and writes overrides, and has the others read and write what is theirs. */
export class OverridesPropagator implements TextMapPropagator {
  /** @param others - OpenTelemetry's global propagator, whatever it is made of. */
  constructor(public others: TextMapPropagator) {}

  fields(): string[] {
    return [...new Set([...this.others.fields(), BAGGAGE, OPENTRACING])];
  }

  extract(context: Context, carrier: unknown, getter: TextMapGetter): Context {
    const extracted = attempt("read", context, () => this.others.extract(context, carrier, getter));
    return attempt("read", extracted, () => scoped(read(extracted, carrier, getter), carrier, getter));
  }

  inject(context: Context, carrier: unknown, setter: TextMapSetter): void {
    const own = goingOn(context);
    const opentracing = carrierOf(context);
    const headers: Headers = {};
    attempt("written", undefined, () => {
      // Overrides that are over are in the baggage still.
      const before = parsedIn(context);
      if (isEmpty(before) && !opentracing) this.others.inject(context, carrier, setter);
      else this.others.inject(without(context, before), headers, defaultTextMapSetter);
    });
    attempt("written", undefined, () => {
      if (!isEmpty(own)) headers[BAGGAGE] = appendToBaggage(headers[BAGGAGE] ?? "", own, drop);
      if (opentracing) headers[OPENTRACING] = writeOpentracing(opentracing, own.overrides, drop);
      for (const [name, value] of Object.entries(headers)) setter.set(carrier, name, value);
    });
  }
}

/**
 * Returns the context with the scope of what was read from a carrier: that of the request that is being served, if it
 * was read from the same header; else one of its own. Nobody says when that one ends, so it counts from now.
 */
function scoped(context: Context, carrier: unknown, getter: TextMapGetter): Context {
  const header = lines(getter.get(carrier, BAGGAGE)).join(",");
  if (isEmpty(parsedIn(context)) || (!header && !getter.get(carrier, OPENTRACING))) return context;
  const serving = scopeOf(contexts.active());
  if (serving && !serving.isComplete && serving.header === header) return withScope(context, serving);
  return withScope(context, Scope.withoutEnd(header));
}

/**
 * Returns the baggage header that a call is to have, whether it is traced or not; undefined if what it has is right.
 *
 * @param before - What it has: an instrumentation has written the same, or the service's own code has chosen.
 */
export function leaving(before: unknown): string | undefined {
  const own = goingOn();
  if (isEmpty(own)) {
    const shared = sharedIn(contexts.active());
    if (shared) tellShared(shared);
    return undefined;
  }
  const written = lines(before).join(",");
  if (written.includes(PREFIX)) return undefined;
  return attempt("written", undefined, () => appendToBaggage(written, own, drop));
}

/** Returns a context with the overrides that HTTP headers bring; all else is read by others. */
export function entered(context: Context, headers: object): Context {
  return attempt("read", context, () => read(context, headers, defaultTextMapGetter));
}

/** Returns the context with the overrides that a carrier holds, after the others have read it. */
function read(context: Context, carrier: unknown, getter: TextMapGetter): Context {
  const baggage = lines(getter.get(carrier, BAGGAGE));
  const [header] = lines(getter.get(carrier, OPENTRACING));
  const opentracing = header ? parseOpentracing(header) : undefined;
  const carrying = opentracing ? withCarrier(context, opentracing.carrier) : context;
  const before = opentracing ? told(opentracing) : NOTHING;
  if (baggage.length === 0) return withParsed(carrying, before);
  // The others decode in ways of their own: what they made of overrides is replaced.
  return withParsed(withoutAny(carrying), over(told(parseBaggage(baggage.join(","))), before));
}

function withParsed(context: Context, { overrides, unread }: Parsed): Context {
  return withUnread(withOverrides(context, overrides), unread);
}

/** Does a step that fails by itself: neither the service nor the other step may suffer. */
function attempt<T>(what: string, otherwise: T, step: () => T): T {
  try {
    return step();
  } catch (error) {
    tellOnce(`a request's headers could not be ${what}, it goes on without them: ${String(error)}`);
    return otherwise;
  }
}

/** Returns what a getter gives as lines; what is no text is none. */
function lines(given: unknown): string[] {
  return (Array.isArray(given) ? given : [given]).filter((line) => typeof line === "string");
}

function told(parsed: Parsed): Parsed {
  tell(parsed.problems);
  return parsed;
}
