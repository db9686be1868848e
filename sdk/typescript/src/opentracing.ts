/**
 * The `x-ot-span-context` header of OpenTracing's binary carrier, as Lightstep's tracers write it.
 *
 * Standard base64 of `BinaryCarrier{BasicTracerCarrier basic_ctx = 2}` with `BasicTracerCarrier{fixed64 trace_id =
 * 1; fixed64 span_id = 2; bool sampled = 3; map<string, string> baggage_items = 4}`. The baggage item `overrides`
 * holds base64 of `Overrides{map<string, string> entries = 1}`, whose keys are those of the W3C header without
 * `override.`.
 */

import { type Context, createContextKey } from "@opentelemetry/api";
import { utf8 } from "./baggage";
import {
  type Entry,
  HEADER_MAX,
  Overrides,
  PREFIX,
  type Parsed,
  type Problem,
  keyOf,
  readEntries,
} from "./overrides";
import { type Field, LENGTH, WireError, last, mapEntry, readFields, readMap, writeFields } from "./wire";

export const OPENTRACING = "x-ot-span-context";

const BASIC_CONTEXT = 2;
const BAGGAGE_ITEMS = 4;
const ENTRIES = 1;
const ITEM = "overrides";

/** What a header held beside overrides: trace and span ids, other people's baggage items, and what is not known. */
export interface Carrier {
  readonly message: readonly Field[];
  readonly context: readonly Field[];
}

const KEY = createContextKey("detour-opentracing-carrier");

/** Returns the carrier that came in with a request, if one did. */
export function carrierOf(context: Context): Carrier | undefined {
  return context.getValue(KEY) as Carrier | undefined;
}

/** Returns the context with a carrier, or without one. */
export function withCarrier(context: Context, carrier: Carrier | undefined): Context {
  return carrier || context.getValue(KEY) ? context.setValue(KEY, carrier) : context;
}

/** Reads the overrides of a header, and what is to go on beside them; nothing if it is not of this form. */
export function parseOpentracing(header: string): Parsed & { carrier?: Carrier } {
  if (header.length > HEADER_MAX)
    return ignored(header, `it has ${header.length} bytes, at most ${HEADER_MAX} are read`);
  try {
    const message = readFields(base64(header));
    const context = readFields(last(message.filter(isContext), BASIC_CONTEXT));
    const carrier = {
      message: message.filter((field) => !isContext(field)),
      context: context.filter((field) => !isOurs(field)),
    };
    return { ...readItem(header, context), carrier };
  } catch (error) {
    if (error instanceof WireError) return ignored(header, error.message);
    throw error;
  }
}

/** Writes a header with these overrides; without them if it would have over 8192 bytes. */
export function writeOpentracing(carrier: Carrier, overrides: Overrides, drop: (problem: Problem) => void): string {
  const entries = Array.from(overrides, (one) =>
    mapEntry(ENTRIES, keyOf(one.kind, one.subject).slice(PREFIX.length), one.value),
  );
  const item = mapEntry(BAGGAGE_ITEMS, ITEM, Buffer.from(writeFields(entries)).toString("base64"));
  const made = encoded(carrier, entries.length > 0 ? [item] : []);
  if (made.length <= HEADER_MAX) return made;
  drop({
    what: OPENTRACING,
    why: `with the overrides it would have ${made.length} bytes, at most ${HEADER_MAX} are possible`,
  });
  return encoded(carrier, []);
}

function encoded({ message, context }: Carrier, items: readonly Field[]): string {
  const content = writeFields([...context, ...items]);
  return Buffer.from(writeFields([...message, { number: BASIC_CONTEXT, type: LENGTH, content }])).toString(
    "base64",
  );
}

/** Reads the baggage item; one that can't be read costs itself alone. */
function readItem(header: string, context: readonly Field[]): Parsed {
  try {
    const item = readMap(context.filter(isOurs), BAGGAGE_ITEMS).pop();
    const entries = item ? readMap(readFields(base64(utf8(item[1]) ?? "?")), ENTRIES) : [];
    return readEntries(entries.map(([key, value]): Entry => [PREFIX + (utf8(key) ?? "?"), utf8(value)]));
  } catch (error) {
    if (error instanceof WireError) return ignored(header, error.message);
    throw error;
  }
}

function isContext({ number, type }: Field): boolean {
  return number === BASIC_CONTEXT && type === LENGTH;
}

function isOurs(field: Field): boolean {
  return readMap([field], BAGGAGE_ITEMS).some(([key]) => utf8(key) === ITEM);
}

/** Decodes standard base64, padded or not; Node's own decoder takes anything. */
function base64(text: string): Uint8Array {
  const digits = /^([A-Za-z0-9+/]*)=*$/.exec(text)?.[1];
  if (digits === undefined || digits.length % 4 === 1) throw new WireError("it is no base64");
  return Buffer.from(digits, "base64");
}

function ignored(header: string, why: string): Parsed {
  return { overrides: Overrides.none, problems: [{ what: `${OPENTRACING}: ${header}`, why }] };
}
