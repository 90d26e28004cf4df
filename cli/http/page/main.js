/**
 * The page of a server of pools: asks for the figures while it can be seen, and
 * shows them.
 *
 * @module
 */

import { drawCharts } from "./charts.js";
import { prepareChanges, showChanges } from "./change.js";
import { ChunkMapView } from "./chunk_map.js";
import {
  byId,
  bytes,
  count,
  counted,
  duration,
  element,
  showPairs,
} from "./figures.js";
import { showTables } from "./tables.js";

/** How often each kind of figures is asked for, milliseconds. */
const [STATUS_MS, HISTORY_MS, MAP_MS] = [1000, 2000, 3000];
/** The pause after a failed request, milliseconds. */
const RETRY_MS = 3000;
const TOKEN_KEY = "virstor-token";

const map = new ChunkMapView();
let status;
let samples = [];
let chosen = "";
let isSignedOut = false;

/** Asks for figures; undefined if the server wants a token first. */
async function ask(what) {
  const token = sessionStorage.getItem(TOKEN_KEY);
  const response = await fetch(`api/${what}`, {
    headers: token === null ? {} : { authorization: `Bearer ${token}` },
  });
  if (response.status === 401) {
    signOut(token !== null);
    return undefined;
  }
  if (!response.ok) throw new Error(`The server answers ${response.status}`);
  return await response.json();
}

/** Sends a change of a pool; returns the answer, or throws the refusal. */
async function post(pool, call, request) {
  const token = sessionStorage.getItem(TOKEN_KEY) ?? "";
  const query = new URLSearchParams({ pool, call });
  const response = await fetch(`api/change?${query}`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${token}`,
      "content-type": "application/json",
    },
    body: JSON.stringify(request),
  });
  const isJson = response.headers.get("content-type") === "application/json";
  if (!isJson) throw new Error(`The server answers ${response.status}`);
  const { answer, error } = await response.json();
  if (error !== undefined) throw new Error(error.message);
  return answer;
}

function signOut(isWrong) {
  if (isWrong) {
    sessionStorage.removeItem(TOKEN_KEY);
    byId("sign-in-text").textContent = "The server does not know this token.";
  }
  if (isSignedOut) return;
  isSignedOut = true;
  byId("content").hidden = true;
  byId("sign-in").hidden = false;
  byId("connection").textContent = "";
  byId("token").focus();
}

byId("sign-in").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(TOKEN_KEY, byId("token").value.trim());
  byId("token").value = "";
  byId("sign-in").hidden = true;
  isSignedOut = false;
  byId("main").focus();
});

/** Repeats something while the page can be seen. */
async function repeat(pauseMs, act) {
  for (;;) {
    let pause = pauseMs;
    if (!document.hidden && !isSignedOut) {
      try {
        await act();
      } catch {
        const connection = byId("connection");
        connection.textContent = "No answer from the server";
        connection.className = "lost";
        pause = RETRY_MS;
      }
    }
    await new Promise((done) => setTimeout(done, pause));
  }
}

async function updateStatus() {
  const answer = await ask("status");
  if (answer === undefined) return;
  status = answer;
  const connection = byId("connection");
  connection.textContent = counted(status.connections, "client");
  connection.className = "";
  byId("content").hidden = false;
  show();
}

async function updateHistory() {
  const answer = await ask("history");
  if (answer === undefined) return;
  samples = answer;
  drawCharts(samples, status?.now ?? Date.now());
}

async function updateMap() {
  const pool = poolNow();
  if (pool === undefined) return;
  const answer = await ask(`map?pool=${encodeURIComponent(pool.name)}`);
  if (answer !== undefined && poolNow()?.name === pool.name) map.show(answer);
}

function poolNow() {
  const pools = status?.pools ?? [];
  return pools.find(({ name }) => name === chosen) ?? pools[0];
}

function show() {
  const pool = poolNow();
  showPools(pool);
  if (pool === undefined) return;
  document.title = `${pool.name} - virstor`;
  showVerdict(pool);
  showSpace(pool);
  showDelayed(pool);
  showEvacuation(pool.evacuation);
  showTables(pool, status);
  showChanges(pool, status.mayChange);
  const since = duration((status.now - Date.parse(status.startedAt)) / 1000);
  byId("about").textContent = `virstor ${status.version}, started ${since} ago`;
}

/** A button for each pool; they stay, so that the keyboard keeps its place. */
function showPools(pool) {
  const place = byId("pools");
  const names = status.pools.map(({ name }) => name);
  const shown = [...place.children].map((one) => one.textContent);
  if (names.join("\0") !== shown.join("\0")) {
    place.replaceChildren(...names.map((name) => {
      const button = element("button", name);
      button.addEventListener("click", () => {
        chosen = name;
        show();
        void updateMap().catch(() => {});
      });
      return button;
    }));
  }
  for (const button of place.children) {
    button.setAttribute("aria-current", button.textContent === pool?.name);
  }
}

function showVerdict(pool) {
  const [kind, text] = verdictOf(pool);
  byId("verdict").className = `card verdict ${kind}`;
  set(byId("verdict-title"), `${pool.name}: ${text}`);
  const list = byId("warnings");
  const left = pool.warningsLeft > 0
    ? [`and ${count(pool.warningsLeft)} more`]
    : [];
  const lines = [...pool.warnings, ...left];
  while (list.children.length > lines.length) list.lastChild.remove();
  for (const [i, line] of lines.entries()) {
    if (list.children[i] === undefined) list.append(element("li"));
    set(list.children[i], line);
  }
}

function verdictOf({ state, missing, readOnly, delayed, warnings }) {
  if (state !== "open") return ["bad", "takes no more writes"];
  if (missing > 0) {
    return [
      "bad",
      `degraded, ${counted(missing, "component is", "components are")} missing`,
    ];
  }
  if (delayed.count > 0) {
    return [
      "bad",
      `${counted(delayed.count, "write waits", "writes wait")} for space`,
    ];
  }
  if (warnings.length > 0) return ["warn", counted(warnings.length, "warning")];
  return ["", readOnly ? "healthy, open read-only" : "healthy"];
}

function set(place, text) {
  if (place.textContent !== text) place.textContent = text;
}

function showSpace(pool) {
  const { usedPercent: percent, chunkSize } = pool;
  const size = (chunks) => bytes(chunks * chunkSize);
  const ring = byId("gauge-used");
  ring.setAttribute("stroke-dasharray", `${Math.min(100, percent)} 100`);
  const kind = percent >= 95 ? " bad" : percent >= 80 ? " warn" : "";
  ring.setAttribute("class", `used${kind}`);
  set(byId("gauge-text"), `${percent} %`);
  byId("gauge").setAttribute("aria-label", `${percent} % in use`);
  showPairs(byId("space"), [
    ["In use", size(pool.usedChunks)],
    ["Free", size(pool.freeChunks)],
    ...pool.freeingChunks > 0
      ? [["Being freed", size(pool.freeingChunks)]]
      : [],
    ["All volumes", bytes(pool.virtualSize)],
    ["Chunks of", bytes(chunkSize)],
  ]);
}

function showDelayed({ delayed, onFull, fullTimeoutSeconds }) {
  const wait = fullTimeoutSeconds === 0
    ? "wait"
    : `wait ${duration(fullTimeoutSeconds)} at most`;
  showPairs(byId("delayed"), [
    ["Now", `${count(delayed.count)} (${bytes(delayed.bytes)})`],
    ["Limit", bytes(delayed.maxBytes)],
    ["Oldest", delayed.count === 0 ? "none" : duration(delayed.oldestSeconds)],
    ["Since the start", count(delayed.total)],
    ["Timed out", count(delayed.timedOut)],
    ["A full pool lets writes", onFull === "error" ? "fail" : wait],
  ]);
}

function showEvacuation(evacuation) {
  const progress = byId("evacuation-progress");
  progress.hidden = evacuation === null;
  if (evacuation === null) {
    set(byId("evacuation-text"), "No component is leaving.");
    byId("evacuation").replaceChildren();
    return;
  }
  const { components, state, reason, movedBytes, leftBytes } = evacuation;
  const [first = ""] = components;
  const names = components.length === 1
    ? first
    : counted(components.length, "component");
  const why = reason === "" ? "" : `: ${reason}`;
  set(byId("evacuation-text"), `${names}: ${state}${why}`);
  progress.value = movedBytes / Math.max(1, movedBytes + leftBytes);
  const { secondsLeft, bytesPerSecond } = evacuation;
  showPairs(byId("evacuation"), [
    ["Moved", bytes(movedBytes)],
    ["Left", bytes(leftBytes)],
    ["Rate", `${bytes(bytesPerSecond)}/s`],
    ["Time left", secondsLeft === null ? "unknown" : duration(secondsLeft)],
  ]);
}

// A link may bring the token, which must not stay in the address.
const [, token] = /^#token=(.+)$/.exec(location.hash) ?? [];
if (token !== undefined) {
  sessionStorage.setItem(TOKEN_KEY, decodeURIComponent(token));
  history.replaceState(null, "", location.pathname);
}
prepareChanges(post);
addEventListener(
  "resize",
  () => drawCharts(samples, status?.now ?? Date.now()),
);
await updateStatus().catch(() => {});
void repeat(STATUS_MS, updateStatus);
void repeat(HISTORY_MS, updateHistory);
void repeat(MAP_MS, updateMap);
