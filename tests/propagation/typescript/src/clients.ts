/** The ways of calling on. Each resolves when the call has returned, or the broker has the message. */

import {
  type ClientDuplexStream,
  type ClientReadableStream,
  type ClientWritableStream,
  credentials,
} from "@grpc/grpc-js";
import axios from "axios";
import { setTimeout as wait } from "node:timers/promises";
import { RelayClient } from "./relay";
import { type Producer, producers } from "./queue";
import { SINK, byFetch } from "./sink";
import { byPosting } from "./threads";

export type Call = (id: string) => Promise<unknown>;
type Answered = (error: Error | null) => void;

interface Relay {
  Unary(value: string, answered: Answered): unknown;
  ClientStream(answered: Answered): ClientWritableStream<string>;
  ServerStream(value: string): ClientReadableStream<string>;
  BidiStream(): ClientDuplexStream<string, string>;
}

const DELAY_MAX_MS = 3;
const VIA = " > ";

const grpc = new RelayClient(process.env.SINK_GRPC ?? "127.0.0.1:1", credentials.createInsecure(), {
  "grpc.enable_http_proxy": 0,
}) as unknown as Relay;

const clients: Readonly<Record<string, Call>> = {
  fetch: byFetch,
  axios: (id) => axios.get(`${SINK}/${id}`),
  "grpc-unary": (id) => answered((done) => grpc.Unary(id, done)),
  "grpc-client-stream": (id) => answered((done) => grpc.ClientStream(done).end(id)),
  "grpc-server-stream": (id) => ended(grpc.ServerStream(id)),
  "grpc-bidi-stream": (id) => {
    const stream = grpc.BidiStream();
    stream.end(id);
    return ended(stream);
  },
  amqplib: (id) => producers.amqplib(`fetch/${id}`),
  "amqplib get": (id) => producers["amqplib get"](`fetch/${id}`),
  "worker thread": byPosting,
};

/**
 * Calls on for a request, after a moment in which other requests come between: by each of the clients, or
 * `amqplib > clients` by those behind the queue.
 */
export async function callOn(asked: string, id: string): Promise<void> {
  await wait(Math.random() * DELAY_MAX_MS);
  const [producer = "", behind] = asked.split(VIA);
  if (behind === undefined) await run(`${asked}/${id}`);
  else await producers[producer as Producer](`${behind}/${id}`);
}

/** Calls on by each client of an errand, `fetch,axios/17`; of several each is told the id with its place behind it. */
export async function run(errand: string): Promise<void> {
  const [asked = "", id = ""] = errand.split("/");
  const names = asked.split(",");
  for (const [place, name] of names.entries()) {
    const call = clients[name];
    if (!call) throw new Error(`there is no client ${name}, but ${Object.keys(clients).join(", ")}`);
    await call(names.length > 1 ? `${id}.${place}` : id);
  }
}

function answered(call: (done: Answered) => unknown): Promise<void> {
  return new Promise((resolve, reject) => call((error) => (error ? reject(error) : resolve())));
}

function ended(stream: ClientReadableStream<string>): Promise<void> {
  return new Promise((resolve, reject) => stream.on("error", reject).on("end", resolve).resume());
}
