/**
 * A propagator that carries overrides into a service and out of it, before the configured propagators.
 *
 * The others read and write everything as usual. Overrides are read and written here, in the same way in all
 * languages of Detour's SDK, whatever else the header contains and however the others encode. Unreadable overrides
 * are forwarded
 * unchanged: the services that they are for reject them. No carrier causes an error, and other baggage never makes a
 * header longer than 8192 bytes.
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
import { warnShared } from "./carriers";
import { OPENTRACING, carrierOf, parseOpentracing, withCarrier, writeOpentracing } from "./opentracing";
import { NOTHING, PREFIX, type Parsed, type Problem, isEmpty, over } from "./overrides";
import { type Headers, goingOn, parsedIn, withOverrides, withUnread, without, withoutAny } from "./request";
import { Scope, scopeOf, withScope } from "./scopes";
import { sharedIn } from "./sharing";
import { report, warnOnce } from "./reporting";

export const BAGGAGE = "baggage";

const drop = (problem: Problem): void => report([problem]);

/** Reads and writes overrides; delegates everything else to other propagators. */
export class OverridesPropagator implements TextMapPropagator {
  /** @param others - OpenTelemetry's global propagator. */
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
      // The baggage still contains overrides that have ended.
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
 * Returns the context with a scope for what was read from a carrier: that of the current request if it was read from
 * the same header; else a new one. The end of a new one is unknown, so it counts from now.
 */
function scoped(context: Context, carrier: unknown, getter: TextMapGetter): Context {
  const header = lines(getter.get(carrier, BAGGAGE)).join(",");
  if (isEmpty(parsedIn(context)) || (!header && !getter.get(carrier, OPENTRACING))) return context;
  const serving = scopeOf(contexts.active());
  if (serving && !serving.isComplete && serving.header === header) return withScope(context, serving);
  return withScope(context, Scope.withoutEnd(header));
}

/**
 * Returns the baggage header for a call, traced or not; undefined if its header is already correct.
 *
 * @param before - Its current header: an instrumentation has written the same, or the service's own code has chosen.
 */
export function leaving(before: unknown): string | undefined {
  const own = goingOn();
  if (isEmpty(own)) {
    const shared = sharedIn(contexts.active());
    if (shared) warnShared(shared);
    return undefined;
  }
  const written = lines(before).join(",");
  if (written.includes(PREFIX)) return undefined;
  return attempt("written", undefined, () => appendToBaggage(written, own, drop));
}

/** Returns a context with the overrides in HTTP headers; everything else is read by others. */
export function entered(context: Context, headers: object): Context {
  return attempt("read", context, () => read(context, headers, defaultTextMapGetter));
}

/** Returns the context with the overrides in a carrier, after the others have read it. */
function read(context: Context, carrier: unknown, getter: TextMapGetter): Context {
  const baggage = lines(getter.get(carrier, BAGGAGE));
  const [header] = lines(getter.get(carrier, OPENTRACING));
  const opentracing = header ? parseOpentracing(header) : undefined;
  const carrying = opentracing ? withCarrier(context, opentracing.carrier) : context;
  const before = opentracing ? reported(opentracing) : NOTHING;
  if (baggage.length === 0) return withParsed(carrying, before);
  // The others decode differently, so their results for overrides are replaced.
  return withParsed(withoutAny(carrying), over(reported(parseBaggage(baggage.join(","))), before));
}

function withParsed(context: Context, { overrides, unread }: Parsed): Context {
  return withUnread(withOverrides(context, overrides), unread);
}

/** Runs a step whose failure must not affect the service or other steps. */
function attempt<T>(what: string, otherwise: T, step: () => T): T {
  try {
    return step();
  } catch (error) {
    warnOnce(`a request's headers could not be ${what}; it continues without them: ${String(error)}`);
    return otherwise;
  }
}

/** Returns a getter's result as lines; values that are not text are dropped. */
function lines(given: unknown): string[] {
  return (Array.isArray(given) ? given : [given]).filter((line) => typeof line === "string");
}

function reported(parsed: Parsed): Parsed {
  report(parsed.problems);
  return parsed;
}
