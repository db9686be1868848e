/**
 * RabbitMQ with amqplib: published messages carry overrides, and each message is handled with its own.
 *
 * OpenTelemetry's instrumentation (`@opentelemetry/instrumentation-amqplib`) does that for `publish` and `consume`,
 * and continues to. It loses the baggage of messages that are fetched one by one, and with `useLinksForConsume`. It
 * also writes into the options object that it receives, so one request's overrides would leave with another one's
 * message if both publish with the same object.
 *
 * Methods are replaced on the channel, so they precede the instrumentation in whatever order they are installed.
 */

import { bound } from "./emitters";
import { type Headers, carried, underCarried } from "./request";

interface Options {
  readonly headers?: Readonly<Record<string, unknown>>;
}

/** The parts of a message that are needed. */
interface Message {
  readonly properties: { readonly headers?: unknown };
}

type Consumer = (message: Message | null) => unknown;

interface Channel {
  publish(exchange: string, key: string, content: Buffer, options?: Options, ...rest: unknown[]): unknown;
  consume(queue: string, onMessage: Consumer, ...rest: unknown[]): unknown;
}

const following = new WeakSet<object>();

/** Makes a channel of the promise or the callback API carry overrides; returns the channel. */
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
 * Runs a function with the overrides of a message, and no others: for messages that `channel.get` returned, or that
 * a consumer collected.
 */
export function withMessage<M extends Message, T>(message: M, fn: (message: M) => T): T {
  return underCarried(textual(message.properties.headers), () => fn(message));
}

/**
 * Makes every channel that is opened from now on follow overrides; `model` is one of amqplib's two channel modules.
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
