/**
 * Requests to Node's own servers: each is handled with the overrides in its headers and no others, with OpenTelemetry
 * or without, traced or not.
 *
 * All frameworks use these servers (`node:http`, `node:https`, `node:http2`), so everything that they do for a
 * request runs in its scope: synchronous handlers, and later events of its streams, request and response. Servers are
 * patched at their prototypes, which works in bundles and in any import order.
 */
import { type Context, context } from "@opentelemetry/api";
import type { EventEmitter } from "node:events";
import http from "node:http";
import http2 from "node:http2";
import https from "node:https";
import { keepUnder } from "./emitters";
import { OPENTRACING } from "./opentracing";
import { BAGGAGE, entered } from "./propagator";
import { withoutRequest } from "./request";
import { Scope, withScope } from "./scopes";

type Emit = (this: unknown, event: string | symbol, ...args: unknown[]) => boolean;

/** OpenTelemetry's instrumentations mark what they have wrapped, to unwrap it later. */
interface Wrapped {
  __original?: Emit;
}

/** The events of a server for a request; the arguments are the request, and the response or the socket. */
const OF_HTTP: ReadonlySet<unknown> = new Set(["request", "checkContinue", "checkExpectation", "upgrade", "connect"]);
const OF_HTTP2: ReadonlySet<unknown> = new Set([...OF_HTTP, "stream"]);

const MAY_CARRY = /override|%/;

/** Each prototype's outermost `emit`. */
const outermost = new WeakMap<object, Emit>();

/** The scopes of requests that are being served, by request or stream. */
const scopes = new WeakMap<object, Scope>();

/** Whether any request has ever had overrides: until then, none can leak into another request. */
let seen = false;

/** Makes the servers of this process follow overrides. */
export function followInServers(): void {
  cover(http.Server.prototype, OF_HTTP);
  cover(https.Server.prototype, OF_HTTP);
  for (const prototype of prototypesOfHttp2()) cover(prototype, OF_HTTP2);
}

/** Node does not export the classes of these servers; one that never listens has no socket. */
function prototypesOfHttp2(): object[] {
  return [http2.createServer(), http2.createSecureServer()].map((server) => Object.getPrototypeOf(server) as object);
}

function cover(prototype: object, events: ReadonlySet<unknown>): void {
  const holder = prototype as { emit: Emit };
  let { emit } = holder;
  if (outermost.get(prototype) === emit) return;
  const covering: Emit & Wrapped = function (event, ...args) {
    // An instrumentation that was installed later precedes this. It would run listeners in a context of its own.
    if (event === "listening") cover(prototype, events);
    if (!events.has(event)) return emit.call(this, event, ...args);
    return serve(args[0] as Arrived, args, () => emit.call(this, event, ...args));
  };
  const { __original } = emit as Emit & Wrapped;
  if (__original) {
    const __unwrap = () => {
      emit = __original;
    };
    Object.assign(covering, { __original, __unwrap, __wrapped: true });
  }
  outermost.set(prototype, covering);
  holder.emit = covering;
}

/** A request, or an HTTP/2 stream whose headers are the next argument. */
interface Arrived extends EventEmitter {
  readonly headers?: http.IncomingHttpHeaders;
  readonly stream?: object;
}

function serve(arrived: Arrived, args: unknown[], run: () => boolean): boolean {
  const headers = (arrived.headers ?? args[1] ?? {}) as http.IncomingHttpHeaders;
  seen ||= mayCarry(headers);
  if (!seen || isServed(arrived)) return run();
  const scope = new Scope(headers[BAGGAGE] as string | undefined);
  scopes.set(arrived, scope);
  const under = contextOf(headers, scope);
  const emitters = [arrived, args[1]].filter(isEmitter);
  for (const emitter of emitters) keepUnder(emitter, under, scope);
  // Other listeners, including those of the request's own close event, still have to run.
  emitters.at(-1)?.once("close", () => setImmediate(() => scope.complete()));
  return context.with(under, run);
}

/** Whether the request is already being served: an inner server's event, or HTTP/2 through the HTTP/1 API. */
function isServed(arrived: Arrived): boolean {
  return scopes.has(arrived) || (arrived.stream !== undefined && scopes.has(arrived.stream));
}

function contextOf(headers: http.IncomingHttpHeaders, scope: Scope): Context {
  const base = withScope(withoutRequest(context.active()), scope);
  return mayCarry(headers) ? entered(base, headers) : base;
}

/** A cheap check that rejects nearly every request. Keys may be percent-encoded. */
function mayCarry(headers: http.IncomingHttpHeaders): boolean {
  const baggage = headers[BAGGAGE] as string | undefined;
  return (baggage !== undefined && MAY_CARRY.test(baggage)) || headers[OPENTRACING] !== undefined;
}

function isEmitter(value: unknown): value is EventEmitter {
  return typeof (value as EventEmitter | undefined)?.once === "function";
}
