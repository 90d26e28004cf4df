/**
 * The map of chunks: a block of cells for each component or volume.
 *
 * @module
 */

import {
  byId,
  colour,
  context2d,
  count,
  element,
  legendItem,
} from "./figures.js";

/** Colours that can be told apart (after Okabe and Ito). */
const OWNERS = [
  "#0072b2",
  "#e69f00",
  "#009e73",
  "#cc79a7",
  "#56b4e9",
  "#d55e00",
  "#8c8c00",
  "#7a5cc8",
];
/** The largest and the smallest cell, pixels, with the gap between cells. */
const [CELL_MAX, CELL_MIN, GAP] = [20, 7, 1];
/** The keys that move from cell to cell. */
const KEYS = [
  ...["ArrowRight", "ArrowLeft", "ArrowDown", "ArrowUp"],
  ...["Home", "End", "PageUp", "PageDown"],
];
/** The height of the name above a block, and the gap below a block. */
const [NAME_HEIGHT, BLOCK_GAP] = [18, 8];

/** The map on the page. */
export class ChunkMapView {
  #map;
  #blocks = [];
  #cell = CELL_MAX;
  #perLine = 1;
  /** How many blocks stand side by side. */
  #aLine = 1;
  /** The cell that the keyboard or the pointer is on. */
  #at;
  #canvas = byId("map");

  constructor() {
    const redraw = () => this.draw();
    byId("map-rows").addEventListener("change", () => {
      this.#at = undefined;
      redraw();
    });
    byId("map-colours").addEventListener("change", redraw);
    new ResizeObserver(redraw).observe(this.#canvas.parentElement);
    matchMedia("(prefers-color-scheme: dark)")
      .addEventListener("change", () => {
        knownAt = -Infinity;
        redraw();
      });
    this.#canvas.addEventListener("keydown", (event) => this.#onKey(event));
    this.#canvas.addEventListener(
      "pointermove",
      (event) => this.#onPoint(event),
    );
    this.#canvas.addEventListener(
      "pointerleave",
      () => this.#select(undefined),
    );
  }

  /** Shows another map, as the server has sent it. */
  show(map) {
    if (map.isPending) return;
    this.#map = map;
    this.draw();
  }

  get #rows() {
    return document.querySelector("input[name=rows]:checked").value;
  }

  get #byOwner() {
    return document.querySelector("input[name=colours]:checked").value ===
      "owner";
  }

  /** What the owners of cells are. */
  get #owners() {
    return this.#rows === "components"
      ? this.#map.volumes
      : this.#map.components;
  }

  draw() {
    byId("owner-label").textContent = this.#rows === "components"
      ? "by volume"
      : "by component";
    const width = this.#canvas.parentElement.clientWidth;
    if (this.#map === undefined || width === 0) return;
    this.#layOut(width);
    const last = this.#blocks.at(-1);
    const height = last === undefined ? 0 : last.top + last.height;
    this.#canvas.style.height = `${height}px`;
    const context = context2d(this.#canvas, width, height);
    this.#paint(context, width);
    this.#tellLegend();
    this.#tellCell();
  }

  /** Finds the size of the cells, and the place of each block. */
  #layOut(width) {
    const rows = this.#map[this.#rows];
    const names = shortNames(rows.map(({ name }) => name));
    const cells = rows.reduce((sum, { mapped }) => sum + mapped.length, 0);
    const fitting = Math.sqrt(width * 260 / Math.max(1, cells));
    this.#cell = Math.max(CELL_MIN, Math.min(CELL_MAX, Math.floor(fitting)));
    this.#perLine = Math.max(1, Math.floor(width / this.#cell));
    let [top, left] = [0, 0];
    this.#blocks = [];
    const most = Math.max(1, ...rows.map(({ mapped }) => mapped.length));
    // Short blocks stand side by side.
    const blockWidth = Math.max(most * this.#cell, 110) + 12;
    const aLine = this.#aLine = most < this.#perLine / 2
      ? Math.max(1, Math.floor((width + 12) / blockWidth))
      : 1;
    for (const [index, row] of rows.entries()) {
      const lines = Math.ceil(row.mapped.length / this.#perLine);
      const height = NAME_HEIGHT + lines * this.#cell + BLOCK_GAP;
      const room = aLine === 1 ? width : blockWidth - 12;
      this.#blocks.push({ row, name: names[index], top, left, height, room });
      if ((index + 1) % aLine === 0) [top, left] = [top + height, 0];
      else left += blockWidth;
    }
  }

  #paint(context, width) {
    const [text, muted] = [colour("--text"), colour("--muted")];
    context.font = "12px system-ui, sans-serif";
    context.textBaseline = "top";
    for (const { row, name, top, left, room } of this.#blocks) {
      const note = row.isLeaving ? ", leaving" : "";
      context.fillStyle = note === "" ? muted : text;
      const most = Math.min(room, width);
      context.fillText(shortened(context, name, note, most), left, top + 2);
      for (let cell = 0; cell < row.mapped.length; cell++) {
        this.#paintCell(context, row, cell, this.#placeOf(top, left, cell));
      }
    }
    if (this.#at === undefined) return;
    const { block, cell } = this.#at;
    const { top, left } = this.#blocks[block] ?? {};
    if (top === undefined) return;
    const [x, y] = this.#placeOf(top, left, cell);
    context.strokeStyle = text;
    context.lineWidth = 2;
    context.strokeRect(x, y, this.#cell - GAP, this.#cell - GAP);
  }

  #placeOf(top, left, cell) {
    return [
      left + cell % this.#perLine * this.#cell,
      top + NAME_HEIGHT + Math.floor(cell / this.#perLine) * this.#cell,
    ];
  }

  #paintCell(context, row, cell, [x, y]) {
    const size = this.#cell - GAP;
    const mapped = row.mapped[cell];
    context.fillStyle = colours().hole;
    context.fillRect(x, y, size, size);
    if (mapped === 0) return;
    const whole = chunksIn(row, cell);
    context.globalAlpha = 0.35 + 0.65 * Math.min(1, mapped / whole);
    context.fillStyle = this.#colourOf(row, cell);
    context.fillRect(x, y, size, size);
    context.globalAlpha = 1;
    if (this.#byOwner || row.shared[cell] === 0) return;
    // Shared chunks have a line, too, for viewers that see no colours.
    context.strokeStyle = colours().card;
    context.lineWidth = Math.max(1, size / 6);
    context.beginPath();
    context.moveTo(x, y + size);
    context.lineTo(x + size, y);
    context.stroke();
  }

  #colourOf(row, cell) {
    const { used, shared, moving, muted } = colours();
    if (this.#byOwner) {
      const owner = row.owner[cell];
      return owner < 0 ? muted : OWNERS[owner % OWNERS.length];
    }
    if (row.moving[cell] > 0) return moving;
    return row.shared[cell] * 2 >= row.mapped[cell] ? shared : used;
  }

  #tellLegend() {
    const { hole, used, shared, moving } = colours();
    const isPhysical = this.#rows === "components";
    const names = shortNames(this.#owners.map(({ name }) => name));
    const owners = names.slice(0, OWNERS.length).map((name, index) =>
      legendItem(OWNERS[index], name)
    );
    const left = names.length - owners.length;
    if (left > 0) {
      owners.push(
        element("li", `and ${count(left)} more, in the same colours`),
      );
    }
    const states = [
      legendItem(used, "Mapped; paler if only partly"),
      legendItem(shared, "Shared with snapshots or clones", true),
      legendItem(moving, "Leaving, or a new place for what leaves"),
    ];
    byId("map-legend").replaceChildren(
      legendItem(hole, isPhysical ? "Free" : "Hole"),
      ...this.#byOwner ? owners : states,
    );
  }

  #tellCell() {
    const place = byId("map-cell");
    if (this.#at === undefined) {
      place.textContent = "Point to a cell, or use the arrow keys.";
      return;
    }
    const { block, cell } = this.#at;
    const { row } = this.#blocks[block] ?? {};
    if (row === undefined || cell >= row.mapped.length) return;
    const first = cell * row.chunksPerCell;
    const whole = chunksIn(row, cell);
    const chunks = whole === 1
      ? `chunk ${count(first)}`
      : `chunks ${count(first)} to ${count(first + whole - 1)}`;
    const owner = this.#owners[row.owner[cell]]?.name;
    place.textContent = [
      `${row.name}, ${chunks}: ${count(row.mapped[cell])} mapped`,
      ...row.shared[cell] > 0 ? [`${count(row.shared[cell])} shared`] : [],
      ...row.moving[cell] > 0 ? [`${count(row.moving[cell])} leaving`] : [],
      ...owner === undefined
        ? []
        : [`${this.#rows === "components" ? "of" : "on"} ${owner}`],
    ].join(", ");
  }

  #select(at) {
    const [was, is] = [this.#at, at];
    if (was?.block === is?.block && was?.cell === is?.cell) return;
    this.#at = at;
    this.draw();
  }

  #onPoint({ offsetX: x, offsetY: y }) {
    for (const [block, { row, top, left, height }] of this.#blocks.entries()) {
      if (y < top || y >= top + height || x < left) continue;
      const line = Math.floor((y - top - NAME_HEIGHT) / this.#cell);
      const column = Math.floor((x - left) / this.#cell);
      const cell = line * this.#perLine + column;
      const isIn = line >= 0 && column < this.#perLine &&
        cell < row.mapped.length;
      if (isIn) return this.#select({ block, cell });
    }
    this.#select(undefined);
  }

  #onKey(event) {
    if (event.key === "Escape") return this.#select(undefined);
    const at = this.#afterKey(event.key);
    if (at === undefined) return;
    event.preventDefault();
    this.#select(at);
    this.#showBlock(at);
  }

  /** The cell that a key leads to; undefined if it is no key of the map. */
  #afterKey(key) {
    const last = this.#blocks.length - 1;
    if (!KEYS.includes(key) || last < 0) return undefined;
    const { block, cell } = this.#at ?? {};
    if (block === undefined || key === "Home") return this.#cellOf(0, 0);
    switch (key) {
      case "End":
        return this.#cellOf(last, Infinity);
      case "PageUp":
        return this.#cellOf(cell > 0 ? block : block - 1, 0);
      case "PageDown":
        return this.#cellOf(block + 1, block === last ? Infinity : 0);
      case "ArrowLeft":
        return cell > 0 || block === 0
          ? this.#cellOf(block, cell - 1)
          : this.#cellOf(block - 1, Infinity);
      case "ArrowRight":
        return cell < this.#lengthOf(block) - 1 || block === last
          ? this.#cellOf(block, cell + 1)
          : this.#cellOf(block + 1, 0);
      case "ArrowUp":
        return cell >= this.#perLine || block < this.#aLine
          ? this.#cellOf(block, cell - this.#perLine)
          : this.#inLastLine(block - this.#aLine, cell);
      default:
        return this.#isInLastLine(block, cell) && block + this.#aLine <= last
          ? this.#cellOf(block + this.#aLine, cell % this.#perLine)
          : this.#cellOf(block, cell + this.#perLine);
    }
  }

  #lengthOf(block) {
    return this.#blocks[block].row.mapped.length;
  }

  #isInLastLine(block, cell) {
    const lineOf = (one) => Math.floor(one / this.#perLine);
    return lineOf(cell) === lineOf(this.#lengthOf(block) - 1);
  }

  /** The cell of a block's last line that is in the column of a cell. */
  #inLastLine(block, cell) {
    const last = this.#lengthOf(block) - 1;
    return this.#cellOf(block, last - last % this.#perLine + cell);
  }

  /** The nearest cell that exists. */
  #cellOf(block, cell) {
    const near = Math.max(0, Math.min(this.#blocks.length - 1, block));
    const last = Math.max(0, this.#lengthOf(near) - 1);
    return { block: near, cell: Math.max(0, Math.min(last, cell)) };
  }

  /** Scrolls the frame of the map to a cell, and its name if there is room. */
  #showBlock({ block, cell }) {
    const frame = this.#canvas.parentElement;
    const { top, left } = this.#blocks[block];
    const y = this.#canvas.offsetTop - frame.offsetTop +
      this.#placeOf(top, left, cell)[1];
    const high = y - NAME_HEIGHT;
    const low = y + this.#cell - frame.clientHeight;
    frame.scrollTop = Math.max(low, Math.min(high, frame.scrollTop));
  }
}

/** How many chunks a cell stands for. */
function chunksIn({ chunks, chunksPerCell }, cell) {
  return Math.min(chunksPerCell, chunks - cell * chunksPerCell);
}

let known;
let knownAt = -Infinity;

/** The colours of the style sheet: to ask for them takes long. */
function colours() {
  const now = performance.now();
  if (now - knownAt < 100) return known;
  knownAt = now;
  const names = ["hole", "used", "shared", "moving", "muted", "card"];
  return known = Object.fromEntries(
    names.map((name) => [name, colour(`--${name}`)]),
  );
}

/** Names without the directory that all of them are in. */
function shortNames(names) {
  const [first = ""] = names;
  let end = first.lastIndexOf("/") + 1;
  while (
    end > 0 && !names.every((one) => one.startsWith(first.slice(0, end)))
  ) {
    end = first.lastIndexOf("/", end - 2) + 1;
  }
  return names.map((one) => one.slice(end));
}

/** The end of a path says most. */
function shortened(context, name, note, width) {
  let text = name;
  while (
    text.length > 1 && context.measureText(`…${text}${note}`).width > width
  ) {
    text = text.slice(Math.ceil(text.length / 12));
  }
  return `${text === name ? "" : "…"}${text}${note}`;
}
