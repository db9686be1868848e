/** The ways of serving, by name. */

import {
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
} from "@grpc/grpc-js";
import express from "express";
import fastify from "fastify";
import { createServer } from "node:http";
import { callOn, run } from "./clients";
import { answerLate, lateOf, lazyBody, outlive } from "./late";
import { relay } from "./relay";

const HOST = "127.0.0.1";
const PORT = Number(process.env.PORT);
const KEEP_ALIVE_MS = 600_000; // Longer than the suite keeps connections.
const CLIENTS_LENGTH_MAX = 500; // Fastify takes 100 characters of a path's part.

export const servers: Readonly<Record<string, () => Promise<unknown>>> = {
  express: byExpress,
  fastify: byFastify,
  "grpc-js": byGrpc,
  "node:http": byNode,
};

async function byExpress(): Promise<void> {
  const app = express();
  app.get("/", (_request, response) => void response.send("ready"));
  app.get("/:client/:id", async (request, response) => {
    const late = lateOf(request.params.client, request.params.id);
    if (late) return answerLate(late, response);
    await callOn(request.params.client, request.params.id);
    response.send("ok");
  });
  app.use((error: Error, _request: express.Request, response: express.Response, _next: express.NextFunction) => {
    response.status(500).send(String(error));
  });
  app.listen(PORT, HOST).keepAliveTimeout = KEEP_ALIVE_MS;
}

async function byFastify(): Promise<void> {
  const app = fastify({ routerOptions: { maxParamLength: CLIENTS_LENGTH_MAX }, keepAliveTimeout: KEEP_ALIVE_MS });
  const hooked = new WeakMap<object, { way: string; errand: string }>();
  const inHook = async (way: string, raw: object): Promise<void> => {
    const late = hooked.get(raw);
    if (late?.way === way) await run(late.errand);
  };
  app.addHook("onSend", ({ raw }) => inHook("onSend", raw));
  app.addHook("onResponse", ({ raw }) => inHook("onResponse", raw));
  app.get("/", async () => "ready");
  app.get<{ Params: { client: string; id: string } }>("/:client/:id", async ({ params, raw }, reply) => {
    const late = lateOf(params.client, params.id);
    if (late) {
      hooked.set(raw, late);
      if (late.way === "lazy body") return reply.send(lazyBody(late.errand));
      if (late.way === "outliving") outlive(late.errand);
      if (late.way === "finish" || late.way === "close") reply.raw.on(late.way, () => void run(late.errand));
      return "ok";
    }
    await callOn(params.client, params.id);
    return "ok";
  });
  await app.listen({ port: PORT, host: HOST });
}

/** Plain HTTP, also where what is put to the proof is the queue behind it. */
async function byNode(): Promise<void> {
  const server = createServer(async ({ url = "" }, response) => {
    const [, client = "", id = ""] = decodeURIComponent(url).split("/");
    const late = lateOf(client, id);
    if (late) return answerLate(late, response);
    try {
      if (client) await callOn(client, id);
      response.end("ok");
    } catch (error) {
      response.writeHead(500).end(String(error));
    }
  });
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  server.listen(PORT, HOST);
}

async function byGrpc(): Promise<void> {
  const server = new Server();
  server.addService(relay, {
    Unary: unary,
    ClientStream: clientStream,
    ServerStream: serverStream,
    BidiStream: bidiStream,
  });
  server.bindAsync(`${HOST}:${process.env.GRPC_PORT}`, ServerCredentials.createInsecure(), (error) => {
    if (error) throw error;
  });
}

async function handled(value: string): Promise<string> {
  const [clients = "", id = ""] = value.split("/");
  const late = lateOf(clients, id);
  if (late) outlive(late.errand);
  else await callOn(clients, id);
  return value;
}

function unary(call: ServerUnaryCall<string, string>, answer: sendUnaryData<string>): void {
  handled(call.request).then((value) => answer(null, value), answer);
}

function clientStream(call: ServerReadableStream<string, string>, answer: sendUnaryData<string>): void {
  let last = "";
  call.on("data", (value: string) => {
    last = value;
  });
  call.on("end", () => void handled(last).then((value) => answer(null, value), answer));
}

function serverStream(call: ServerWritableStream<string, string>): void {
  handled(call.request).then(
    (value) => finish(call, value),
    (error: Error) => call.destroy(error),
  );
}

function bidiStream(call: ServerDuplexStream<string, string>): void {
  call.on("data", (value: string) => {
    handled(value).then(
      () => finish(call, value),
      (error: Error) => call.destroy(error),
    );
  });
}

function finish(call: { write(value: string): unknown; end(): unknown }, value: string): void {
  call.write(value);
  call.end();
}
