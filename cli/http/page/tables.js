/**
 * The tables of a pool.
 *
 * @module
 */

import { byId, bytes, count, counted, element, timeOf } from "./figures.js";

/** What columns are: a header, a class, and what a row shows. */
const COMPONENT_COLUMNS = [
  ["Path", "path", (one) => one.path],
  ["Size", "number", (one) => bytes(one.size)],
  ["Used", "bar", (one) => bar(one.usedPercent, one.path)],
  ["", "number", (one) => `${one.usedPercent} %`],
  ["Free chunks", "number", (one) => count(one.free)],
  [
    "Free on its disk",
    "number",
    (one) => one.hostFree === null ? "unknown" : bytes(one.hostFree),
  ],
  ["Errors", "number", errorsOf],
  ["State", "flag", stateOf],
];

const VOLUME_COLUMNS = [
  ["Name", "", (one) => one.name],
  ["Size", "number", (one) => bytes(one.size)],
  ["Mapped", "number", (one) => bytes(one.mapped)],
  ["Snapshots", "number", (one) => count(one.snapshots)],
  ["In flight", "number", (one) => count(one.inFlight)],
  ["Requests", "number", (one) => count(one.requests)],
];

const CLIENT_COLUMNS = [
  ["Client", "", (one) => `${one.id}`],
  ["Address", "text", (one) => one.peer],
  ["Process", "number", (one) => one.pid === null ? "" : `${one.pid}`],
  ["Export", "name", (one) => one.exportName ?? "negotiates"],
  ["Read", "number", (one) => bytes(one.bytesRead)],
  ["Written", "number", (one) => bytes(one.bytesWritten)],
  ["In flight", "number", (one) => count(one.inFlight)],
];

const EVENT_COLUMNS = [
  ["Time", "", (one) => timeOf(one.time)],
  ["Event", "text", (one) => one.kind],
  ["What", "message", (one) => one.message],
];

/** Shows all tables. */
export function showTables(pool, { clients, clientsLeft, events }) {
  show("components", COMPONENT_COLUMNS, pool.components, pool.componentsLeft);
  show("volumes", VOLUME_COLUMNS, volumesOf(pool), pool.volumesLeft);
  const own = clients.filter((one) => isOf(pool, one.exportName));
  show("clients", CLIENT_COLUMNS, own, clientsLeft, "No client is connected");
  const ownEvents = events.filter((one) => one.pool === pool.name);
  show("events", EVENT_COLUMNS, ownEvents, 0, "Nothing has happened yet");
}

function errorsOf({ errors }) {
  if (errors === null) return "";
  return count(errors.reads + errors.writes + errors.flushes);
}

function stateOf({ evacuating, refusedSince }) {
  if (refusedSince !== null) return "its disk is full";
  return evacuating ? "leaving" : "";
}

/** Whether a client belongs to a pool, or has not chosen an export. */
function isOf({ name }, exportName) {
  return exportName === undefined || exportName === name ||
    exportName.startsWith(`${name}/`) || exportName.startsWith(`${name}@`);
}

function volumesOf(pool) {
  const exports = new Map(pool.exports.map((one) => [one.name, one]));
  return pool.volumes.map((volume) => {
    const name = volume.name === pool.name
      ? pool.name
      : `${pool.name}/${volume.name}`;
    const { inFlight = 0, reads = 0, writes = 0 } = exports.get(name) ?? {};
    const mapped = volume.mappedChunks * pool.chunkSize;
    return { ...volume, mapped, inFlight, requests: reads + writes };
  });
}

function bar(percent, name) {
  const made = element("progress");
  made.max = 100;
  made.value = percent;
  made.setAttribute("aria-label", `Used of ${name}`);
  return made;
}

/** Changes only what is different, so that a reader keeps its place. */
function show(id, columns, rows, left, none = "None") {
  const place = byId(id);
  if (rows.length === 0) {
    place.replaceChildren(element("p", none, "muted"));
    return;
  }
  let body = place.querySelector("tbody");
  if (body === null) {
    const table = element("table");
    const head = element("tr");
    for (const [title, className] of columns) {
      const cell = element(title === "" ? "td" : "th", title, className);
      if (title !== "") cell.scope = "col";
      head.append(cell);
    }
    const top = element("thead");
    top.append(head);
    body = element("tbody");
    table.append(top, body);
    place.replaceChildren(table, element("p", "", "muted"));
  }
  while (body.rows.length > rows.length) body.deleteRow(-1);
  for (const [index, row] of rows.entries()) {
    fill(body.rows[index] ?? newRow(body, columns), columns, row);
  }
  place.lastChild.textContent = left > 0
    ? `and ${counted(left, "more", "more")}`
    : "";
}

function newRow(body, columns) {
  const row = body.insertRow();
  for (const [index, [, className]] of columns.entries()) {
    const cell = element(index === 0 ? "th" : "td", "", className);
    if (index === 0) cell.scope = "row";
    row.append(cell);
  }
  return row;
}

function fill(row, columns, value) {
  for (const [index, [, , show]] of columns.entries()) {
    const cell = row.cells[index];
    const shown = show(value);
    if (typeof shown !== "string") cell.replaceChildren(shown);
    else if (cell.textContent !== shown) cell.replaceChildren(...parts(shown));
  }
}

/** A path may be broken behind each slash. */
function parts(text) {
  return text.split(/(?<=\/)/).flatMap((part, index) =>
    index === 0 ? [part] : [element("wbr"), part]
  );
}
