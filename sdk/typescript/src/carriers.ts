/** Names what carries overrides that are over: the code that used them, and what it was called by. */

import { executionAsyncResource } from "node:async_hooks";
import { sep } from "node:path";
import { type Overrides, keyOf } from "./overrides";
import { afterResponse } from "./scopes";
import { tellOnce } from "./telling";

const OWN = __dirname + sep;
const FRAMES_MAX = 50;
const SHOWN_MAX = 3;

/** Says once of each carrier that it no longer carries these overrides. */
export function tellOver(overrides: Overrides): void {
  const names = Array.from(overrides, ({ kind, subject, value }) => `${keyOf(kind, subject)}=${value}`);
  const shown = names.slice(0, SHOWN_MAX).join(", ") + (names.length > SHOWN_MAX ? ", ..." : "");
  const carrier = nameOfCarrier();
  const text =
    `it no longer carries ${shown}. If it is meant to outlive requests, start it within detached()`;
  tellOnce(`${carrier} outlived its request by more than ${afterResponse() / 1000} s: ${text}`, carrier);
}

/** Says once of each place that it calls without overrides because several requests use what has called it. */
export function tellShared(name: string): void {
  const place = placeInStack() || nameOfCarrier();
  tellOnce(
    `${place} calls without overrides: it is called back by a ${name} that several requests use, and may be any ` +
      "one's. Await a promise there, or give it AsyncResource.bind(callback); if it is nobody's, open that within detached()",
    `${place} calls back`,
  );
}

function nameOfCarrier(): string {
  const place = placeInStack();
  const resource = nameOfResource();
  if (place && resource) return `${resource} (${place})`;
  return place || resource || "something";
}

/** A timer, a message port, a socket: what the code was called by; "" where Node does not say. */
function nameOfResource(): string {
  const resource = executionAsyncResource() as { _repeat?: unknown; _onTimeout?: { name?: string } } | undefined;
  const name = resource?.constructor?.name ?? "";
  if (name === "Timeout") return `${resource?._repeat ? "setInterval" : "setTimeout"} ${resource?._onTimeout?.name ?? ""}`.trim();
  return name === "Object" || name === "Promise" || name === "PROMISE" ? "" : name;
}

/** The innermost line of the service's own code, else of a library's. */
function placeInStack(): string {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = FRAMES_MAX;
  const lines = new Error().stack?.split("\n").slice(1) ?? [];
  Error.stackTraceLimit = stackTraceLimit;
  const foreign = lines.filter((line) => !line.includes(OWN) && !line.includes("node:") && line.includes(":"));
  const found = foreign.find((line) => !line.includes("node_modules")) ?? foreign[0];
  return found?.trim().replace(/^at (async )?/, "") ?? "";
}
