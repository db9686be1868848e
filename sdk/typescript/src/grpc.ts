/**
 * gRPC with `@grpc/grpc-js`: each call carries the overrides of the request that makes it, traced or not.
 *
 * A call may wait for a connection that another request has started, and then continues in that request's context. So
 * overrides are written when the call starts. Servers use `node:http2`, see `entries.ts`.
 */

import { bound } from "./emitters";
import { BAGGAGE, leaving } from "./propagator";

/** The parts of a call's metadata that are needed. */
interface Metadata {
  get(name: string): unknown[];
  set(name: string, value: string): void;
  clone(): Metadata;
}

/** The listener for a call's responses. */
type Listener = Record<string, unknown>;

interface Call {
  start(metadata: Metadata, listener: Listener): unknown;
}

/** The parts of the library that are needed. */
interface Library {
  readonly Channel: { readonly prototype: { createCall(...args: unknown[]): Call } };
}

/** Makes every channel carry overrides; `grpc` is the module `@grpc/grpc-js`. */
export function followInAll({ Channel }: Library): void {
  const { prototype } = Channel;
  const { createCall } = prototype;
  prototype.createCall = function (...args) {
    const call = createCall.apply(this, args);
    const { start } = call;
    call.start = function (this: Call, metadata, listener) {
      return start.call(this, carrying(metadata), listening(listener));
    };
    return call;
  };
}

/** Copies the metadata: a service may use one object for several calls. */
function carrying(metadata: Metadata): Metadata {
  const header = leaving(metadata.get(BAGGAGE));
  if (!header) return metadata;
  const own = metadata.clone();
  own.set(BAGGAGE, header);
  return own;
}

/** Responses are handled in the request that calls, not in the one that opened the connection. */
function listening(listener: Listener): Listener {
  const names = ["onReceiveMetadata", "onReceiveMessage", "onReceiveStatus"];
  const own = names.filter((name) => typeof listener[name] === "function");
  const hearing = (name: string) => bound((listener[name] as (...args: unknown[]) => unknown).bind(listener));
  return Object.assign(Object.create(listener), Object.fromEntries(own.map((name) => [name, hearing(name)])));
}
