/**
 * Patches libraries when they are loaded, and names unsupported ones.
 *
 * A loaded library that loses overrides is named once, with a remedy: otherwise a test would pass on the baseline.
 * Node's own servers and clients need nothing here (`entries.ts`, `exits.ts`).
 */

import * as amqplib from "./amqplib";
import { CALLING_BACK, followInCallbacks, followInDispatching } from "./callbacks";
import * as grpc from "./grpc";
import * as kafkajs from "./kafkajs";
import { onLoad } from "./loading";
import { followIn, followInDispatcher } from "./proxies";
import * as sqs from "./sqs";
import { warnOnce } from "./reporting";

/** By package: the file to patch, by the end of its path, and the patch. */
const MENDS: Readonly<Record<string, readonly [file: RegExp, follow: (module: never) => void]>> = {
  amqplib: [/lib[\\/](?:channel|callback)_model\.js$/, amqplib.followInAll],
  "@aws-sdk/client-sqs": [/dist-cjs[\\/]index\.js$/, sqs.followInAll],
  "@grpc/grpc-js": [/src[\\/]index\.js$/, grpc.followInAll],
  kafkajs: [/kafkajs[\\/]index\.js$/, kafkajs.followInAll],
  undici: [/undici[\\/]index\.js$/, followInUndici],
};

/** Libraries whose messages carry overrides with these instrumentations. */
const INSTRUMENTED: Readonly<Record<string, string>> = {
  "@aws-sdk/client-lambda": "@opentelemetry/instrumentation-aws-sdk",
  "@aws-sdk/client-sns": "@opentelemetry/instrumentation-aws-sdk",
  bullmq: "bullmq-otel",
  "socket.io": "@opentelemetry/instrumentation-socket.io",
};

/** Libraries whose messages carry nothing, with any instrumentation. */
const BY_HAND = new Set([
  "@azure/service-bus",
  "@confluentinc/kafka-javascript",
  "@google-cloud/pubsub",
  "agenda",
  "amqp",
  "bee-queue",
  "bull",
  "mqtt",
  "nats",
  "node-rdkafka",
  "pg-boss",
  "rhea",
  "stompit",
  "zeromq",
]);

const loaded = new Set<string>();

let mending = false;

/** Enables the patches of libraries. Further calls have no effect. */
export function mend(): void {
  if (mending) return;
  mending = true;
  onLoad((name, path, module) => {
    const [file, follow] = MENDS[name] ?? [];
    if (file?.test(path)) attempt(name, () => follow?.(module as never));
    for (const [where, methods] of CALLING_BACK[name] ?? []) {
      if (where.test(path)) attempt(name, () => followInCallbacks(module, methods));
    }
    if (loaded.has(name)) return;
    loaded.add(name);
    const text = lossOf(name);
    // An instrumentation may be loaded after the library that it instruments, from one list of names.
    if (text) setImmediate(() => lossOf(name) && warnOnce(text));
  });
}

/** A library with an unknown structure stays unpatched, and the service starts. */
function attempt(name: string, step: () => void): void {
  try {
    step();
  } catch (error) {
    warnOnce(`overrides may be lost in ${name}, because detour-mesh does not support its version: ${String(error)}`);
  }
}

function lossOf(name: string): string {
  const instrumentation = INSTRUMENTED[name];
  if (instrumentation && !loaded.has(instrumentation))
    return `overrides are lost in ${name}: npm install ${instrumentation}, and register it with OpenTelemetry`;
  if (BY_HAND.has(name))
    return `overrides are lost in messages of ${name}: send carried() with them, and handle them in underCarried()`;
  return "";
}

interface Undici {
  readonly Agent: { readonly prototype: Parameters<typeof followIn>[0] };
  readonly Client: { readonly prototype: object };
}

/** Sends the calls of the service's own dispatchers through the sidecar, like those of `fetch`. */
function followInUndici({ Agent, Client }: Undici): void {
  followInDispatching(Client.prototype);
  followIn(Agent.prototype);
  followInDispatcher();
}
