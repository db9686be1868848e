// The page put together: which view an address shows, and what stands around it.

import { keepToken, onSignedOut, token } from "./api.js";
import { h, s, swap } from "./dom.js";
import { addToNew } from "./drafts.js";
import { meshView } from "./mesh_view.js";
import { parseWords } from "./overrides.js";
import { follow, me, overridesSwitch } from "./resources.js";
import { showSwitch } from "./switch.js";
import { keepMoments } from "./times.js";

// What the first view does not need comes when it is wanted, or when there is nothing else to do.
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

/** What an address shows: `key` says whether a view stays, `place` which part of the page it is in. */
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

const nothing = () => message("There is nothing here", "The address may be mistyped.");

function message(title, text) {
  const element = h("div.page", {}, h("div.empty", {}, h("h1", { tabindex: "-1" }, title), h("p", {}, text), h("a.button", { href: "#/mesh" }, "To the mesh")));
  return { title, element, update() {}, leave() {} };
}

async function show() {
  const mine = ++turn;
  const { key, place, make, parameters } = isAsked ? asking() : route(location.hash);
  // `#/new?users=pr-42` begins a scenario, from wherever somebody put such a link.
  if (key === "new" && parameters.overrides) {
    for (const row of parseWords(decoded(parameters.overrides.replaceAll("&", " "))).rows) addToNew(row);
    return location.replace("#/new");
  }
  const isOther = key !== shown.key;
  const isFirst = !shown.view;
  if (isOther) {
    const view = await made(make);
    // Its reader may have gone on while it came.
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

/** Return a view; one that says so if its code can't be had. */
async function made(make) {
  try {
    return await make();
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return message("This part could not be loaded", "The server does not answer, or is another one by now. Load the page again.");
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
  // Another element, and not another text: nothing on the page has moved.
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
      // No storage: it holds until the page is loaded again.
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
// Before anything is fetched, so that no change is missed.
follow(showLive);
if (refused) ask(refused);
else await show();
// Not before a sign-in is finished: a page that is refused asks who its reader is.
me.need();
overridesSwitch.need();
await shown.view?.ready;
for (const load of Object.values(later)) load().catch(() => {});
