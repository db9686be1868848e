/**
 * Calling on late: in what a framework runs behind the handler, and in work that goes on when the request is over.
 *
 * A path names the way before the clients: `lazy body > fetch/17`.
 */

import type { ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { setTimeout as wait } from "node:timers/promises";
import { run } from "./clients";
import { byFetch } from "./sink";

const VIA = " > ";
const LONG_MS = 2000; // When a request is over, also on a busy machine.
const BLOCK = "x".repeat(200_000); // The next one has to wait for the socket.

/** The name of the way, and the errand; no way where the handler calls on itself. */
export interface Late {
  readonly way: string;
  readonly errand: string;
}

/** Splits what a path says; what is behind a queue's name is the queue's. */
export function lateOf(asked: string, id: string): Late | undefined {
  const [way = "", clients] = asked.split(VIA);
  return clients === undefined || way.startsWith("amqplib") ? undefined : { way, errand: `${clients}/${id}` };
}

/** A body that calls on while it is being sent. */
export function lazyBody(errand: string): Readable {
  return Readable.from(
    (async function* () {
      yield BLOCK;
      await run(errand);
      yield BLOCK;
    })(),
  );
}

/** Answers, and calls on in what comes behind the answer. */
export function answerLate({ way, errand }: Late, response: ServerResponse): void {
  const call = () => void run(errand);
  if (way === "lazy body") lazyBody(errand).pipe(response);
  else if (way === "outliving") outlive(errand);
  else if (way === "finish") response.on("finish", call);
  else if (way === "close") response.on("close", call);
  else throw new Error(`there is no way ${way}`);
  if (way !== "lazy body") response.end("ok");
}

/** Starts work that calls on when the request is long over. */
export function outlive(errand: string): void {
  const [clients = "", id = ""] = errand.split("/");
  const names = clients.split(",");
  for (const [place, name] of names.entries()) {
    const own = names.length > 1 ? `${id}.${place}` : id;
    if (name === "setTimeout") setTimeout(() => void byFetch(own), LONG_MS);
    else if (name === "setInterval") refresh(own);
    else void wait(LONG_MS).then(() => run(`${name}/${own}`));
  }
}

function refresh(id: string): void {
  const timer = setInterval(() => {
    clearInterval(timer);
    void byFetch(id);
  }, LONG_MS);
}
