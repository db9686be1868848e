/**
 * RabbitMQ by amqplib: overrides go out with what is published, and every message is handled under its own.
 *
 * OpenTelemetry's instrumentation (`@opentelemetry/instrumentation-amqplib`) does that for `publish` and `consume`,
 * and goes on doing it. It loses baggage where messages are got one by one, or with `useLinksForConsume`; and it
 * writes into the options that it is given, so that one request's overrides leave with the next one where both
 * publish with the same object.
 *
 * Methods are replaced on the channel, so they stand in front of the instrumentation whichever came first.
 */

import { bound } from "./emitters";
import { type Headers, carried, underCarried } from "./request";

interface Options {
  readonly headers?: Readonly<Record<string, unknown>>;
}

/** As much of a message as is needed. */
interface Message {
  readonly properties: { readonly headers?: unknown };
}

type Consumer = (message: Message | null) => unknown;

interface Channel {
  publish(exchange: string, key: string, content: Buffer, options?: Options, ...rest: unknown[]): unknown;
  consume(queue: string, onMessage: Consumer, ...rest: unknown[]): unknown;
}

const following = new WeakSet<object>();

/** Has a channel, of the promise or the callback API, carry overrides; returns that channel. */
export function followOverrides<C extends object>(channel: C): C {
  if (following.has(channel)) return channel;
  following.add(channel);
  const one = channel as unknown as Channel;
  const { publish, consume } = one;
  one.publish = function (exchange, key, content, options, ...rest) {
    const headers = { ...options?.headers, ...carried() };
    const confirmed = rest.map((one) => (typeof one === "function" ? bound(one as Consumer) : one));
    return publish.call(this, exchange, key, content, { ...options, headers }, ...confirmed);
  };
  one.consume = function (queue, onMessage, ...rest) {
    return consume.call(this, queue, handled(onMessage), ...rest);
  };
  return channel;
}

/**
 * Runs a function under the overrides that a message carries, and no others: for messages that `channel.get`
 * returned, or that a consumer collected.
 */
export function withMessage<M extends Message, T>(message: M, fn: (message: M) => T): T {
  return underCarried(textual(message.properties.headers), () => fn(message));
}

/**
 * Has every channel that is opened from now on follow overrides; `model` is one of amqplib's two modules of
 * channels.
 */
export function followInAll(model: { Channel: { prototype: { open(...args: unknown[]): unknown } } }): void {
  const { prototype } = model.Channel;
  const { open } = prototype;
  prototype.open = function (this: object, ...args) {
    followOverrides(this);
    return open.apply(this, args);
  };
}

function handled(onMessage: Consumer): Consumer {
  return function (this: unknown, message) {
    return message ? withMessage(message, () => onMessage.call(this, message)) : onMessage.call(this, message);
  };
}

function textual(headers: unknown): Headers {
  const pairs = Object.entries(headers ?? {}).filter(([, value]) => typeof value === "string");
  return Object.fromEntries(pairs) as Headers;
}
