/**
 * Mending libraries when they are loaded, and naming those that nothing mends.
 *
 * A library that a service loads and through which overrides get lost is named once, with what helps: else a test
 * would pass on the baseline. Node's own servers and clients need nothing here (`entries.ts`, `exits.ts`).
 */

import * as amqplib from "./amqplib";
import { CALLING_BACK, followInCallbacks, followInDispatching } from "./callbacks";
import * as grpc from "./grpc";
import * as kafkajs from "./kafkajs";
import { onLoad } from "./loading";
import { followIn, followInDispatcher } from "./proxies";
import * as sqs from "./sqs";
import { tellOnce } from "./telling";

/** The file of a package that is mended, by the end of its path, and how. */
const MENDS: Readonly<Record<string, readonly [file: RegExp, follow: (module: never) => void]>> = {
  amqplib: [/lib[\\/](?:channel|callback)_model\.js$/, amqplib.followInAll],
  "@aws-sdk/client-sqs": [/dist-cjs[\\/]index\.js$/, sqs.followInAll],
  "@grpc/grpc-js": [/src[\\/]index\.js$/, grpc.followInAll],
  kafkajs: [/kafkajs[\\/]index\.js$/, kafkajs.followInAll],
  undici: [/undici[\\/]index\.js$/, followInUndici],
};

/** Libraries whose messages carry overrides by what is named here. */
const INSTRUMENTED: Readonly<Record<string, string>> = {
  "@aws-sdk/client-lambda": "@opentelemetry/instrumentation-aws-sdk",
  "@aws-sdk/client-sns": "@opentelemetry/instrumentation-aws-sdk",
  bullmq: "bullmq-otel",
  "socket.io": "@opentelemetry/instrumentation-socket.io",
};

/** Libraries whose messages carry nothing, whatever is installed. */
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

/** Switches the mends of libraries on; again does no more. */
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
    // An instrumentation may be loaded behind what it instruments, from one list of names.
    if (text) setImmediate(() => lossOf(name) && tellOnce(text));
  });
}

/** A library that has another form than the one that is known stays as it is, and the service starts. */
function attempt(name: string, step: () => void): void {
  try {
    step();
  } catch (error) {
    tellOnce(`overrides may be lost in ${name}, whose version detour-mesh does not know: ${String(error)}`);
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

/** Dispatchers of the service's own go through the sidecar, as that of `fetch` does. */
function followInUndici({ Agent, Client }: Undici): void {
  followInDispatching(Client.prototype);
  followIn(Agent.prototype);
  followInDispatcher();
}
