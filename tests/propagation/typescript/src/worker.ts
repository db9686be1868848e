/** The code of a worker thread: it calls on for each message that is posted to it. */

import "./setup";
import { parentPort } from "node:worker_threads";
import { byFetch } from "./sink";

parentPort?.on("message", async ({ id }: { id: string }) => {
  const failure = await byFetch(id).then(() => "", String);
  parentPort?.postMessage({ id, failure });
});
