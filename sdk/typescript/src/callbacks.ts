/**
 * Clients that call back from a connection that several requests share: each callback runs in its own request.
 *
 * Callbacks that they receive, and emitters that they return, stay in the request's scope. Promises need nothing.
 */

import { EventEmitter } from "node:events";
import { bound, keepHere } from "./emitters";

type Method = (this: object, ...args: unknown[]) => unknown;
type Methods = Record<string, Method | undefined>;

/** The parts of a client's arguments that are needed: a query may contain the callback, or be an emitter. */
interface Given {
  callback?: unknown;
  userCallback?: unknown;
  submit?: unknown;
}

const PG = ["connect", "end", "query"];
const MYSQL = ["beginTransaction", "changeUser", "commit", "connect", "end", "ping", "query", "rollback", "statistics"];
const MYSQL_POOL = ["acquireConnection", "end", "execute", "getConnection", "query"];

/** By package: files, by the ends of their paths, and the methods of their exports that take callbacks. */
export const CALLING_BACK: Readonly<Record<string, readonly (readonly [file: RegExp, methods: readonly string[]])[]>> = {
  amqplib: [
    [/lib[\\/]channel\.js$/, ["_rpc"]],
    [/lib[\\/]callback_model\.js$/, ["createChannel", "createConfirmChannel", "get", "waitForConfirms"]],
  ],
  mysql: [
    [/lib[\\/]Connection\.js$/, MYSQL],
    [/lib[\\/]Pool(?:Namespace)?\.js$/, MYSQL_POOL],
  ],
  mysql2: [
    [/lib[\\/](?:base[\\/])?connection\.js$/, [...MYSQL, "execute", "prepare"]],
    [/lib[\\/](?:base[\\/])?pool(?:_namespace)?\.js$/, MYSQL_POOL],
  ],
  pg: [[/lib[\\/](?:native[\\/])?client\.js$/, PG]],
  "pg-cursor": [[/pg-cursor[\\/]index\.js$/, ["close", "read"]]],
  "pg-pool": [[/pg-pool[\\/]index\.js$/, PG]],
  postgres: [[/cjs[\\/]src[\\/]query\.js$/, ["cursor", "forEach"]]],
  redis: [[/redis[\\/]index\.js$/, ["internal_send_command"]]],
  tedious: [[/lib[\\/]connection\.js$/, ["connect", "makeRequest"]]],
};

/** Makes the classes that a module exports call back in the request that called them. */
export function followInCallbacks(module: unknown, names: readonly string[]): void {
  const exported = module as { prototype?: unknown };
  for (const one of [exported, ...Object.values(exported ?? {})]) {
    const prototype = (one as { prototype?: Methods } | undefined)?.prototype;
    if (typeof one === "function" && prototype) names.forEach((name) => follow(prototype, name));
  }
}

const following = new WeakSet<object>();

function follow(prototype: Methods, name: string): void {
  if (!Object.hasOwn(prototype, name)) return;
  const own = prototype[name];
  if (typeof own !== "function" || following.has(own)) return;
  const method: Method = function (...args) {
    const result = own.apply(this, args.map(kept));
    if (result instanceof EventEmitter && result !== this && !args.includes(result)) keepHere(result);
    return result;
  };
  following.add(method);
  prototype[name] = method;
}

/** Returns the replacement for an argument. */
function kept(given: unknown): unknown {
  if (typeof given === "function") return bound(given as Method);
  if (typeof given !== "object" || given === null) return given;
  const one = given as Given;
  for (const key of ["callback", "userCallback"] as const) {
    if (typeof one[key] === "function") one[key] = bound(one[key] as Method);
  }
  if (given instanceof EventEmitter && !following.has(given)) {
    following.add(given);
    keepHere(given);
  }
  return given;
}

/** Runs undici's response handlers in the request that dispatches the call. */
export function followInDispatching(client: object): void {
  let holder = client as Methods;
  while (holder && !Object.hasOwn(holder, "dispatch")) holder = Object.getPrototypeOf(holder) as Methods;
  const own = holder?.dispatch;
  if (typeof own !== "function" || following.has(own)) return;
  const dispatch: Method = function (sent, handler, ...rest) {
    return own.call(this, sent, handling(handler), ...rest);
  };
  following.add(dispatch);
  holder.dispatch = dispatch;
}

/** A call that a pool passes to a client is wrapped once. */
function handling(handler: unknown): unknown {
  if (typeof handler !== "object" || handler === null || following.has(handler)) return handler;
  const run = bound((call: () => unknown) => call());
  const keeping = new Proxy(handler, {
    get(target, name) {
      const found: unknown = Reflect.get(target, name);
      if (typeof found !== "function") return found;
      return (...args: unknown[]) => run(() => (found as Method).apply(target, args));
    },
  });
  following.add(keeping);
  return keeping;
}
