/**
 * The path to the sidecar for clients that ignore `http_proxy`: `node:http`, `node:http2`, `fetch` and undici.
 *
 * If `http_proxy` names a proxy on the loopback interface, as beside a sidecar, plain HTTP goes there (RFC 9112,
 * section 3.2.2). Exceptions are `no_proxy`, the loopback interface, and clients that handle proxies themselves.
 * Any other proxy does not belong to Detour, and changes nothing.
 */

import type http from "node:http";
import { BlockList, connect, isIP } from "node:net";
import { urlToHttpOptions } from "node:url";
import { warnOnce } from "./reporting";

const LOOPBACK = /^(?:localhost|.*\.localhost|127(?:\.[0-9]{1,3}){3}|\[?::1\]?)$/i;
const DISPATCHER = Symbol.for("undici.globalDispatcher.1");

const { http_proxy, HTTP_PROXY, no_proxy, NO_PROXY } = process.env;
const PROXY = sidecarOf(http_proxy || HTTP_PROXY || "");
const DIRECT = directOf(no_proxy || NO_PROXY || "");

/** Makes `fetch` use the sidecar; the other clients call `proxied` themselves. */
export function followInFetch(): void {
  if (!PROXY || hasOwnProxies()) return;
  const { fetch } = globalThis;
  globalThis.fetch = (...args) => {
    void globalThis.Headers; // Node loads its undici when this is first accessed.
    followInDispatcher();
    return fetch(...args);
  };
}

/** Returns the arguments of `http.request`, changed to use the sidecar. */
export function proxied(isSecure: boolean, args: readonly unknown[]): readonly unknown[] {
  if (!PROXY || isSecure || hasOwnProxies()) return args;
  const [options, rest] = optionsOf(args);
  if (!options) return args;
  const { host, port, path } = options;
  const target = authorityOf(options.hostname || host || "localhost", port ?? options.defaultPort);
  const isOwn = options.socketPath || path?.startsWith("http:") || (options.protocol ?? "http:") !== "http:";
  if (isOwn || isDirect(target) || !isPlain(options)) return args;
  const headers = options.setHost === false ? options.headers : withHost(options.headers, target);
  const { hostname } = PROXY;
  const through = { host: hostname, hostname, port: PROXY.port, path: `http://${target}${path || "/"}`, headers };
  return [{ ...options, ...through }, ...rest];
}

/** Returns the options of `http2.connect`, changed to use the sidecar. */
export function proxiedSession(authority: unknown, options: { createConnection?: unknown } = {}): object {
  const url = urlOf(authority);
  if (!PROXY || url?.protocol !== "http:" || options.createConnection || isDirect(url.host)) return options;
  return { ...options, createConnection: () => connect(Number(PROXY?.port), PROXY?.hostname) };
}

/** The parts of undici's dispatch options that are needed. */
interface Dispatched {
  readonly origin?: unknown;
  readonly path?: string;
  readonly headers?: unknown;
}

/** Returns undici's dispatch options, changed to use the sidecar. */
function proxiedDispatch<D extends Dispatched>(sent: D): D {
  const url = urlOf(sent.origin);
  if (!PROXY || url?.protocol !== "http:" || isDirect(url.host) || sent.path?.startsWith("http:")) return sent;
  const headers = withHost(sent.headers, url.host);
  return { ...sent, origin: PROXY.origin, path: `${url.origin}${sent.path ?? "/"}`, headers };
}

interface Dispatcher {
  dispatch(sent: Dispatched, handler: unknown): boolean;
}

const following = new WeakSet<Dispatcher>();

/** Makes a dispatcher, or all of a class, use the sidecar. */
export function followIn(dispatcher: Dispatcher): void {
  if (!PROXY || following.has(dispatcher)) return;
  following.add(dispatcher);
  const { dispatch } = dispatcher;
  dispatcher.dispatch = function (sent, handler) {
    return dispatch.call(this, proxiedDispatch(sent), handler);
  };
}

/** The global dispatcher of `fetch` and undici; a proxy of the service's own stays. */
export function followInDispatcher(): void {
  const dispatcher = (globalThis as { [DISPATCHER]?: Dispatcher })[DISPATCHER];
  if (dispatcher?.constructor.name === "Agent") followIn(dispatcher);
}

/** Warns once for each host that calls to it bypass the sidecar, although they should not. */
export function warnOfBypass(origin: unknown, path = ""): void {
  if (!PROXY) return;
  const url = urlOf(origin);
  if (url?.protocol !== "http:" || path.startsWith("http:") || isDirect(url.host)) return;
  warnOnce(
    `calls to ${url.origin} bypass the sidecar and reach the baseline: an undici client for a single host, or a ` +
      "dispatcher of your own, ignores http_proxy; use undici's EnvHttpProxyAgent",
  );
}

function sidecarOf(text: string): URL | undefined {
  const url = urlOf(text.includes("://") || !text ? text : `http://${text}`);
  return url?.protocol === "http:" && LOOPBACK.test(url.hostname) ? url : undefined;
}

/** Node 24 and later can handle `http_proxy` themselves. */
function hasOwnProxies(): boolean {
  return process.env.NODE_USE_ENV_PROXY === "1" && Number(process.versions.node.split(".")[0]) >= 24;
}

type Options = http.RequestOptions & { readonly agent?: unknown; readonly setHost?: boolean };

/** Returns Node's interpretation of its arguments, and the remaining ones; undefined for arguments that Node refuses.
*/
function optionsOf([input, ...rest]: readonly unknown[]): [options: Options | undefined, rest: unknown[]] {
  const isUrl = typeof input === "string" || input instanceof URL;
  const url = isUrl ? urlOf(input) : undefined;
  if (isUrl && !url) return [undefined, rest];
  if (!isUrl) return [typeof input === "object" && input ? { ...input } : undefined, rest];
  const [options, ...others] = typeof rest[0] === "function" ? [{}, ...rest] : rest;
  // Without the symbols, because older Nodes would take the object for a URL again.
  const fromUrl = Object.fromEntries(Object.entries(urlToHttpOptions(url as URL)));
  return [{ ...fromUrl, ...(options as object | undefined) } as Options, others];
}

/** Whether a call would go directly to its host. Calls with a connection of their own keep it, except WebSockets. */
function isPlain({ agent, createConnection, headers }: Options): boolean {
  if (createConnection && !Object.keys(headers ?? {}).some((name) => name.toLowerCase() === "upgrade")) return false;
  if (typeof agent !== "object" || agent === null) return true;
  return !["proxy", "connect", "getUrlProxy"].some((name) => name in agent);
}

function withHost(headers: unknown, host: string): never {
  if (Array.isArray(headers)) {
    const isPairs = Array.isArray(headers[0]);
    const names = isPairs ? headers.map(([name]) => name) : headers.filter((_, index) => index % 2 === 0);
    if (names.some(isHost)) return headers as never;
    return (isPairs ? [["host", host], ...headers] : ["host", host, ...headers]) as never;
  }
  const isIterable = typeof (headers as Iterable<unknown> | undefined)?.[Symbol.iterator] === "function";
  const object = isIterable ? Object.fromEntries(headers as Iterable<[string, string]>) : (headers ?? {});
  return (Object.keys(object).some(isHost) ? object : { host, ...object }) as never;
}

function isHost(name: unknown): boolean {
  return String(name).toLowerCase() === "host";
}

function authorityOf(host: string, port: unknown): string {
  const name = isIP(host) === 6 ? `[${host}]` : host;
  return port && Number(port) !== 80 ? `${name}:${port}` : name;
}

function isDirect(authority: string): boolean {
  const url = urlOf(`http://${authority}`);
  return !url || LOOPBACK.test(url.hostname) || DIRECT(url.hostname, url.port || "80");
}

type IsDirect = (host: string, port: string) => boolean;

/** Parses `no_proxy` as curl does: names including subdomains, addresses, networks, each with a port or without. */
function directOf(text: string): IsDirect {
  const entries = text.toLowerCase().split(/[\s,]+/).filter(Boolean);
  const networks = new BlockList();
  for (const entry of entries) addNetwork(networks, entry);
  return (host, port) => {
    const name = host.replace(/^\[|\]$/g, "");
    const version = isIP(name);
    if (version && networks.check(name, version === 4 ? "ipv4" : "ipv6")) return true;
    return entries.some((entry) => entry === "*" || isBelow(name, port, entry));
  };
}

function isBelow(name: string, port: string, entry: string): boolean {
  const [, domain = "", only] = /^(?:\*?\.)?(.*?)(?::([0-9]+))?$/.exec(entry) ?? [];
  return (!only || only === port) && (name === domain || name.endsWith(`.${domain}`));
}

function addNetwork(networks: BlockList, entry: string): void {
  const [address = "", bits = ""] = entry.split("/");
  const version = isIP(address);
  if (!version) return;
  const family = version === 4 ? "ipv4" : "ipv6";
  if (/^[0-9]{1,2}$/.test(bits) && Number(bits) <= 32) networks.addSubnet(address, Number(bits), family);
  else if (!bits) networks.addAddress(address, family);
}

function urlOf(text: unknown): URL | undefined {
  try {
    return text instanceof URL ? text : new URL(String(text));
  } catch {
    return undefined;
  }
}
