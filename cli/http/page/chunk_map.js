/**
 * The map of chunks: a block of cells for each component or volume.
 *
 * @module
 */

import { byId, colour, context2d, count, legendItem } from "./figures.js";

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
/** The height of the name above a block, and the gap below a block. */
const [NAME_HEIGHT, BLOCK_GAP] = [18, 8];

/** The map on the page. */
export class ChunkMapView {
  #map;
  #blocks = [];
  #cell = CELL_MAX;
  #perLine = 1;
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
      .addEventListener("change", redraw);
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
    const cells = rows.reduce((sum, { mapped }) => sum + mapped.length, 0);
    const fitting = Math.sqrt(width * 260 / Math.max(1, cells));
    this.#cell = Math.max(CELL_MIN, Math.min(CELL_MAX, Math.floor(fitting)));
    this.#perLine = Math.max(1, Math.floor(width / this.#cell));
    let [top, left] = [0, 0];
    this.#blocks = [];
    const most = Math.max(1, ...rows.map(({ mapped }) => mapped.length));
    // Short blocks stand side by side.
    const blockWidth = Math.max(most * this.#cell, 110) + 12;
    const aLine = most < this.#perLine / 2
      ? Math.max(1, Math.floor((width + 12) / blockWidth))
      : 1;
    for (const [index, row] of rows.entries()) {
      const lines = Math.ceil(row.mapped.length / this.#perLine);
      const height = NAME_HEIGHT + lines * this.#cell + BLOCK_GAP;
      const room = aLine === 1 ? width : blockWidth - 12;
      this.#blocks.push({ row, top, left, height, room });
      if ((index + 1) % aLine === 0) [top, left] = [top + height, 0];
      else left += blockWidth;
    }
  }

  #paint(context, width) {
    const [text, muted] = [colour("--text"), colour("--muted")];
    context.font = "12px system-ui, sans-serif";
    context.textBaseline = "top";
    for (const { row, top, left, room } of this.#blocks) {
      const note = row.isLeaving ? ", leaving" : "";
      context.fillStyle = note === "" ? muted : text;
      const name = shortened(context, row.name, note, Math.min(room, width));
      context.fillText(name, left, top + 2);
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
    const owners = this.#owners.slice(0, OWNERS.length).map(({ name }, index) =>
      legendItem(OWNERS[index], name)
    );
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
    const steps = {
      ArrowRight: 1,
      ArrowLeft: -1,
      ArrowDown: this.#perLine,
      ArrowUp: -this.#perLine,
      Home: -Infinity,
      End: Infinity,
    };
    const step = steps[event.key];
    if (event.key === "Escape") return this.#select(undefined);
    if (step === undefined || this.#blocks.length === 0) return;
    event.preventDefault();
    if (this.#at === undefined) return this.#select({ block: 0, cell: 0 });
    let { block, cell } = this.#at;
    const lengthOf = (index) => this.#blocks[index].row.mapped.length;
    cell += step;
    if (cell >= lengthOf(block) && block < this.#blocks.length - 1) {
      [block, cell] = [block + 1, 0];
    } else if (cell < 0 && block > 0) {
      block--;
      cell = lengthOf(block) - 1;
    }
    cell = Math.max(0, Math.min(lengthOf(block) - 1, cell));
    this.#select({ block, cell });
  }
}

/** How many chunks a cell stands for. */
function chunksIn({ chunks, chunksPerCell }, cell) {
  return Math.min(chunksPerCell, chunks - cell * chunksPerCell);
}

let known;
let knownAt = -1;

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
