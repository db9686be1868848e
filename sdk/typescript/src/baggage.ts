/**
 * The W3C `baggage` header (https://www.w3.org/TR/baggage/, section 3.3).
 *
 * A member is `key=value`, followed by properties after semicolons. Keys and values may be percent-encoded, more than
 * once if propagators do that. Of duplicates the last one wins. Headers are strings as Node's HTTP decodes them: one
 * character per byte.
 */

import {
  type Entry,
  HEADER_MAX,
  type Override,
  PREFIX,
  type Parsed,
  type Problem,
  keyOf,
  readEntries,
} from "./overrides";

const UTF_8 = new TextDecoder("utf-8", { ignoreBOM: true });
const NO_HEADER_TEXT = /[^\t\x20-\x7e\x80-\xff]/;
const NAME_CHARACTER = /[A-Za-z0-9._-]/;
const DECODING_ROUNDS = 3;
const LONE_SURROGATES = /\p{Surrogate}/gu;
const FLAG = `${PREFIX}config.`;

/**
 * Reads the overrides of a request. Join several lines of the header with commas.
 *
 * Services read them even if the header is too long for sidecars.
 */
export function parseBaggage(header: string): Parsed {
  const entries = ownEntries(header);
  const parsed = readEntries(entries);
  if (header.length <= HEADER_MAX || entries.length === 0) return parsed;
  const why = `the baggage has ${header.length} bytes, and sidecars read at most ${HEADER_MAX}`;
  return { ...parsed, problems: [{ what: header, why }, ...parsed.problems] };
}

/**
 * Returns baggage with overrides appended; other members stay as they are, byte for byte.
 *
 * If the result would exceed 8192 bytes, the last other members are dropped, and `drop` is called for each. Overrides
 * are never dropped: if they alone are too long, the next sidecar refuses the request.
 */
export function appendToBaggage(others: string, own: Parsed, drop: (problem: Problem) => void): string {
  const ours = [...Array.from(own.overrides, encode), ...Array.from(own.unread, encodeUnread)].join(",");
  const members = others.split(",").filter((member) => member && isHeaderText(member, drop));
  let length = members.reduce((sum, member) => sum + member.length + 1, ours.length);
  while (members.length > 0 && length > HEADER_MAX) {
    const what = members.pop() ?? "";
    length -= what.length + 1;
    drop({ what, why: `with the overrides, the baggage would exceed ${HEADER_MAX} bytes` });
  }
  return [...members, ...(ours ? [ours] : [])].join(",");
}

/**
 * Returns the decoded key of an override, or undefined if the key is not an override's.
 *
 * Characters around the key are ignored, because another reader may ignore them, too.
 */
export function ownKey(key: string): string | undefined {
  if (!key.includes(PREFIX) && !key.includes("%")) return undefined;
  const bytes = decodedBytes(key, DECODING_ROUNDS);
  let [start, end] = [0, bytes.length];
  while (start < end && !NAME_CHARACTER.test(bytes[start] ?? "")) start++;
  while (start < end && !NAME_CHARACTER.test(bytes[end - 1] ?? "")) end--;
  const own = bytes.slice(start, end);
  return own.startsWith(PREFIX) ? asText(own) : undefined;
}

/** Returns an override as a member of the header. */
export function encode(override: Override): string {
  const { kind, subject, value } = override;
  return `${keyOf(kind, subject)}=${kind === "config" ? percentEncoded(value) : value}`;
}

function encodeUnread([key, text]: readonly [string, string]): string {
  return `${percentEncoded(key)}=${percentEncoded(text)}`;
}

/** Decodes bytes; those that are not valid UTF-8 become U+FFFD (W3C Baggage, section 3.3.1.3). */
export function utf8(bytes: Uint8Array): string {
  return UTF_8.decode(bytes);
}

/** Undoes percent-encoding; the result has one character per byte. */
function decodedBytes(text: string, rounds: number): string {
  let bytes = text.replace(/[^\0-\xff]/g, "?");
  for (let round = 0; round < rounds && bytes.includes("%"); round++) {
    bytes = bytes.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  }
  return bytes;
}

function asText(bytes: string): string {
  return utf8(Buffer.from(bytes, "latin1"));
}

function isHeaderText(member: string, drop: (problem: Problem) => void): boolean {
  if (!NO_HEADER_TEXT.test(member)) return true;
  drop({ what: member, why: "it contains characters that a header cannot contain" });
  return false;
}

function ownEntries(header: string): Entry[] {
  const entries: Entry[] = [];
  for (const member of header.split(",")) {
    const [pair = ""] = member.split(";", 1);
    const equals = pair.indexOf("=");
    const key = ownKey(equals < 0 ? pair : pair.slice(0, equals));
    if (key !== undefined)
      entries.push([key, equals < 0 ? undefined : decoded(key, trimmed(pair.slice(equals + 1)))]);
  }
  return entries;
}

/** Decodes a value. Propagators may encode a value again, but a flag's value may be any text and is decoded once. */
function decoded(key: string, value: string): string {
  return asText(decodedBytes(value, key.startsWith(FLAG) ? 1 : DECODING_ROUNDS));
}

/** Removes optional white space, which is space and tab only. A loop, because a pattern takes quadratic time. */
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
  return encodeURIComponent(value.replace(LONE_SURROGATES, "\ufffd")).replace(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`);
}
