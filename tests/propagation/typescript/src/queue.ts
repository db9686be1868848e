/** RabbitMQ by amqplib: what is sent is received by this process again, which then calls on. */

import amqplib, { type ConfirmChannel, type GetMessage } from "amqplib";
import { setTimeout as wait } from "node:timers/promises";
import { byFetch } from "./sink";

type Handle = (message: GetMessage) => Promise<void>;

const QUEUE = process.env.QUEUE ?? "";
const GOT = `${QUEUE}-got`;
const AT_ONCE = 100;
const POLL_MS = 2;

let channel: ConfirmChannel | undefined;

/** Connects, and consumes the queue; without `AMQP_URL` there is none. */
export async function connect(): Promise<void> {
  if (!process.env.AMQP_URL) return;
  const connection = await amqplib.connect(process.env.AMQP_URL);
  const made = await connection.createConfirmChannel();
  await made.assertQueue(QUEUE, { exclusive: true });
  await made.assertQueue(GOT, { exclusive: true });
  await made.prefetch(AT_ONCE);
  await made.consume(QUEUE, async (message) => {
    if (!message) return;
    await byFetch(message.content.toString());
    made.ack(message);
  });
  void poll(made, handler());
  channel = made;
}

/** Sends a message, and waits until the broker has it. */
export function send(id: string): Promise<void> {
  return confirmed(QUEUE, id);
}

/** Sends a message to a queue that nobody consumes, but that is asked for messages again and again. */
export function sendToPolled(id: string): Promise<void> {
  return confirmed(GOT, id);
}

async function poll(channel: ConfirmChannel, handle: Handle): Promise<void> {
  for (;;) {
    const message = await channel.get(GOT, { noAck: true });
    if (message) void handle(message);
    else await wait(POLL_MS);
  }
}

/** A message that was got is handled under its own overrides by Detour's SDK alone. */
function handler(): Handle {
  const handle: Handle = (message) => byFetch(message.content.toString());
  if (process.env.DETOUR_SDK !== "on") return handle;
  const { withMessage } = require("detour-mesh/amqplib") as typeof import("detour-mesh/amqplib");
  return (message) => withMessage(message, handle);
}

function confirmed(queue: string, id: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (error: Error | null): void => (error ? reject(error) : resolve());
    if (!channel) throw new Error("AMQP_URL names no RabbitMQ");
    channel.sendToQueue(queue, Buffer.from(id), {}, settle);
  });
}
