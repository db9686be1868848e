/** Describes code that uses overrides which have ended: its place, and the resource that called it. */

import { executionAsyncResource } from "node:async_hooks";
import { sep } from "node:path";
import { type Overrides, keyOf } from "./overrides";
import { afterResponse } from "./scopes";
import { warnOnce } from "./reporting";

const OWN = __dirname + sep;
const FRAMES_MAX = 50;
const SHOWN_MAX = 3;

/** Warns once for each place in the code that it no longer carries these overrides. */
export function warnOver(overrides: Overrides): void {
  const names = Array.from(overrides, ({ kind, subject, value }) => `${keyOf(kind, subject)}=${value}`);
  const shown = names.slice(0, SHOWN_MAX).join(", ") + (names.length > SHOWN_MAX ? ", ..." : "");
  const carrier = nameOfCarrier();
  const text =
    `it no longer carries ${shown}. If it is meant to outlive requests, start it within detached()`;
  warnOnce(`${carrier} outlived its request by more than ${afterResponse() / 1000} s: ${text}`, carrier);
}

/** Warns once for each place in the code that it calls without overrides, because several requests share its caller.
*/
export function warnShared(name: string): void {
  const place = placeInStack() || nameOfCarrier();
  warnOnce(
    `${place} calls without overrides: it is called back by a ${name} that several requests use, so its request is ` +
      "unknown. Await a promise there, or use AsyncResource.bind(callback); if it serves all requests, open it " +
      "within detached()",
    `${place} calls back`,
  );
}

function nameOfCarrier(): string {
  const place = placeInStack();
  const resource = nameOfResource();
  if (place && resource) return `${resource} (${place})`;
  return place || resource || "something";
}

/** The resource that called the code, such as a timer, a message port or a socket; "" if Node does not expose it. */
function nameOfResource(): string {
  const resource = executionAsyncResource() as { _repeat?: unknown; _onTimeout?: { name?: string } } | undefined;
  const name = resource?.constructor?.name ?? "";
  if (name === "Timeout") return `${resource?._repeat ? "setInterval" : "setTimeout"} ${resource?._onTimeout?.name ?? ""}`.trim();
  return name === "Object" || name === "Promise" || name === "PROMISE" ? "" : name;
}

/** The innermost stack line of the service's own code, else of a library's. */
function placeInStack(): string {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = FRAMES_MAX;
  const lines = new Error().stack?.split("\n").slice(1) ?? [];
  Error.stackTraceLimit = stackTraceLimit;
  const foreign = lines.filter((line) => !line.includes(OWN) && !line.includes("node:") && line.includes(":"));
  const found = foreign.find((line) => !line.includes("node_modules")) ?? foreign[0];
  return found?.trim().replace(/^at (async )?/, "") ?? "";
}
