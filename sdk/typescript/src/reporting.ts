/**
 * Reports what was ignored: each problem once, as a process warning (`process.on("warning")` receives it, too).
 */

import { type Problem, inWords } from "./overrides";

const REMEMBERED_MAX = 1024;
const AT_ONCE_MAX = 3;

const reported = new Set<string>();

/** Reports what is ignored in a request, each problem once: a faulty client sends it in every request. */
export function report(problems: readonly Problem[]): void {
  const fresh = problems.slice(0, AT_ONCE_MAX).map(inWords).filter(isFresh);
  if (fresh.length > 0) warn(`of a request's overrides ${fresh.join("; ")}`);
}

/** Warns once for each key. */
export function warnOnce(text: string, key = text): void {
  if (isFresh(key)) warn(text);
}

function warn(text: string): void {
  process.emitWarning(text, "DetourWarning");
}

function isFresh(text: string): boolean {
  if (reported.has(text)) return false;
  if (reported.size >= REMEMBERED_MAX) reported.clear();
  reported.add(text);
  return true;
}
