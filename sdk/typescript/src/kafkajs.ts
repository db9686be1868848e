/**
 * Kafka with kafkajs: each message carries overrides, and `eachMessage` handles each message with its own.
 *
 * With `eachBatch`, the service reads messages out of a batch itself, and calls `withMessage` for each.
 */

import { BAGGAGE } from "./propagator";
import { OPENTRACING } from "./opentracing";
import { type Headers, carried, underCarried } from "./request";

/** The parts of a message that are needed. */
interface Message {
  readonly headers?: Readonly<Record<string, unknown>> | undefined;
}

interface Sent {
  readonly messages?: readonly Message[];
}

interface Producer {
  send(sent: Sent): unknown;
  sendBatch(sent: { readonly topicMessages?: readonly Sent[] }): unknown;
  transaction?(...args: unknown[]): Promise<Producer>;
}

type EachMessage = (payload: { readonly message: Message }) => unknown;

interface Consumer {
  run(config?: { eachMessage?: EachMessage }): unknown;
}

/** The parts of the library that are needed. */
interface Library {
  readonly Kafka: {
    readonly prototype: { producer(...args: unknown[]): Producer; consumer(...args: unknown[]): Consumer };
  };
}

const CARRYING = [BAGGAGE, OPENTRACING];
const following = new WeakSet<object>();

/** Makes a producer or a consumer carry overrides; returns it. */
export function followOverrides<C extends object>(client: C): C {
  if (following.has(client)) return client;
  following.add(client);
  if ("run" in client) consuming(client as unknown as Consumer);
  if ("send" in client) producing(client as unknown as Producer);
  return client;
}

/** Runs a function with the overrides of a message, and no others. */
export function withMessage<M extends Message, T>(message: M, fn: (message: M) => T): T {
  return underCarried(textual(message.headers), () => fn(message));
}

/** Makes every producer and consumer that is created from now on follow overrides; `library` is `kafkajs`. */
export function followInAll({ Kafka }: Library): void {
  const { prototype } = Kafka;
  const { producer, consumer } = prototype;
  prototype.producer = function (...args) {
    return followOverrides(producer.apply(this, args));
  };
  prototype.consumer = function (...args) {
    return followOverrides(consumer.apply(this, args));
  };
}

function producing(producer: Producer): void {
  const { send, sendBatch, transaction } = producer;
  producer.send = (sent) => send.call(producer, sending(sent));
  producer.sendBatch = (sent) =>
    sendBatch.call(producer, sent.topicMessages ? { ...sent, topicMessages: sent.topicMessages.map(sending) } : sent);
  if (transaction) {
    producer.transaction = async (...args) => followOverrides(await transaction.apply(producer, args));
  }
}

/** Copies: an instrumentation writes into its argument, which a service may use for several requests. */
function sending<S extends Sent>(sent: S): S {
  const headers = carried();
  return sent.messages
    ? { ...sent, messages: sent.messages.map((one) => ({ ...one, headers: { ...one.headers, ...headers } })) }
    : sent;
}

function consuming(consumer: Consumer): void {
  const { run } = consumer;
  consumer.run = (config) => {
    const eachMessage = config?.eachMessage;
    if (!eachMessage) return run.call(consumer, config);
    return run.call(consumer, { ...config, eachMessage: (payload) => withMessage(payload.message, () => eachMessage(payload)) });
  };
}

/** Kafka's headers are bytes, possibly several with one name. */
function textual(headers: Message["headers"]): Headers {
  const found: Headers = {};
  for (const name of CARRYING) {
    const values = [headers?.[name] ?? []].flat().map(String);
    if (values.length > 0) found[name] = values.join(",");
  }
  return found;
}
