// Sign-in: with an API token, or with an OpenID provider (authorization code flow with PKCE, RFC 7636).

import { Problem, keepToken, read, send, token } from "./api.js";
import { h, isWebAddress, swap } from "./dom.js";

const STARTED = "detour.signing-in";

/** Return the sign-in view; `why` is the message of the server. */
export function signInView(why) {
  return new SignInView(why);
}

class SignInView {
  title = "Sign in";

  constructor(why) {
    this.token = h("input.mono", { type: "password", id: "token", autocomplete: "off", spellcheck: "false", "aria-describedby": "token-hint" });
    this.fault = h("p.fault", { role: "alert" }, token() ? why : "");
    this.provider = h("div.stack.tight", {});
    this.element = h(
      "div.page.sign-in",
      {},
      h(
        "div.card.card-body.stack",
        {},
        h("h1", { tabindex: "-1" }, "Sign in"),
        h("p.quiet", {}, "This server requires you to sign in."),
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
            h("span.hint", { id: "token-hint" }, "This tab keeps the token until you close it."),
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
    this.fault.textContent = answer ? ((await answer.json().catch(() => null))?.detail ?? "The server refused this token.") : "The server does not answer.";
    this.token.focus();
  }
}

async function signInAt({ authorization_endpoint: endpoint, client_id: client, scopes }) {
  if (!isWebAddress(endpoint)) throw new Error("A browser cannot open the provider's address.");
  if (!crypto.subtle) throw new Error("Browsers allow this over https only: open this page over https, or use a token.");
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
 * Complete a sign-in with a provider, if the provider's redirect opened this page.
 * @returns {Promise<string>} an error message, or an empty text
 */
export async function finishSignIn() {
  const answer = new URLSearchParams(location.search);
  const begun = begunHere();
  if (!begun || !(answer.has("code") || answer.has("error"))) return "";
  sessionStorage.removeItem(STARTED);
  history.replaceState(null, "", here() + begun.hash);
  if (answer.get("state") !== begun.state) return "The provider's response does not match a sign-in that this tab began. Try again.";
  if (answer.has("error")) return `The provider refused the sign-in: ${answer.get("error_description") ?? answer.get("error")}`;
  try {
    keepToken(await exchange(answer.get("code"), begun.verifier));
    return "";
  } catch (error) {
    return `The provider returned no token: ${error.message}`;
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
  // Prefer the ID token: it is issued for this client, and the server can always verify it.
  return answer.id_token ?? answer.access_token;
}

const here = () => location.origin + location.pathname;

const base64url = (bytes) =>
  btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
