/** The short notation of the command line: `users=pr-42`, `delay.payments=300ms`, `missing=baseline`. */

import { type Override, Overrides, PREFIX, isKind, readEntry } from "./overrides";

/**
 * Reads overrides that a person typed: one word, or several.
 *
 * @throws Error if a word is not an override; the message says which, and what was expected.
 */
export function parseWords(words: string | Iterable<string>): Overrides {
  return new Overrides(Array.from(typeof words === "string" ? [words] : words, override));
}

function override(word: string): Override {
  const text = word.startsWith(PREFIX) ? word.slice(PREFIX.length) : word;
  const equals = text.indexOf("=");
  const said = `${JSON.stringify(word)} is not an override`;
  if (equals < 0) throw new Error(`${said}: expected SERVICE=DEPLOYMENT, such as users=pr-42`);
  const [key, value] = [text.slice(0, equals), text.slice(equals + 1)];
  const [kind = ""] = key.split(".", 1);
  const read = readEntry(isKind(kind) ? PREFIX + key : `${PREFIX}route.${key}`, value);
  if (!("why" in read)) return read;
  const service = isKind(key) ? `; for a service called ${key}: route.${key}=${value}` : "";
  throw new Error(`${said}: ${read.why}${service}`);
}
