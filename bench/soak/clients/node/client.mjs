// One client in Node.js, as client.py: `node client.mjs http|fetch|undici|got CONCURRENCY`. None keeps cookies.
import http from "node:http";
import readline from "node:readline";
import got from "got";
import { Agent, ProxyAgent, request as undici } from "undici";

const [library, concurrency] = [process.argv[2], Number(process.argv[3])];
const agent = new http.Agent({ keepAlive: true });

function byHttp(request) {
  const headers = { ...request.headers };
  if (request.proxied) headers.host = new URL(request.url).host;
  return new Promise((resolve, reject) => {
    const options = { agent, host: "127.0.0.1", port: request.port, path: request.url, headers, timeout: 30_000 };
    const sent = http.get(options, (answer) => {
      let body = "";
      answer.setEncoding("utf8");
      answer.on("data", (part) => (body += part));
      answer.on("error", reject);
      answer.on("end", () => resolve({ status: answer.statusCode, body }));
    });
    sent.on("timeout", () => sent.destroy(new Error("no answer within 30 s")));
    sent.on("error", reject);
  });
}

async function byFetch(request) {
  const answer = await fetch(`http://127.0.0.1:${request.port}${request.url}`, { headers: request.headers });
  return { status: answer.status, body: await answer.text() };
}

const direct = new Agent();
const proxies = new Map();

function proxied(port) {
  if (!proxies.has(port)) proxies.set(port, new ProxyAgent(`http://127.0.0.1:${port}`));
  return proxies.get(port);
}

// A ProxyAgent opens a tunnel (CONNECT) to each host.
async function byUndici(request) {
  const url = request.proxied ? request.url : `http://127.0.0.1:${request.port}${request.url}`;
  const dispatcher = request.proxied ? proxied(request.port) : direct;
  const answer = await undici(url, { dispatcher, headers: request.headers });
  return { status: answer.statusCode, body: await answer.body.text() };
}

async function byGot(request) {
  const headers = { ...request.headers };
  if (request.proxied) headers.host = new URL(request.url).host;
  const path = request.proxied ? "/" : request.url;
  const options = { headers, agent: { http: agent }, throwHttpErrors: false, retry: { limit: 0 } };
  const answer = await got(`http://127.0.0.1:${request.port}${path}`, { ...options, timeout: { request: 30_000 } });
  return { status: answer.statusCode, body: answer.body };
}

const send = { http: byHttp, fetch: byFetch, undici: byUndici, got: byGot }[library];
const waiting = [];
const idle = [];
let ended = false;
const lines = readline.createInterface({ input: process.stdin });
lines.on("line", (line) => (idle.length ? idle.shift()(line) : waiting.push(line)));
lines.on("close", () => {
  ended = true;
  while (idle.length) idle.shift()();
});

function next() {
  if (waiting.length || ended) return waiting.shift();
  return new Promise((resolve) => idle.push(resolve));
}

async function work() {
  for (let line = await next(); line !== undefined; line = await next()) {
    const request = JSON.parse(line);
    let answer;
    try {
      answer = await send(request);
    } catch (error) {
      const said = `${error.code ?? ""} ${error.cause?.code ?? ""} ${error.message} ${error.cause?.message ?? ""}`;
      answer = { error: said.includes("ECONNREFUSED") ? "refused" : said };
    }
    process.stdout.write(`${JSON.stringify({ id: request.id, ...answer })}\n`);
  }
}

await Promise.all(Array.from({ length: concurrency }, work));
