/**
 * The subset of protobuf's wire format that the OpenTracing carrier needs (protobuf.dev, "Encoding").
 *
 * Reading is bounded by the length of the input, and any error is a `WireError`.
 */

export const LENGTH = 2;

/** Tags and lengths fit in 32 bits. */
const TAG_BYTES_MAX = 5;
const VARINT_BYTES_MAX = 10;

/** A field; a length-delimited one's content excludes its length. */
export interface Field {
  readonly number: number;
  readonly type: number;
  readonly content: Uint8Array;
}

/** The bytes are not a valid message. */
export class WireError extends Error {}

/**
 * Parses a message into its fields, including unknown ones.
 *
 * @throws WireError if it is truncated, or contains something that no proto3 writer writes.
 */
export function readFields(message: Uint8Array): Field[] {
  const fields: Field[] = [];
  for (let at = 0; at < message.length;) {
    const [tag, behind] = readVarint(message, at);
    const number = Math.floor(tag / 8);
    const [start, end] = extent(message, behind, tag % 8);
    if (number === 0 || end > message.length) throw new WireError("the message ends early");
    fields.push({ number, type: tag % 8, content: message.subarray(start, end) });
    at = end;
  }
  return fields;
}

/** Serializes fields; the inverse of `readFields`. */
export function writeFields(fields: readonly Field[]): Uint8Array {
  return Buffer.concat(
    fields.flatMap(({ number, type, content }) => [
      varint(number * 8 + type),
      ...(type === LENGTH ? [varint(content.length)] : []),
      content,
    ]),
  );
}

/** Reads the entries of a `map<string, string>` field, in order. */
export function readMap(fields: readonly Field[], number: number): [key: Uint8Array, value: Uint8Array][] {
  return fields
    .filter((field) => field.number === number && field.type === LENGTH)
    .map(({ content }) => {
      const parts = readFields(content).filter((part) => part.type === LENGTH);
      return [last(parts, 1), last(parts, 2)];
    });
}

/** Returns one entry of a `map<string, string>` field. */
export function mapEntry(number: number, key: string, value: string): Field {
  const content = writeFields([text(1, key), text(2, value)]);
  return { number, type: LENGTH, content };
}

/** Returns the content of the last field of a number, empty if there is none. */
export function last(fields: readonly Field[], number: number): Uint8Array {
  return fields.filter((field) => field.number === number).pop()?.content ?? new Uint8Array();
}

function text(number: number, value: string): Field {
  return { number, type: LENGTH, content: Buffer.from(value) };
}

function extent(message: Uint8Array, at: number, type: number): [start: number, end: number] {
  if (type === 0) return [at, varintEnd(message, at)];
  if (type === 1) return [at, at + 8];
  if (type === 5) return [at, at + 4];
  if (type !== LENGTH) throw new WireError(`wire type ${type} is not in use`);
  const [length, start] = readVarint(message, at);
  return [start, start + length];
}

function varintEnd(message: Uint8Array, at: number): number {
  const index = message.subarray(at, at + VARINT_BYTES_MAX).findIndex((byte) => byte < 128);
  if (index < 0) throw new WireError("an integer is truncated");
  return at + index + 1;
}

function readVarint(message: Uint8Array, at: number): [value: number, end: number] {
  const end = varintEnd(message.subarray(0, at + TAG_BYTES_MAX), at);
  let value = 0;
  for (let index = end - 1; index >= at; index--) value = value * 128 + ((message[index] ?? 0) & 127);
  return [value, end];
}

function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value & 127) | 128);
  return Uint8Array.of(...bytes, value);
}
