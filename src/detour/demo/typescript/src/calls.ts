/** Calls an HTTP service through the sidecar, whose address is in the environment (`http_proxy`). */

import { type IncomingMessage, get } from "node:http";
import { performance } from "node:perf_hooks";
import { text } from "node:stream/consumers";
import type { Answer, Call } from "./tree";

const TIMEOUT_MS = 10_000;

/** Returns a caller of the service `to` at an address; failures are part of the result. */
export function callerOf(to: string, address: string): () => Promise<Call> {
  return async () => {
    const start = performance.now();
    const result = (status: string, servedBy: string, error: string, answer: Answer | null = null): Call => ({
      to,
      status,
      served_by: servedBy,
      duration_ms: Math.round((performance.now() - start) * 10) / 10,
      error,
      answer,
    });
    try {
      const response = await ask(address);
      const body = await text(response);
      const status = String(response.statusCode);
      const servedBy = String(response.headers["x-detour-served-by"] ?? "");
      if (response.statusCode !== 200) return result(status, servedBy, body.trim());
      return result(status, servedBy, "", JSON.parse(body) as Answer);
    } catch (error) {
      return result("unreachable", "", String(error));
    }
  };
}

/** Sends a request to the proxy with the full URL, as HTTP clients with proxy support do (RFC 9112, section 3.2.2). */
function ask(address: string): Promise<IncomingMessage> {
  const proxy = new URL(process.env.http_proxy ?? "");
  const { host } = new URL(address);
  const options = { host: proxy.hostname, port: proxy.port, path: address, headers: { host }, timeout: TIMEOUT_MS };
  return new Promise((resolve, reject) => {
    const request = get(options, resolve);
    request.on("error", reject).on("timeout", () => request.destroy(new Error(`no answer in ${TIMEOUT_MS} ms`)));
  });
}
