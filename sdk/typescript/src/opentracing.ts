/**
 * The `x-ot-span-context` header of OpenTracing's binary carrier, as Lightstep's tracers write it.
 *
 * Standard base64 of `BinaryCarrier{BasicTracerCarrier basic_ctx = 2}` with `BasicTracerCarrier{fixed64 trace_id =
  * 1; fixed64 span_id = 2; bool sampled = 3; map<string, string> baggage_items = 4}`. The baggage item `overrides`
  * contains base64 of `Overrides{map<string, string> entries = 1}`. Its keys are those of the W3C header, without
  * `override.`.
 */

import { type Context, createContextKey } from "@opentelemetry/api";
import { utf8 } from "./baggage";
import {
  ENTRIES_MAX,
  type Entry,
  HEADER_MAX,
  NOTHING,
  type Overrides,
  PREFIX,
  type Parsed,
  type Problem,
  keyOf,
  over,
  readEntries,
} from "./overrides";
import { type Field, LENGTH, WireError, last, mapEntry, readFields, readMap, writeFields } from "./wire";

export const OPENTRACING = "x-ot-span-context";

const BASIC_CONTEXT = 2;
const BAGGAGE_ITEMS = 4;
const ENTRIES = 1;
const ITEM = "overrides";
/** The item's key, as protobuf writes it. */
const ITEM_BYTES = Buffer.from(`\n\t${ITEM}`);

/**
 * A header without its overrides: trace and span ids, other baggage items, and unknown fields. If its overrides are
 * unreadable, it is the whole header.
 */
interface Carrier {
  readonly message: readonly Field[];
  readonly context: readonly Field[];
  readonly whole?: string;
}

const KEY = createContextKey("detour-opentracing-carrier");

/** Returns the carrier that a request came with, if any. */
export function carrierOf(context: Context): Carrier | undefined {
  return context.getValue(KEY) as Carrier | undefined;
}

/** Returns the context with a carrier, or without one. */
export function withCarrier(context: Context, carrier: Carrier | undefined): Context {
  return carrier || context.getValue(KEY) ? context.setValue(KEY, carrier) : context;
}

/** Reads the overrides of a header, and the rest to forward; nothing if the header has another form. */
export function parseOpentracing(header: string): Parsed & { carrier?: Carrier } {
  let bytes: Uint8Array = new Uint8Array();
  try {
    bytes = base64(header);
    const message = readFields(bytes);
    const context = readFields(last(message.filter(isContext), BASIC_CONTEXT));
    const item = readMap(context, BAGGAGE_ITEMS)
      .filter(([key]) => utf8(key) === ITEM)
      .pop();
    if (header.length > HEADER_MAX) return tooLong(header, item?.[1]);
    const carrier = {
      message: message.filter((field) => !isContext(field)),
      context: context.filter((field) => !isOurs(field)),
    };
    return { ...readItem(item?.[1]), carrier };
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    const found = ignored(header, error.message);
    return Buffer.from(bytes).includes(ITEM_BYTES) ? { ...found, carrier: wholly(header) } : found;
  }
}

function tooLong(header: string, item: Uint8Array | undefined): Parsed & { carrier?: Carrier } {
  if (!item?.length) return NOTHING;
  const found = ignored(header, `it has ${header.length} bytes, and sidecars read at most ${HEADER_MAX}`);
  return { ...over(readItem(item), found), carrier: wholly(header) };
}

function wholly(header: string): Carrier {
  return { message: [], context: [], whole: header };
}

/** Returns a header with these overrides, or without them if it would exceed 8192 bytes. */
export function writeOpentracing(carrier: Carrier, overrides: Overrides, drop: (problem: Problem) => void): string {
  if (carrier.whole !== undefined) return carrier.whole;
  const entries = Array.from(overrides, (one) =>
    mapEntry(ENTRIES, keyOf(one.kind, one.subject).slice(PREFIX.length), one.value),
  );
  const item = mapEntry(BAGGAGE_ITEMS, ITEM, Buffer.from(writeFields(entries)).toString("base64"));
  const made = encoded(carrier, entries.length > 0 ? [item] : []);
  if (made.length <= HEADER_MAX && entries.length <= ENTRIES_MAX) return made;
  drop({
    what: OPENTRACING,
    why: `with ${entries.length} overrides it would have ${made.length} bytes; at most ${ENTRIES_MAX} in ${HEADER_MAX} are possible`,
  });
  return encoded(carrier, []);
}

function encoded({ message, context }: Carrier, items: readonly Field[]): string {
  const content = writeFields([...context, ...items]);
  return Buffer.from(writeFields([...message, { number: BASIC_CONTEXT, type: LENGTH, content }])).toString(
    "base64",
  );
}

/** Reads the baggage item with the overrides. */
function readItem(item: Uint8Array | undefined): Parsed {
  const entries = item ? readMap(readFields(base64(Buffer.from(item).toString("latin1"))), ENTRIES) : [];
  return readEntries(entries.map(([key, value]): Entry => [PREFIX + utf8(key), utf8(value)]));
}

function isContext({ number, type }: Field): boolean {
  return number === BASIC_CONTEXT && type === LENGTH;
}

function isOurs(field: Field): boolean {
  return readMap([field], BAGGAGE_ITEMS).some(([key]) => utf8(key) === ITEM);
}

/** Decodes standard base64, padded or not; Node's own decoder accepts anything. */
function base64(text: string): Uint8Array {
  const digits = /^([A-Za-z0-9+/]*)=*$/.exec(text)?.[1];
  if (digits === undefined || digits.length % 4 === 1) throw new WireError("it is not base64");
  return Buffer.from(digits, "base64");
}

function ignored(header: string, why: string): Parsed {
  return { ...NOTHING, problems: [{ what: `${OPENTRACING}: ${header}`, why }] };
}
