/** A worker thread that serves all requests: what it is to do is posted to it. */

import { join } from "node:path";
import { Worker } from "node:worker_threads";

interface Answer {
  readonly id: string;
  readonly failure: string;
}

const FILE = join(__dirname, "worker.js");

let shared: Worker | undefined;

/** Has the thread that serves all requests call on. */
export function byPosting(id: string): Promise<void> {
  shared ??= new Worker(FILE).setMaxListeners(0);
  return post(shared, id);
}

function post(worker: Worker, id: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const hear = (answer: Answer): void => {
      if (answer.id !== id) return;
      worker.off("message", hear);
      if (answer.failure) reject(new Error(answer.failure));
      else resolve();
    };
    worker.on("message", hear).once("error", reject);
    worker.postMessage({ id });
  });
}
