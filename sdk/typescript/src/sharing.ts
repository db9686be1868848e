/**
 * Connections that several requests use: what comes in by one is heard without overrides.
 *
 * Node has the events of a connection heard in the context of whoever opened it. In a pool that is one request, and
 * its overrides would be in the callbacks of all others. So a connection is its request's own until another one uses
 * it as well, or until the response is complete. Promises are not concerned; callbacks of libraries that are known
 * run as the request that gave them (`callbacks.ts`).
 */

import { type Context, context, createContextKey } from "@opentelemetry/api";
import childProcess from "node:child_process";
import dgram from "node:dgram";
import type { EventEmitter } from "node:events";
import { syncBuiltinESMExports } from "node:module";
import net from "node:net";
import tls from "node:tls";
import { Worker } from "node:worker_threads";
import { withoutRequest } from "./request";
import { type Scope, scopeOf } from "./scopes";

/** Says that code was called by something that several requests use; the value names it. */
const SHARED = createContextKey("detour-shared");

/** What is known of a connection: the request that opened it, and whether others use it. */
interface Use {
  readonly opener: Scope | undefined;
  isShared: boolean;
}

const USE = Symbol("detour-use");

interface Used extends EventEmitter {
  [USE]?: Use;
}

type Method = (this: Used, ...args: unknown[]) => unknown;

/** Events that tell what comes in, or that nothing will any more; all others are heard where they are caused. */
const COMING_IN: ReadonlySet<unknown> = new Set(
  ["close", "data", "disconnect", "end", "error", "exit", "message", "messageerror", "readable"],
);

/** Has connections, and whatever else answers several requests, keep them apart. */
export function followInConnections(): void {
  follow("connection", net.Socket.prototype, ["connect"], ["write"]);
  follow("socket", dgram.Socket.prototype, ["bind", "connect", "send"], []);
  follow("child process", childProcess.ChildProcess.prototype, ["spawn"], ["send"]);
  follow("worker thread", Worker.prototype, ["postMessage"], []);
  followOnOtherConnections();
  syncBuiltinESMExports();
}

/** Returns what has called the code that runs, if several requests use it; else "". */
export function sharedIn(of: Context): string {
  return (of.getValue(SHARED) as string | undefined) ?? "";
}

/**
 * Sockets that a server accepted are not opened here, and stay what they are: `entries.ts` sees to them.
 *
 * @param opening - The methods with which the use of one begins.
 * @param using - Others.
 */
function follow(name: string, prototype: object, opening: readonly string[], using: readonly string[]): void {
  const methods = prototype as Record<string, Method>;
  for (const method of [...opening, ...using]) {
    const own = methods[method] as Method;
    methods[method] = function (...args) {
      noteUse(this, opening.includes(method));
      const result = own.apply(this, args);
      if (method === "spawn") shareStreams(this as Used & childProcess.ChildProcess);
      return result;
    };
  }
  const holder = prototype as EventEmitter;
  const { emit } = holder;
  holder.emit = function (this: Used, event: string | symbol, ...args: unknown[]) {
    if (!COMING_IN.has(event) || !isShared(this)) return emit.call(this, event, ...args);
    const active = context.active();
    if (!scopeOf(active)) return emit.call(this, event, ...args);
    return context.with(withoutRequest(active).setValue(SHARED, name), () => emit.call(this, event, ...args));
  };
}

function isShared({ [USE]: use }: Used): boolean {
  return use !== undefined && (use.isShared || use.opener?.isComplete === true);
}

function noteUse(used: Used, isOpening: boolean): void {
  const use = used[USE];
  if (use?.isShared || (!use && !isOpening)) return;
  const user = scopeOf(context.active());
  if (!use) used[USE] = { opener: user, isShared: false };
  else if (use.opener !== user) use.isShared = true;
}

/** TLS on a connection that is there: that one's use is its. */
function followOnOtherConnections(): void {
  const module = tls as { connect: (...args: unknown[]) => Used };
  const { connect } = module;
  module.connect = (...args) => {
    const made = connect(...args);
    noteUse(made, true);
    return made;
  };
}

/** The streams of a child process are as much everybody's as it is. */
function shareStreams(child: Used & childProcess.ChildProcess): void {
  const use = child[USE];
  for (const stream of child.stdio ?? []) if (stream && use) (stream as Used)[USE] = use;
}
