/** What several tests need. */

import { type Context, ROOT_CONTEXT, propagation } from "@opentelemetry/api";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Overrides } from "../src/overrides";
import { keyOf } from "../src/overrides";

/** Reads one of the files of vectors that all languages share. */
export function vectors<T>(name: string): T[] {
  return JSON.parse(readFileSync(join(__dirname, "../../../vectors", name), "utf8")) as T[];
}

/** Returns overrides as the vectors write them. */
export function plain(overrides: Overrides): Record<string, string> {
  return Object.fromEntries(Array.from(overrides, ({ kind, subject, value }) => [keyOf(kind, subject), value]));
}

/** Returns the context of a request that came with these headers. */
export function entered(headers: Record<string, unknown>): Context {
  return propagation.extract(ROOT_CONTEXT, headers);
}

/** Returns the headers that leave a service under a context. */
export function leaving(context: Context): Record<string, string> {
  const headers: Record<string, string> = {};
  propagation.inject(context, headers);
  return headers;
}

/** Collects the warnings that a function causes; none may be missed, so it waits for those in flight. */
export async function warningsOf(fn: () => unknown): Promise<string[]> {
  const heard: string[] = [];
  const hear = (warning: Error) => heard.push(warning.message);
  process.on("warning", hear);
  try {
    await fn();
    await new Promise(setImmediate);
  } finally {
    process.off("warning", hear);
  }
  return heard;
}
