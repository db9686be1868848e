/**
 * Calls by Node's own clients (`node:http`, `node:https`, `node:http2`, undici and thus `fetch`): each carries the
 * overrides of the request that makes it, with OpenTelemetry or without, traced or not.
 *
 * Overrides that an instrumentation or the service itself has written into the baggage stay.
 */

import { context } from "@opentelemetry/api";
import dc from "node:diagnostics_channel";
import http from "node:http";
import http2 from "node:http2";
import https from "node:https";
import { syncBuiltinESMExports } from "node:module";
import { keepHere, keepUnder } from "./emitters";
import { BAGGAGE, leaving } from "./propagator";
import { followInFetch, proxied, proxiedSession, warnOfBypass } from "./proxies";
import { scopeOf } from "./scopes";

/** Makes the clients of this process carry overrides. */
export function followInClients(): void {
  followInModule(http);
  followInModule(https);
  followBehindReferences();
  followInHttp2();
  followInUndici();
  followInFetch();
  syncBuiltinESMExports();
}

type Request = (...args: never[]) => http.ClientRequest;

/** Calls whose header has been processed, in the context that made them. */
const made = new WeakSet<object>();

function followInModule(module: { request: unknown; get: unknown }): void {
  const request = module.request as Request;
  const following = (...args: never[]): http.ClientRequest =>
    carrying(request(...(proxied(module === https, args) as never[])));
  module.request = following;
  // Node's own `get` calls an internal `request` that cannot be replaced.
  module.get = (...args: never[]) => {
    const call = following(...args);
    call.end();
    return call;
  };
}

/** Covers code that stored `request` before it was replaced: its headers are processed when they are sent. */
function followBehindReferences(): void {
  const prototype = http.ClientRequest.prototype as unknown as { _implicitHeader(): void };
  const { _implicitHeader } = prototype;
  prototype._implicitHeader = function (this: http.ClientRequest) {
    carrying(this);
    return _implicitHeader.call(this);
  };
}

function carrying(call: http.ClientRequest): http.ClientRequest {
  if (made.has(call)) return call;
  made.add(call);
  keepCall(call);
  const { _header } = call as unknown as { _header: string | null };
  if (_header) intoText(call as unknown as Written, _header);
  else if (call.getHeader) {
    const header = leaving(call.getHeader(BAGGAGE));
    if (header) call.setHeader(BAGGAGE, header);
  }
  return call;
}

/** Runs the listeners of a call and its response in the request that makes it, even on another one's connection. */
function keepCall(call: http.ClientRequest): void {
  const under = context.active();
  const scope = scopeOf(under);
  if (!scope || !call.emit) return;
  keepUnder(call, under, scope);
  const { emit } = call;
  call.emit = function (this: http.ClientRequest, event: string | symbol, ...args: unknown[]) {
    if (event === "response") keepUnder(args[0] as http.IncomingMessage, under, scope);
    return emit.call(this, event, ...args);
  };
}

/** A call whose headers are already text: in one buffer or, with `Expect`, the first item of the output. */
interface Written {
  _header: string;
  readonly outputData?: { data: unknown }[];
}

function intoText(call: Written, text: string): void {
  const before = /\r\nbaggage: ?(.*)\r\n/i.exec(text)?.[1];
  const header = leaving(before);
  if (!header) return;
  const others = before === undefined ? text : text.replace(/\r\nbaggage:.*(?=\r\n)/i, "");
  call._header = `${others.slice(0, -2)}${BAGGAGE}: ${header}\r\n\r\n`;
  for (const waiting of call.outputData ?? []) if (waiting.data === text) waiting.data = call._header;
}

/** grpc-js's user agent: its streams may start in another request's context, so `grpc.ts` handles its calls. */
const GRPC_JS = "grpc-node-js/";

/** Node does not export the class of these sessions, so the first session provides its prototype. */
function followInHttp2(): void {
  const { connect } = http2;
  let followed: object | undefined;
  const module = http2 as { connect: unknown };
  module.connect = (authority: string | URL, options?: object, ...rest: []) => {
    const isListener = typeof options === "function";
    const given = proxiedSession(authority, isListener ? {} : options);
    const session = connect(authority, given, ...(isListener ? [options as never] : rest));
    const prototype = Object.getPrototypeOf(session) as object;
    if (followed !== prototype && "request" in prototype) followSessions(prototype as never);
    followed = prototype;
    return session;
  };
}

type Outgoing = http2.OutgoingHttpHeaders | readonly string[] | undefined;

function followSessions(prototype: { request(headers?: Outgoing, ...rest: unknown[]): http2.ClientHttp2Stream }): void {
  const { request } = prototype;
  prototype.request = function (headers, ...rest) {
    const stream = request.call(this, isArray(headers) ? headersInList(headers) : headersInObject(headers), ...rest);
    keepHere(stream);
    return stream;
  };
}

function isArray(headers: Outgoing): headers is readonly string[] {
  return Array.isArray(headers);
}

function headersInList(headers: readonly string[]): readonly string[] {
  const at = headers.findIndex((name, index) => index % 2 === 0 && name.toLowerCase() === BAGGAGE);
  const header = leaving(at < 0 ? undefined : headers[at + 1]);
  if (!header) return headers;
  if (at < 0) return [...headers, BAGGAGE, header];
  return headers.map((one, index) => (index === at + 1 ? header : one));
}

function headersInObject(headers: http2.OutgoingHttpHeaders = {}): http2.OutgoingHttpHeaders {
  if (String(headers["user-agent"] ?? "").includes(GRPC_JS)) return headers;
  const name = Object.keys(headers).find((key) => key.toLowerCase() === BAGGAGE) ?? BAGGAGE;
  const header = leaving(headers[name]);
  return header ? { ...headers, [name]: header } : headers;
}

/** The parts of undici's request that are needed, with all formats that its headers have had. */
interface UndiciRequest {
  headers: string | unknown[];
  origin?: unknown;
  path?: string;
  addHeader?(name: string, value: string): unknown;
}

const CREATED = "undici:request:create";

/** Subscribes after all others, so that an instrumentation has already written the header. */
function followInUndici(): void {
  const channel = dc.channel(CREATED);
  const onCreated = (message: unknown) => inUndici((message as { request: UndiciRequest }).request);
  channel.subscribe(onCreated);
  const { subscribe } = channel;
  channel.subscribe = function (listener) {
    subscribe.call(channel, listener);
    subscribe.call(channel, onCreated);
    channel.unsubscribe(onCreated); // Removes the first of the two.
  };
}

function inUndici(request: UndiciRequest): void {
  warnOfBypass(request.origin, request.path);
  const header = leaving(undiciBaggage(request.headers));
  if (!header) return;
  if (typeof request.headers === "string") {
    request.headers = `${request.headers.replace(/^baggage:.*\r\n/gim, "")}${BAGGAGE}: ${header}\r\n`;
  } else {
    if (Array.isArray(request.headers)) request.headers = withoutBaggage(request.headers);
    if (request.addHeader) request.addHeader(BAGGAGE, header);
    else request.headers.push(BAGGAGE, header);
  }
}

function undiciBaggage(headers: string | unknown[]): string | undefined {
  if (typeof headers === "string") return /^baggage: ?(.*)\r$/im.exec(headers)?.[1];
  const values = headers.filter((_, index) => index % 2 === 1 && isBaggage(headers[index - 1]));
  return values.length > 0 ? values.map(String).join(",") : undefined;
}

function withoutBaggage(headers: unknown[]): unknown[] {
  return headers.filter((_, index) => !isBaggage(headers[index - (index % 2)]));
}

function isBaggage(name: unknown): boolean {
  return String(name).toLowerCase() === BAGGAGE;
}
