// The server's data, fetched when a view first needs it, and again when it changes.

import { Problem, ask, onSignedOut, read, readAll } from "./api.js";

const REFRESH_MS = 15_000;

/** A part of the server's data. */
class Resource {
  #fetch;
  #loading = null;
  #isStale = false;
  #listeners = new Set();

  /** @param {() => Promise<any>} fetch fetches it */
  constructor(fetch, value = null) {
    this.#fetch = fetch;
    this.value = value;
    this.problem = null;
    this.isLoaded = false;
  }

  /** Return it; fetch it if it is not loaded. */
  need() {
    return this.isLoaded ? Promise.resolve(this.value) : this.load();
  }

  /** Fetch it; a call during a fetch causes another fetch afterwards, and returns its result. */
  load() {
    if (this.#loading) {
      this.#isStale = true;
      return this.#loading;
    }
    this.#loading = this.#load().finally(() => (this.#loading = null));
    return this.#loading;
  }

  /** Fetch it again, if any view has needed it. */
  refresh() {
    if (this.isLoaded || this.#loading) this.load();
  }

  async #load() {
    do {
      this.#isStale = false;
      try {
        this.value = await this.#fetch();
        this.problem = null;
      } catch (problem) {
        if (!(problem instanceof Problem)) throw problem;
        this.problem = problem;
      }
    } while (this.#isStale);
    this.isLoaded = true;
    for (const one of [...this.#listeners]) one(this.value);
    return this.value;
  }

  /** Call a listener with each new value; returns a function that removes it. */
  listen(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

export const services = new Resource(() => readAll("v1/services"), []);
export const deployments = new Resource(() => readAll("v1/deployments"), []);
export const calls = new Resource(() => readAll("v1/calls"), []);
/** The kill switch for overrides. */
export const overridesSwitch = new Resource(() => read("v1/overrides"));
export const status = new Resource(() => read("v1/status"));
export const scenarios = new Resource(() => readAll("v1/scenarios?state=all&limit=1000"), []);
/** The user of the page: name, role, and how they are authenticated. */
export const me = new Resource(() => read("v1/me"));

export const mayChange = () => ["developer", "admin"].includes(me.value?.role);

/** Return whether the user of the page may remove an object of this owner. */
export const mayRemove = (owner) => mayChange() && (me.value.role === "admin" || !owner || owner === me.value.name);

const CONCERNED = {
  scenario: [scenarios],
  deployment: [deployments, services],
  mesh: [services, deployments, status],
  overrides: [overridesSwitch, status],
  envoys: [status],
  calls: [calls],
};
const eventListeners = new Set();

/** Call a listener with each event of the server, as `(kind, subject)`; returns a function that removes it. */
export function onEvent(listener) {
  eventListeners.add(listener);
  return () => eventListeners.delete(listener);
}

/**
 * Follow the server's events while the page is open.
 * @param {(state: "live"|"lost"|"connecting") => void} show called with each new state of the connection
 */
export async function follow(show) {
  let isSignedOut = false;
  onSignedOut(() => (isSignedOut = true));
  // Some changes cause no event: calls older than a minute, and errors in the mesh file.
  setInterval(() => document.hidden || refresh([calls, status]), REFRESH_MS);
  let isFirst = true;
  for (let failures = 0; ; failures += 1) {
    try {
      await listen(isFirst, () => {
        failures = 0;
        isFirst = false;
        show("live");
      });
    } catch {
      // Any failure is retried below.
    }
    // A sign-in reloads the page.
    if (isSignedOut) return show("connecting");
    show("lost");
    await new Promise((resolve) => setTimeout(resolve, Math.min(500 * 1.6 ** failures, 5000)));
  }
}

// Not an EventSource, which cannot send an authorization header.
async function listen(isFirst, connected) {
  const response = await ask("v1/events");
  connected();
  // Events before the connection are not sent, so all loaded data may be outdated.
  refresh([services, deployments, calls, status, scenarios, overridesSwitch].filter((one) => !isFirst || one.isLoaded));
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let text = ""; ; ) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    const end = text.lastIndexOf("\n\n");
    if (end < 0) continue;
    hear(text.slice(0, end));
    text = text.slice(end + 2);
  }
}

function hear(text) {
  const concerned = new Set();
  for (const [, kind, data] of text.matchAll(/^event: (\S+)\ndata: (.*)$/gm)) {
    for (const resource of CONCERNED[kind] ?? []) concerned.add(resource);
    const { subject } = JSON.parse(data);
    for (const listener of [...eventListeners]) listener(kind, subject);
  }
  refresh(concerned);
}

function refresh(resources) {
  for (const resource of resources) resource.refresh();
}
