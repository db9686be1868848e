/**
 * Connections that several requests use: their incoming events are handled without overrides.
 *
 * Node handles the events of a connection in the context that opened it. In a pool that is one request, and its
 * overrides would apply in the callbacks of all others. So a connection belongs to its request until another request
 * uses it as well, or until the response is complete. Promises are not affected; callbacks of supported libraries run
 * in the request that registered them (`callbacks.ts`).
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

/** Marks code that a resource shared by several requests has called; the value names the resource. */
const SHARED = createContextKey("detour-shared");

/** The use of a connection: the request that opened it, and whether others use it. */
interface Use {
  readonly opener: Scope | undefined;
  isShared: boolean;
}

const USE = Symbol("detour-use");

interface Used extends EventEmitter {
  [USE]?: Use;
}

type Method = (this: Used, ...args: unknown[]) => unknown;

/** Events for incoming data, or its end; all other events run in the context that causes them. */
const COMING_IN: ReadonlySet<unknown> = new Set(
  ["close", "data", "disconnect", "end", "error", "exit", "message", "messageerror", "readable"],
);

/** Separates the requests that share connections and other resources. */
export function followInConnections(): void {
  follow("connection", net.Socket.prototype, ["connect"], ["write"]);
  follow("socket", dgram.Socket.prototype, ["bind", "connect", "send"], []);
  follow("child process", childProcess.ChildProcess.prototype, ["spawn"], ["send"]);
  follow("worker thread", Worker.prototype, ["postMessage"], []);
  followOnOtherConnections();
  syncBuiltinESMExports();
}

/** Returns the shared resource that called the running code, or "". */
export function sharedIn(of: Context): string {
  return (of.getValue(SHARED) as string | undefined) ?? "";
}

/**
 * Sockets that a server accepted are not opened here and are not affected: see `entries.ts`.
 *
 * @param opening - The methods that start the use of a resource.
 * @param using - Other methods.
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

/** TLS over an existing connection: using one uses the other. */
function followOnOtherConnections(): void {
  const module = tls as { connect: (...args: unknown[]) => Used };
  const { connect } = module;
  module.connect = (...args) => {
    const made = connect(...args);
    noteUse(made, true);
    return made;
  };
}

/** The streams of a child process are shared like the process itself. */
function shareStreams(child: Used & childProcess.ChildProcess): void {
  const use = child[USE];
  for (const stream of child.stdio ?? []) if (stream && use) (stream as Used)[USE] = use;
}
