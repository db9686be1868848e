/** An HTTP/1.1 service of Node's own; nothing here touches a header of the baggage's. */

import { createServer } from "node:http";
import type { Answer } from "./tree";

/** Longer than an Envoy keeps idle connections: one that sends on a connection that is being closed answers 503. */
const KEEP_ALIVE_MS = 7_200_000;

/** Serves on a loopback port until SIGTERM; any path is answered with the call tree. */
export function serve(port: number, answer: () => Promise<Answer>): void {
  const server = createServer(async (_request, response) => {
    const body = JSON.stringify(await answer(), null, 2);
    response.writeHead(200, { "content-type": "application/json" }).end(`${body}\n`);
  });
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  server.listen(port, "127.0.0.1");
  process.on("SIGTERM", () => process.exit(0));
}
