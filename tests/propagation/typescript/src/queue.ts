/** RabbitMQ by amqplib: what is sent is received by this process again, which then does the message's errand. */

import amqplib, { type ConfirmChannel, type GetMessage } from "amqplib";
import { setTimeout as wait } from "node:timers/promises";

type Run = (errand: string) => Promise<void>;
type Handle = (message: GetMessage) => Promise<void>;

const QUEUE = process.env.QUEUE ?? "";
const GOT = `${QUEUE}-got`;
const AT_ONCE = 100;
const POLL_MS = 2;

let channel: ConfirmChannel | undefined;

/** What sends an errand: to a queue that is consumed, and to one that is asked for messages again and again. */
export const producers = {
  amqplib: (errand: string): Promise<void> => confirmed(QUEUE, errand),
  "amqplib get": (errand: string): Promise<void> => confirmed(GOT, errand),
};

export type Producer = keyof typeof producers;

/** Connects, and takes messages, whose errands `run` does; without `AMQP_URL` there is nothing to connect to. */
export async function connect(run: Run): Promise<void> {
  if (!process.env.AMQP_URL) return;
  const connection = await amqplib.connect(process.env.AMQP_URL);
  const made = await connection.createConfirmChannel();
  await made.assertQueue(QUEUE, { exclusive: true });
  await made.assertQueue(GOT, { exclusive: true });
  await made.prefetch(AT_ONCE);
  await made.consume(QUEUE, async (message) => {
    if (!message) return;
    await run(message.content.toString());
    made.ack(message);
  });
  void poll(made, handler(run));
  channel = made;
}

async function poll(channel: ConfirmChannel, handle: Handle): Promise<void> {
  for (;;) {
    const message = await channel.get(GOT, { noAck: true });
    if (message) void handle(message);
    else await wait(POLL_MS);
  }
}

/** A message that was got is handled under its own overrides by Detour's SDK alone. */
function handler(run: Run): Handle {
  const handle: Handle = (message) => run(message.content.toString());
  if (process.env.DETOUR_SDK !== "on") return handle;
  const { withMessage } = require("detour-mesh/amqplib") as typeof import("detour-mesh/amqplib");
  return (message) => withMessage(message, handle);
}

/** Sends a message, and waits until the broker has it. */
function confirmed(queue: string, errand: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (error: Error | null): void => (error ? reject(error) : resolve());
    if (!channel) throw new Error("AMQP_URL names no RabbitMQ");
    channel.sendToQueue(queue, Buffer.from(errand), {}, settle);
  });
}
