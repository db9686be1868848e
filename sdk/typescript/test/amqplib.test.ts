/** With a real RabbitMQ, at `AMQP_URL`. */

import { registerInstrumentations } from "@opentelemetry/instrumentation";
import { AmqplibInstrumentation } from "@opentelemetry/instrumentation-amqplib";
import { NodeTracerProvider } from "@opentelemetry/sdk-trace-node";
import type { Channel, ChannelModel, ConfirmChannel, GetMessage } from "amqplib";
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { current, install, using } from "../src/index";
import { mend } from "../src/mends";
import { followOverrides, withMessage } from "../src/amqplib";

new NodeTracerProvider().register();
registerInstrumentations({ instrumentations: [new AmqplibInstrumentation()] });
install();
mend();

const url = process.env.AMQP_URL ?? "";
const route = (): string | undefined => current().route("users");

describe("amqplib", { skip: !url && "AMQP_URL names no RabbitMQ", timeout: 30_000 }, () => {
  let connection: ChannelModel;
  let channel: ConfirmChannel;
  const queue = `detour-${randomUUID()}`;

  before(async () => {
    connection = await (require("amqplib") as typeof import("amqplib")).connect(url);
    channel = await connection.createConfirmChannel();
    await channel.assertQueue(queue, { exclusive: true });
  });

  after(() => connection?.close());

  /** Returns what handlers of a number of messages see as the route to users, by the message's body. */
  async function consumed(count: number, of: Channel = channel): Promise<Record<string, string | undefined>> {
    const seen: Record<string, string | undefined> = {};
    await new Promise<void>((resolve, reject) => {
      const consumer = of.consume(queue, async (message) => {
        if (!message) return;
        await new Promise(setImmediate);
        seen[message.content.toString()] = route();
        of.ack(message);
        if (Object.keys(seen).length === count)
          resolve(consumer.then(({ consumerTag }) => of.cancel(consumerTag)).then(() => undefined));
      });
      consumer.catch(reject);
    });
    return seen;
  }

  test("each message is handled under its own overrides", async () => {
    for (const name of ["a", "b", "c"]) using(`users=${name}`, () => channel.sendToQueue(queue, Buffer.from(name)));
    channel.publish("", queue, Buffer.from("none"));
    assert.deepEqual(await consumed(4), { a: "a", b: "b", c: "c", none: undefined });
  });

  test("a confirmation calls back in the publishing request, and a fetched message in the fetching one", async () => {
    const callbacks = require("amqplib/callback_api") as { connect(url: string, then: (error: Error, of: any) => void): void };
    const other = await new Promise<any>((resolve) => callbacks.connect(url, (_, made) => resolve(made)));
    const own = await new Promise<any>((resolve) => other.createConfirmChannel((_: Error, made: unknown) => resolve(made)));
    const confirmed = await new Promise<string>((resolve) =>
      own.assertQueue("", { exclusive: true }, (_: Error, made: { queue: string }) => resolve(made.queue)));
    for (const words of [["users=a"], ["users=b"], []]) {
      const seen = await using(words, () =>
        Promise.all([
          new Promise((resolve) => own.sendToQueue(confirmed, Buffer.from("x"), {}, () => resolve(route()))),
          new Promise((resolve) => own.get(confirmed, {}, () => resolve(route()))),
        ]),
      );
      const expected = words[0]?.slice("users=".length);
      assert.deepEqual(seen, [expected, expected]);
    }
    await new Promise((resolve) => other.close(resolve));
  });

  test("what requests publish with the same options is not mixed up", async () => {
    const options = { persistent: true, headers: { kind: "ride" } };
    using("users=pr-42", () => channel.sendToQueue(queue, Buffer.from("with"), options));
    channel.sendToQueue(queue, Buffer.from("without"), options);
    assert.deepEqual(await consumed(2), { with: "pr-42", without: undefined });
    assert.deepEqual(options, { persistent: true, headers: { kind: "ride" } });
  });

  test("a message that was got is handled under its overrides with withMessage", async () => {
    using("users=pr-42", () => channel.sendToQueue(queue, Buffer.from("got")));
    await channel.waitForConfirms();
    const message = (await channel.get(queue, { noAck: true })) as GetMessage;
    assert.equal(withMessage(message, route), "pr-42");
    assert.equal(
      using("users=another", () => withMessage(message, route)),
      "pr-42",
    );
  });

  test("a consumer that is started within a request does not handle messages under it", async () => {
    channel.sendToQueue(queue, Buffer.from("none"));
    assert.deepEqual(await using("users=starter", () => consumed(1)), { none: undefined });
  });

  test("following twice is following once", async () => {
    const one = await connection.createChannel();
    const { publish } = one;
    assert.equal(followOverrides(one).publish, publish);
    await one.close();
  });
});
