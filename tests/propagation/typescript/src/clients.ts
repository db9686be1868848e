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
import { send, sendToPolled } from "./queue";
import { SINK, byFetch } from "./sink";
import { byPosting } from "./threads";

type Call = (id: string) => Promise<unknown>;
type Answered = (error: Error | null) => void;

interface Relay {
  Unary(value: string, answered: Answered): unknown;
  ClientStream(answered: Answered): ClientWritableStream<string>;
  ServerStream(value: string): ClientReadableStream<string>;
  BidiStream(): ClientDuplexStream<string, string>;
}

const DELAY_MAX_MS = 3;

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
  amqplib: send,
  "amqplib get": sendToPolled,
  "worker thread": byPosting,
};

/** Calls on by the client of that name, after a moment in which other requests come between. */
export async function callOn(client: string, id: string): Promise<void> {
  await wait(Math.random() * DELAY_MAX_MS);
  const call = clients[client];
  if (!call) throw new Error(`there is no client ${client}, but ${Object.keys(clients).join(", ")}`);
  await call(id);
}

function answered(call: (done: Answered) => unknown): Promise<void> {
  return new Promise((resolve, reject) => call((error) => (error ? reject(error) : resolve())));
}

function ended(stream: ClientReadableStream<string>): Promise<void> {
  return new Promise((resolve, reject) => stream.on("error", reject).on("end", resolve).resume());
}
