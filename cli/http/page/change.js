/**
 * Changes of a pool from the page: `serve --http-control`. The server checks
 * them all; nothing here is more than a question to it.
 *
 * @module
 */

import { byId, bytes, counted, element } from "./figures.js";

/** The factors of sizes, as commands take them. */
const FACTORS = { "": 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };

let send;
let pool;
let isBusy = false;
/** The component whose removal waits for the second press. */
let planned;

/**
 * Prepares the forms.
 *
 * @param post Sends a change, and returns the answer.
 */
export function prepareChanges(post) {
  send = post;
  onSubmit("change-add", addComponent);
  onSubmit("change-remove", removeComponent);
  onSubmit("change-snapshot", takeSnapshot);
  byId("remove-path").addEventListener("change", forgetPlan);
}

/** Shows the forms for a pool. */
export function showChanges(now, mayChange) {
  byId("change").hidden = !mayChange;
  if (!mayChange) return;
  if (pool?.name !== now.name) {
    forgetPlan();
    say("");
  }
  pool = now;
  fill("remove-path", now.components.map(({ path }) => path));
  fill("snapshot-volume", now.volumes.map(({ name }) => name));
  nameButton();
}

function onSubmit(id, act) {
  byId(id).addEventListener("submit", async (event) => {
    event.preventDefault();
    if (isBusy) return;
    isBusy = true;
    say("Working");
    try {
      say(await act());
    } catch (error) {
      say(error.message, true);
      forgetPlan();
    } finally {
      isBusy = false;
      nameButton();
    }
  });
}

async function addComponent() {
  const path = byId("add-path").value.trim();
  const size = byId("add-size").value.trim();
  const request = size === ""
    ? { paths: [path] }
    : { paths: [path], createSize: sizeOf(size) };
  const { components, notices, warnings } = await send(
    pool.name,
    "add",
    request,
  );
  byId("change-add").reset();
  const done = `Added ${counted(components.length, "component")}.`;
  return [done, ...notices ?? [], ...warnings].join(" ");
}

async function removeComponent() {
  const path = byId("remove-path").value;
  if (isLeaving(path)) {
    await send(pool.name, "cancelRemove", { paths: [path] });
    return `Kept ${path}.`;
  }
  if (planned !== path) {
    const plan = await send(pool.name, "planRemove", { paths: [path] });
    const what = `${bytes(plan.usedBytes)} of ${path} would move, ` +
      `${bytes(plan.freeBytes)} are free on the others`;
    if (!plan.fits) return `${what}: they do not fit.`;
    planned = path;
    return `${what}. Press again to remove it.`;
  }
  planned = undefined;
  const { removed } = await send(pool.name, "remove", { paths: [path] });
  return removed.length > 0 ? `Removed ${path}.` : `${path} is leaving.`;
}

async function takeSnapshot() {
  const volume = byId("snapshot-volume").value;
  const snapshot = byId("snapshot-name").value.trim();
  const of = volume === pool.name ? "" : volume;
  const snapshots = [{ volume: of, snapshot }];
  await send(pool.name, "takeSnapshots", { snapshots });
  byId("change-snapshot").reset();
  return `Took snapshot ${snapshot} of ${volume}.`;
}

function isLeaving(path) {
  return pool?.components.find((one) => one.path === path)?.evacuating === true;
}

function forgetPlan() {
  planned = undefined;
  nameButton();
}

function nameButton() {
  const path = byId("remove-path").value;
  const name = isLeaving(path)
    ? "Keep it"
    : planned === path && path !== ""
    ? "Remove it now"
    : "Remove";
  const button = byId("remove-button");
  if (button.textContent !== name) button.textContent = name;
}

function say(text, isBad = false) {
  const place = byId("change-answer");
  place.textContent = text;
  place.className = isBad ? "bad" : "";
}

/** A number of bytes, or throws. */
function sizeOf(text) {
  const [, digits, letter] = /^(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?$/i
    .exec(text) ?? [];
  const size = Number(digits) * FACTORS[(letter ?? "").toUpperCase()];
  if (digits !== undefined && size > 0) return Math.round(size);
  throw new Error(`"${text}" is no size: for instance 10G`);
}

/** Changes the choices only if they are others, so that the chosen one stays. */
function fill(id, names) {
  const place = byId(id);
  const shown = [...place.options].map(({ value }) => value);
  if (shown.join("\0") === names.join("\0")) return;
  const chosen = place.value;
  place.replaceChildren(...names.map((name) => element("option", name)));
  if (names.includes(chosen)) place.value = chosen;
  else if (id === "remove-path") forgetPlan();
}
