// Requests to the server's API, with the user's token.

const TOKEN = "detour.token";

/** An error response of the server (RFC 9457). */
export class Problem extends Error {
  constructor(status, detail, headers = new Headers()) {
    super(detail);
    this.status = status;
    this.etag = headers.get("etag");
  }
}

const listeners = new Set();

/** Call a listener when the server requires a sign-in. */
export function onSignedOut(listener) {
  listeners.add(listener);
}

export function token() {
  return stored()?.getItem(TOKEN) ?? "";
}

export function keepToken(text) {
  if (text) stored()?.setItem(TOKEN, text);
  else stored()?.removeItem(TOKEN);
}

function stored() {
  try {
    return sessionStorage;
  } catch {
    return null;
  }
}

/** Return the response, whatever its status; the path is relative to the page, which may be mounted anywhere. */
export function send(path, { method = "GET", headers = {}, body, signal } = {}) {
  const sent = { ...headers };
  if (token()) sent.authorization = `Bearer ${token()}`;
  if (body !== undefined) sent["content-type"] = "application/json";
  return fetch(path, { method, headers: sent, body: body === undefined ? undefined : JSON.stringify(body), signal });
}

/** Return the response to a request; throw a Problem if it is not successful. */
export async function ask(path, options = {}) {
  let response;
  try {
    response = await send(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "the server does not answer; it may be restarting");
  }
  if (response.ok) return response;
  const problem = new Problem(response.status, await detailOf(response), response.headers);
  if (problem.status === 401) for (const one of listeners) one(problem);
  throw problem;
}

async function detailOf(response) {
  try {
    return (await response.json()).detail ?? response.statusText;
  } catch {
    return `${response.status} ${response.statusText}`;
  }
}

export const read = async (path, options) => (await ask(path, options)).json();

/** Return all items of a list, page by page. */
export async function readAll(path) {
  const found = [];
  for (let next = path; next; ) {
    const page = await read(next);
    found.push(...page.items);
    next = following(path, page);
  }
  return found;
}

/** Return the path of a list's next page, or null. */
export function following(path, page) {
  if (page.next === null) return null;
  return `${path}${path.includes("?") ? "&" : "?"}cursor=${encodeURIComponent(page.next)}`;
}

export const pathOf = (name) => `v1/scenarios/${encodeURIComponent(name)}`;
