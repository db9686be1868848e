// The frame of the page: routes addresses to views, and shows the header.

import { keepToken, onSignedOut, token } from "./api.js";
import { h, s, swap } from "./dom.js";
import { addToNew } from "./drafts.js";
import { meshView } from "./mesh_view.js";
import { parseWords } from "./overrides.js";
import { follow, me, overridesSwitch } from "./resources.js";
import { showSwitch } from "./switch.js";
import { keepMoments } from "./times.js";

// Modules that the first view does not need are loaded on demand, or when the first view is complete.
const later = {
  changes: () => import("./changes.js"),
  deployments: () => import("./deployments.js"),
  scenario: () => import("./scenario.js"),
  scenarios: () => import("./scenarios.js"),
  signIn: () => import("./sign_in.js"),
};

const main = document.getElementById("main");
const shown = { key: "", view: null };
let turn = 0;
let isAsked = false;

/** Return the view of an address: a view with the same `key` is kept, `place` is its part of the page. */
function route(hash) {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split("?");
  const [place = "", ...rest] = path.split("/").map(decoded);
  const asked = Object.fromEntries(new URLSearchParams(query));
  switch (place) {
    case "":
    case "mesh":
      return { key: "mesh", place: "mesh", make: meshView, parameters: { service: rest[0] } };
    case "new":
      return { key: "new", place: "scenarios", make: async () => (await later.scenario()).scenarioView(), parameters: { section: rest[0], overrides: query } };
    case "scenarios":
      if (!rest[0]) return { key: "scenarios", place, make: async () => (await later.scenarios()).scenariosView(), parameters: asked };
      return { key: `scenario ${rest[0]}`, place, make: async () => (await later.scenario()).scenarioView(rest[0]), parameters: { section: rest[1] } };
    case "deployments":
      return { key: place, place, make: async () => (await later.deployments()).deploymentsView(), parameters: asked };
    case "changes":
      return { key: place, place, make: async () => (await later.changes()).changesView(), parameters: asked };
    default:
      return { key: path, place: "", make: nothing, parameters: {} };
  }
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

const nothing = () => message("Page not found", "Check the address.");

function message(title, text) {
  const element = h("div.page", {}, h("div.empty", {}, h("h1", { tabindex: "-1" }, title), h("p", {}, text), h("a.button", { href: "#/mesh" }, "To the mesh")));
  return { title, element, update() {}, leave() {} };
}

async function show() {
  const mine = ++turn;
  const { key, place, make, parameters } = isAsked ? asking() : route(location.hash);
  // `#/new?users=pr-42` begins a scenario; other tools can link to it.
  if (key === "new" && parameters.overrides) {
    for (const row of parseWords(decoded(parameters.overrides.replaceAll("&", " "))).rows) addToNew(row);
    return location.replace("#/new");
  }
  const isOther = key !== shown.key;
  const isFirst = !shown.view;
  if (isOther) {
    const view = await made(make);
    // The user may have left while it was loading.
    if (mine !== turn) return view.leave();
    shown.view?.leave();
    Object.assign(shown, { key, view });
    main.replaceChildren(shown.view.element);
    scrollTo(0, 0);
  }
  for (const link of document.querySelectorAll("[data-place]")) {
    if (link.dataset.place === place) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${shown.view.title} · Detour`;
  shown.view.update(parameters);
  if (isOther && !isFirst) main.querySelector("h1")?.focus({ preventScroll: true });
}

/** Return a view, or an error message if its code can't be loaded. */
async function made(make) {
  try {
    return await make();
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return message("This view could not be loaded", "The server does not answer, or has been upgraded. Reload the page.");
  }
}

const asking = () => ({ key: "sign-in", place: "", make: async () => (await later.signIn()).signInView(isAsked), parameters: {} });

function ask(why) {
  if (isAsked) return;
  isAsked = why;
  show();
}

function showLive(state) {
  const live = document.getElementById("live");
  live.dataset.state = state;
  const words = { live: "Live", lost: "Reconnecting…", connecting: "Connecting" }[state];
  // Replaces the element instead of its text, so that the layout does not shift.
  if (live.firstElementChild.textContent !== words) live.firstElementChild.replaceWith(h("span", {}, words));
}

function showWho(who) {
  const signOut = () => {
    keepToken("");
    location.reload();
  };
  const place = document.getElementById("who");
  if (!who?.name) return place.replaceChildren();
  swap(
    place,
    who.role === "viewer" ? `${who.name} (viewer)` : who.name,
    token() && h("button.button.small", { type: "button", on: { click: signOut } }, "Sign out"),
  );
}

const THEMES = { "": ["like the system", "M10 3v14a7 7 0 0 0 0-14Z"], light: ["light", ""], dark: ["dark", "M10 3a7 7 0 1 0 0 14 7 7 0 0 0 0-14Z"] };

function offerThemes() {
  const button = document.getElementById("theme");
  const draw = () => {
    const [words, filled] = THEMES[document.documentElement.dataset.theme ?? ""];
    button.setAttribute("aria-label", `Colours: ${words}`);
    button.title = `Colours: ${words}`;
    button.replaceChildren(icon(filled));
  };
  button.addEventListener("click", () => {
    const names = Object.keys(THEMES);
    const next = names[(names.indexOf(document.documentElement.dataset.theme ?? "") + 1) % names.length];
    if (next) document.documentElement.dataset.theme = next;
    else delete document.documentElement.dataset.theme;
    try {
      if (next) localStorage.setItem("detour.theme", next);
      else localStorage.removeItem("detour.theme");
    } catch {
      // Without storage, the choice lasts until the page is reloaded.
    }
    draw();
  });
  draw();
}

function icon(filled) {
  return s(
    "svg",
    { viewBox: "0 0 20 20", "aria-hidden": "true" },
    s("circle", { cx: 10, cy: 10, r: 7 }),
    filled && s("path", { d: filled, fill: "currentColor" }),
  );
}

document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
addEventListener("hashchange", show);
onSignedOut((problem) => ask(problem.message));
me.listen(showWho);
showSwitch(document.getElementById("switch"));
offerThemes();
keepMoments();
const refused = location.search ? await (await later.signIn()).finishSignIn() : "";
// Before any fetch, so that no change is missed.
follow(showLive);
if (refused) ask(refused);
else await show();
// After the sign-in, because a refused request shows the sign-in view.
me.need();
overridesSwitch.need();
await shown.view?.ready;
for (const load of Object.values(later)) load().catch(() => {});
