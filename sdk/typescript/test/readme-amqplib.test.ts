/** The example of README.md for amqplib, line by line (tests/docs compares them), with a real RabbitMQ at `AMQP_URL`. */

import type { ChannelModel, ConsumeMessage, GetMessage } from "amqplib";
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { current, install, using } from "detour-mesh";
import { followOverrides, withMessage } from "detour-mesh/amqplib";

install();

const url = process.env.AMQP_URL ?? "";

describe("README: amqplib", { skip: !url && "AMQP_URL names no RabbitMQ", timeout: 30_000 }, () => {
  let connection: ChannelModel;

  before(async () => {
    connection = await (require("amqplib") as typeof import("amqplib")).connect(url);
  });

  after(() => connection?.close());

  test("each message is handled under its own overrides", async () => {
    const seen: Record<string, string | undefined> = {};
    const handle = (message: ConsumeMessage | GetMessage | null): void => {
      if (message) seen[message.content.toString()] = current().route("users");
    };
    const sender = followOverrides(await connection.createConfirmChannel());
    await sender.assertQueue("rides", { autoDelete: true });
    const send = async (body: string): Promise<void> => {
      sender.sendToQueue("rides", Buffer.from(body));
      await sender.waitForConfirms();
    };
    await using("users=pr-42", () => send("consumed"));

    const channel = followOverrides(await connection.createChannel());
    await channel.prefetch(1);
    await channel.consume("rides", handle);
    while (!("consumed" in seen)) await new Promise(setImmediate);
    await using("users=pr-43", () => send("fetched"));
    const message = await channel.get("rides");
    if (message) await withMessage(message, handle);
    assert.deepEqual(seen, { consumed: "pr-42", fetched: "pr-43" });
  });
});
