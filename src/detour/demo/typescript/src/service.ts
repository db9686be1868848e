/** An HTTP/1.1 service with Node's own server; this module does not touch the baggage. */

import { createServer } from "node:http";
import type { Answer } from "./tree";

/** Longer than Envoy keeps idle connections: a request on a connection that the service closes gets a 503. */
const KEEP_ALIVE_MS = 7_200_000;

/** Serves on a loopback port until SIGTERM; every path returns the call tree. */
export function serve(port: number, answer: () => Promise<Answer>): void {
  const server = createServer(async (_request, response) => {
    const body = JSON.stringify(await answer(), null, 2);
    response.writeHead(200, { "content-type": "application/json" }).end(`${body}\n`);
  });
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  server.listen(port, "127.0.0.1");
  process.on("SIGTERM", () => process.exit(0));
}
