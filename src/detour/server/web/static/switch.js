// The kill switch: a banner while overrides are switched off, and a button for admins.

import { ask } from "./api.js";
import { h, swap } from "./dom.js";
import { notify } from "./notices.js";
import { me, overridesSwitch } from "./resources.js";

/** Show a banner in an element while overrides are off; for admins, always show a button. */
export function showSwitch(place) {
  const draw = () => {
    const found = overridesSwitch.value;
    place.hidden = !found || (found.state === "on" && me.value?.role !== "admin");
    if (place.hidden) return swap(place);
    place.classList.toggle("off", found.state === "off");
    swap(place, found.state === "off" ? banner(found) : offer());
  };
  overridesSwitch.listen(draw);
  me.listen(draw);
}

function banner({ reason, by, since }) {
  const when = since ? ` since ${new Date(since).toLocaleString()}` : "";
  return [
    h("strong", {}, "Overrides are switched off"),
    h("span", {}, ` by ${by}${when}${reason ? `: ${reason}` : ""}. The baseline answers every request.`),
    me.value?.role === "admin" && button("Switch overrides on", () => change("on", "")),
  ];
}

function offer() {
  return button("Switch overrides off", () => {
    const reason = prompt("Every sidecar and edge will ignore overrides and scenarios. Reason:");
    if (reason !== null) change("off", reason);
  });
}

const button = (label, act) => h("button.button.small", { type: "button", "data-key": "switch", on: { click: act } }, label);

async function change(state, reason) {
  try {
    await ask("v1/overrides", { method: "PUT", body: { state, reason } });
    await overridesSwitch.load();
  } catch (problem) {
    notify(problem.message);
  }
}
