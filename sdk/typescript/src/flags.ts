/**
 * Flags per request: `override.config.<flag>`, whose text is converted to the type that the service requests.
 *
 * Booleans are `true`, `on`, `1` and `false`, `off`, `0`, in any case; numbers are JSON's; objects are JSON objects
 * and arrays. All languages convert in the same way (`sdk/vectors/flags.json`).
 */

import { current } from "./request";
import { report } from "./reporting";

/** Why a text is not a value of a type: OpenFeature's error codes (specification 1.4, "Error Code"). */
type FlagFault = "PARSE_ERROR" | "TYPE_MISMATCH";

/** A flag's text is not a value of the requested type. */
export class FlagError extends Error {
  constructor(
    readonly fault: FlagFault,
    expected: string,
  ) {
    super(`expected ${expected}`);
  }
}

const BOOLEANS = new Map([
  ["true", true],
  ["on", true],
  ["1", true],
  ["false", false],
  ["off", false],
  ["0", false],
]);

const NUMBER = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$/;

/**
 * Returns the value of a flag in the current request, or the default.
 *
 * The default determines the type: boolean, string, number, array, or object. A text that is not a value of that type
 * is ignored, with one warning.
 */
export function flag(name: string, otherwise: boolean): boolean;
export function flag(name: string, otherwise: string): string;
export function flag(name: string, otherwise: number): number;
export function flag<T extends object>(name: string, otherwise: T): T;
export function flag(name: string, otherwise: unknown): unknown {
  try {
    return overridden(name, readerFor(otherwise)) ?? otherwise;
  } catch (error) {
    if (error instanceof FlagError) return otherwise;
    throw error;
  }
}

/**
 * Returns the value of a flag in the current request, or undefined if the request does not set it.
 *
 * @throws FlagError if its text is not a value of the requested type; this has been reported.
 */
export function overridden<T>(name: string, read: (text: string) => T): T | undefined {
  const text = current().value("config", name);
  if (text === undefined) return undefined;
  try {
    return read(text);
  } catch (error) {
    report([{ what: `override.config.${name}=${text}`, why: String((error as Error).message) }]);
    throw error;
  }
}

/** @throws FlagError */
export function readBoolean(text: string): boolean {
  const value = BOOLEANS.get(text.toLowerCase());
  if (value === undefined) throw new FlagError("PARSE_ERROR", "true, on, 1, false, off or 0");
  return value;
}

/** Every text is valid. */
export function readString(text: string): string {
  return text;
}

/** @throws FlagError */
export function readNumber(text: string): number {
  const value = NUMBER.test(text) ? Number(text) : Number.NaN;
  if (!Number.isFinite(value)) throw new FlagError("PARSE_ERROR", "a number, such as 0.25");
  return value;
}

/** @throws FlagError if the text is not a JSON object or array */
export function readObject(text: string): object {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new FlagError("PARSE_ERROR", "a JSON object or array");
  }
  if (typeof value !== "object" || value === null) throw new FlagError("TYPE_MISMATCH", "a JSON object or array");
  return value;
}

function readerFor(otherwise: unknown): (text: string) => unknown {
  if (typeof otherwise === "boolean") return readBoolean;
  if (typeof otherwise === "string") return readString;
  if (typeof otherwise === "number") return readNumber;
  return (text) => {
    const value = readObject(text);
    if (Array.isArray(value) === Array.isArray(otherwise)) return value;
    throw new FlagError("TYPE_MISMATCH", Array.isArray(otherwise) ? "a JSON array" : "a JSON object");
  };
}
