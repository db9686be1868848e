/**
 * Saying what was ignored: each thing once, as a warning of the process's (`process.on("warning")` hears it too).
 */

import { type Problem, inWords } from "./overrides";

const REMEMBERED_MAX = 1024;
const AT_ONCE_MAX = 3;

const told = new Set<string>();

/** Says what of a request is ignored: a client that is wrong is so in every request, and is told of once. */
export function tell(problems: readonly Problem[]): void {
  const fresh = problems.slice(0, AT_ONCE_MAX).map(inWords).filter(isFresh);
  if (fresh.length > 0) warn(`of a request's overrides ${fresh.join("; ")}`);
}

/** Says something once; of what has one key the first alone. */
export function tellOnce(text: string, key = text): void {
  if (isFresh(key)) warn(text);
}

function warn(text: string): void {
  process.emitWarning(text, "DetourWarning");
}

function isFresh(text: string): boolean {
  if (told.has(text)) return false;
  if (told.size >= REMEMBERED_MAX) told.clear();
  told.add(text);
  return true;
}
