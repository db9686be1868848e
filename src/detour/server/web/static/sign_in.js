// Saying who one is: with an API token, or at an OpenID provider (authorization code flow with PKCE, RFC 7636).

import { Problem, keepToken, read, send, token } from "./api.js";
import { h, leadsSomewhere, swap } from "./dom.js";

const STARTED = "detour.signing-in";

/** Return the view that asks who one is; `why` is what the server said. */
export function signInView(why) {
  return new SignInView(why);
}

class SignInView {
  title = "Sign in";

  constructor(why) {
    this.token = h("input.mono", { type: "password", id: "token", autocomplete: "off", spellcheck: "false", "aria-describedby": "token-said" });
    this.fault = h("p.fault", { role: "alert" }, token() ? why : "");
    this.provider = h("div.stack.tight", {});
    this.element = h(
      "div.page.sign-in",
      {},
      h(
        "div.card.card-body.stack",
        {},
        h("h1", { tabindex: "-1" }, "Sign in"),
        h("p.quiet", {}, "This server wants to know who you are."),
        this.provider,
        h(
          "form.stack.tight",
          {
            "aria-label": "With a token",
            on: {
              submit: (event) => {
                event.preventDefault();
                this.#tryToken();
              },
            },
          },
          h(
            "div.field",
            {},
            h("label", { for: "token" }, "API token"),
            this.token,
            h("span.hint", { id: "token-said" }, "This tab keeps it until you close it."),
          ),
          h("button.button", { type: "submit" }, "Sign in with the token"),
        ),
        this.fault,
      ),
    );
    this.ready = this.#offer();
  }

  update() {}

  leave() {}

  async #offer() {
    const known = await read("v1/sign-in").catch(() => null);
    if (!known?.issuer || !known.authorization_endpoint) return;
    const begin = () => signInAt(known).catch((error) => (this.fault.textContent = error.message));
    swap(
      this.provider,
      h("button.button.main", { type: "button", on: { click: begin } }, `Sign in with ${new URL(known.issuer).host}`),
      h("p.hint.or", {}, "or"),
    );
  }

  async #tryToken() {
    const before = token();
    keepToken(this.token.value.trim());
    const answer = await send("v1/me").catch(() => null);
    if (answer?.ok) return location.reload();
    keepToken(before);
    this.fault.textContent = answer
      ? ((await answer.json().catch(() => null))?.detail ?? "The server does not know this token.")
      : "The server does not answer.";
    this.token.focus();
  }
}

async function signInAt({ authorization_endpoint: endpoint, client_id: client, scopes }) {
  if (!leadsSomewhere(endpoint)) throw new Error("The provider's address is none that a browser can open.");
  if (!crypto.subtle) throw new Error("Browsers allow this on https only: open this page by https, or use a token.");
  const verifier = base64url(crypto.getRandomValues(new Uint8Array(32)));
  const state = base64url(crypto.getRandomValues(new Uint8Array(16)));
  const challenge = base64url(new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier))));
  sessionStorage.setItem(STARTED, JSON.stringify({ verifier, state, hash: location.hash }));
  const url = new URL(endpoint);
  const asked = {
    response_type: "code",
    client_id: client,
    redirect_uri: here(),
    scope: scopes ?? "openid profile email",
    state,
    code_challenge: challenge,
    code_challenge_method: "S256",
  };
  for (const [name, value] of Object.entries(asked)) url.searchParams.set(name, value);
  location.assign(url);
}

/**
 * Go on where a sign-in at a provider was begun, if this page was opened by its answer.
 * @returns {Promise<string>} what went wrong; empty if nothing did
 */
export async function finishSignIn() {
  const answer = new URLSearchParams(location.search);
  const begun = begunHere();
  if (!begun || !(answer.has("code") || answer.has("error"))) return "";
  sessionStorage.removeItem(STARTED);
  history.replaceState(null, "", here() + begun.hash);
  if (answer.get("state") !== begun.state) return "The answer of the provider belongs to no sign-in that this tab began. Try again.";
  if (answer.has("error")) return `The provider refused: ${answer.get("error_description") ?? answer.get("error")}`;
  try {
    keepToken(await exchange(answer.get("code"), begun.verifier));
    return "";
  } catch (error) {
    return `The provider gave no token: ${error.message}`;
  }
}

/** Return the sign-in that this tab began, if there is one. */
function begunHere() {
  try {
    return JSON.parse(sessionStorage.getItem(STARTED));
  } catch {
    return null;
  }
}

async function exchange(code, verifier) {
  const known = await read("v1/sign-in");
  const body = new URLSearchParams({ grant_type: "authorization_code", client_id: known.client_id, code, redirect_uri: here(), code_verifier: verifier });
  const response = await fetch(known.token_endpoint, { method: "POST", body });
  const answer = await response.json();
  if (!response.ok) throw new Problem(response.status, answer.error_description ?? answer.error ?? response.statusText);
  // An ID token is always for this client, and always one that the server can check.
  return answer.id_token ?? answer.access_token;
}

const here = () => location.origin + location.pathname;

const base64url = (bytes) =>
  btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
