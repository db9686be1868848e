/**
 * The W3C `baggage` header (https://www.w3.org/TR/baggage/, section 3.3).
 *
 * A member is `key=value` with properties behind semicolons. Keys are compared literally; of duplicates the last
 * one that can be read counts. Headers are strings as Node's HTTP decodes them: one character a byte.
 */

import {
  ENTRIES_MAX,
  type Entry,
  HEADER_MAX,
  type Override,
  Overrides,
  PREFIX,
  type Parsed,
  type Problem,
  keyOf,
  readEntries,
} from "./overrides";

const UTF_8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const NEEDS_DECODING = /[^\x20-\x24\x26-\x7e]/;
const NO_HEADER_TEXT = /[^\t\x20-\x7e\x80-\xff]/;

/** Reads the overrides of a request. Several lines of the header are to be joined by commas. */
export function parseBaggage(header: string): Parsed {
  if (header.length > HEADER_MAX) {
    const why = `the baggage has ${header.length} bytes, at most ${HEADER_MAX} are read`;
    return { overrides: Overrides.none, problems: [{ what: header, why }] };
  }
  return readEntries(ownEntries(header));
}

/**
 * Returns baggage with the overrides behind what others wrote, which stays byte for byte.
 *
 * Where all would have over 8192 bytes, others' last members go, then the last overrides; `drop` is told of each.
 */
export function appendToBaggage(others: string, overrides: Overrides, drop: (problem: Problem) => void): string {
  const own = bounded(overrides, drop);
  const members = others.split(",").filter((member) => member && isHeaderText(member, drop));
  let length = members.reduce((sum, member) => sum + member.length + 1, own.length);
  while (members.length > 0 && length > HEADER_MAX) {
    const what = members.pop() ?? "";
    length -= what.length + 1;
    drop({ what, why: `with the overrides the baggage would have over ${HEADER_MAX} bytes` });
  }
  return [...members, ...(own ? [own] : [])].join(",");
}

/** Writes one override as a member. */
export function encode(override: Override): string {
  const { kind, subject, value } = override;
  return `${keyOf(kind, subject)}=${kind === "config" ? percentEncoded(value) : value}`;
}

/** Decodes what is percent-encoded; undefined if the bytes are no UTF-8. */
export function percentDecoded(value: string): string | undefined {
  if (!NEEDS_DECODING.test(value)) return value;
  const bytes = value
    .replace(/[^\0-\xff]/g, "?")
    .replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return utf8(Buffer.from(bytes, "latin1"));
}

/** Decodes bytes; undefined if they are no UTF-8. */
export function utf8(bytes: Uint8Array): string | undefined {
  try {
    return UTF_8.decode(bytes);
  } catch {
    return undefined;
  }
}

function bounded(overrides: Overrides, drop: (problem: Problem) => void): string {
  const kept: string[] = [];
  let length = -1;
  for (const one of overrides) {
    const member = encode(one);
    if (kept.length < ENTRIES_MAX && length + 1 + member.length <= HEADER_MAX) {
      kept.push(member);
      length += 1 + member.length;
    } else {
      drop({ what: member, why: `at most ${ENTRIES_MAX} overrides in ${HEADER_MAX} bytes are possible` });
    }
  }
  return kept.join(",");
}

function isHeaderText(member: string, drop: (problem: Problem) => void): boolean {
  if (!NO_HEADER_TEXT.test(member)) return true;
  drop({ what: member, why: "it holds characters that no header may hold" });
  return false;
}

function ownEntries(header: string): Entry[] {
  const entries: Entry[] = [];
  for (const member of header.split(",")) {
    const [pair = ""] = member.split(";", 1);
    const equals = pair.indexOf("=");
    const key = trimmed(equals < 0 ? pair : pair.slice(0, equals));
    if (key.startsWith(PREFIX))
      entries.push([key, equals < 0 ? undefined : decoded(key, trimmed(pair.slice(equals + 1)))]);
  }
  return entries;
}

/** Decodes a flag's value, which may be any text; all others are written as they are. */
function decoded(key: string, value: string): string | undefined {
  return key.startsWith(`${PREFIX}config.`) ? percentDecoded(value) : value;
}

/** Takes away optional white space, which is space and tab only; a loop, for a pattern takes quadratic time. */
function trimmed(text: string): string {
  let [start, end] = [0, text.length];
  while (start < end && isSpace(text.charCodeAt(start))) start++;
  while (start < end && isSpace(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

function percentEncoded(value: string): string {
  return encodeURIComponent(value).replace(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`);
}
