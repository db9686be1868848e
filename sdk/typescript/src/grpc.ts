/**
 * gRPC by `@grpc/grpc-js`: each call carries the overrides of the request that makes it, traced or not.
 *
 * A call waits for a connection that another request may have begun, and goes on in that one's context. So overrides
 * are written where the call begins. Servers stand on `node:http2`, see `entries.ts`.
 */

import { bound } from "./emitters";
import { BAGGAGE, leaving } from "./propagator";

/** As much of a call's metadata as is needed. */
interface Metadata {
  get(name: string): unknown[];
  set(name: string, value: string): void;
  clone(): Metadata;
}

/** What hears of a call's answers. */
type Listener = Record<string, unknown>;

interface Call {
  start(metadata: Metadata, listener: Listener): unknown;
}

/** As much of the library as is needed. */
interface Library {
  readonly Channel: { readonly prototype: { createCall(...args: unknown[]): Call } };
}

/** Has every channel carry overrides; `grpc` is the module `@grpc/grpc-js`. */
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

/** A service may give one object with several calls. */
function carrying(metadata: Metadata): Metadata {
  const header = leaving(metadata.get(BAGGAGE));
  if (!header) return metadata;
  const own = metadata.clone();
  own.set(BAGGAGE, header);
  return own;
}

/** What comes in is heard as the request that calls, and not as the one that opened the connection. */
function listening(listener: Listener): Listener {
  const names = ["onReceiveMetadata", "onReceiveMessage", "onReceiveStatus"];
  const own = names.filter((name) => typeof listener[name] === "function");
  const hearing = (name: string) => bound((listener[name] as (...args: unknown[]) => unknown).bind(listener));
  return Object.assign(Object.create(listener), Object.fromEntries(own.map((name) => [name, hearing(name)])));
}
