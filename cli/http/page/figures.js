/**
 * Figures as text, and small pieces of a document.
 *
 * @module
 */

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** Bytes, with three digits. */
export function bytes(value) {
  let unit = 0;
  let rest = value;
  while (rest >= 1000 && unit < UNITS.length - 1) {
    rest /= 1024;
    unit++;
  }
  return `${digits(rest, unit > 0)} ${UNITS[unit]}`;
}

function digits(value, isDivided) {
  if (!isDivided) return String(Math.round(value));
  const places = value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return value.toFixed(places);
}

/** A number, with its thousands apart. */
export function count(value) {
  return Math.round(value).toLocaleString("en");
}

/** A duration, in the largest unit that fits. */
export function duration(seconds) {
  if (seconds < 0.001) return `${Math.round(seconds * 1e6)} µs`;
  if (seconds < 1) return `${(seconds * 1000).toPrecision(3)} ms`;
  if (seconds < 90) return `${Number(seconds.toPrecision(3))} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 90) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${minutes % 60} min`;
  return `${Math.round(hours / 24)} days`;
}

/** The time of day, and the date if that is another one. */
export function timeOf(milliseconds) {
  const time = new Date(milliseconds);
  const isToday = time.toDateString() === new Date().toDateString();
  return isToday
    ? time.toLocaleTimeString("en-GB")
    : time.toLocaleString("en-GB");
}

/** A number and its noun, which gets an "s" unless a plural is given. */
export function counted(value, one, many = `${one}s`) {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** An element with a text and a class. */
export function element(name, text = "", className = "") {
  const made = document.createElement(name);
  if (text !== "") made.textContent = text;
  if (className !== "") made.className = className;
  return made;
}

/** Finds an element by its id. */
export function byId(id) {
  return document.getElementById(id);
}

/** Shows pairs of a term and its value in a list. */
export function showPairs(list, pairs) {
  list.replaceChildren(
    ...pairs.flatMap(([term, value]) => [
      element("dt", term),
      element("dd", value),
    ]),
  );
}

/** A colour of the style sheet, as it is now. */
export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name)
    .trim();
}

/** A coloured square, and what it stands for. */
export function legendItem(fill, text, isHatched = false) {
  const item = element("li");
  const name = "http://www.w3.org/2000/svg";
  const square = document.createElementNS(name, "svg");
  square.setAttribute("viewBox", "0 0 14 14");
  square.setAttribute("aria-hidden", "true");
  const box = document.createElementNS(name, "rect");
  box.setAttribute("width", "14");
  box.setAttribute("height", "14");
  box.setAttribute("rx", "2");
  box.setAttribute("fill", fill);
  square.append(box);
  if (isHatched) {
    const line = document.createElementNS(name, "path");
    line.setAttribute("d", "M0 14 14 0");
    line.setAttribute("stroke", colour("--card"));
    line.setAttribute("stroke-width", "2.5");
    square.append(line);
  }
  item.append(square, element("span", text));
  return item;
}

/** Prepares a canvas for sharp lines, and clears it. */
export function context2d(canvas, width, height) {
  const scale = globalThis.devicePixelRatio || 1;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const context = canvas.getContext("2d");
  context.scale(scale, scale);
  return context;
}
