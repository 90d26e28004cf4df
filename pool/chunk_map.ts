/**
 * The map of chunks, for a picture: the chunks of each component and of each
 * volume, summed up in cells. However large the pool is, the map has a few
 * thousand cells, and its making holds the event loop for a millisecond at
 * most, a tenth of the time.
 *
 * @module
 */

import type { Component, ForwardMap } from "./core/mod.ts";
import type { PoolBase, VolumeParts } from "./io/mod.ts";

/** The most cells of all components, and of all volumes. */
const CELLS_MAX = 2048;
/** The most components, and the most volumes, that have cells. */
const ROWS_MAX = 256;
/** How long the event loop is held at a time, milliseconds. */
const WORK_MS = 1;
/** The pause after it, as a multiple of it. */
const PAUSE_FACTOR = 9;
/** Chunks between two looks at the clock. */
const CHUNKS_A_LOOK = 128;

/** The chunks of a component or of a volume, in cells. */
export interface ChunkRow {
  /** The path of the component, or the name of the volume. */
  readonly name: string;
  /** Whether it is a component that is being evacuated. */
  readonly isLeaving: boolean;
  /** How many chunks it has, mapped or not. */
  readonly chunks: number;
  /** How many chunks a cell stands for; the last cell may have fewer. */
  readonly chunksPerCell: number;
  /** The mapped chunks of each cell. */
  readonly mapped: readonly number[];
  /** Those of them that a snapshot or a clone has, too. */
  readonly shared: readonly number[];
  /**
   * Those of them that are on a component that is being evacuated, and the new
   * places of chunks that are being moved.
   */
  readonly moving: readonly number[];
  /**
   * What most chunks of the cell belong to, if they have most of it: the index
   * of the volume (of the component for a volume); -1 for an empty cell.
   */
  readonly owner: readonly number[];
}

/** The map of the chunks of a pool. */
export interface ChunkMap {
  /** Bytes of a chunk. */
  readonly chunkSize: number;
  /** The components in order, 256 at most. */
  readonly components: readonly ChunkRow[];
  /** The volumes, the first one first, 256 at most. */
  readonly volumes: readonly ChunkRow[];
  /** Volumes and components that have no cells. */
  readonly left: number;
}

/**
 * Makes the map of chunks. Other work goes on meanwhile, so the cells of a pool
 * that is written to are of slightly different times.
 *
 * @param base The open pool.
 * @param signal Ends the making.
 * @returns The map; of what was seen so far, if the signal has come.
 */
export async function mapChunks(
  base: PoolBase,
  signal: AbortSignal,
): Promise<ChunkMap> {
  const members = base.format.members.slice(0, ROWS_MAX);
  const volumes = base.volumes.slice(0, ROWS_MAX);
  const perMember = Math.floor(CELLS_MAX / Math.max(1, members.length));
  const perVolume = Math.floor(CELLS_MAX / Math.max(1, volumes.length));
  const rows = new Map(members.map((one, index) => [
    one,
    { index, cells: new Cells(one.geometry.chunkCount, perMember) },
  ]));
  const pace = new Pace(signal);
  const ofVolumes: Cells[] = [];
  for (const [index, volume] of volumes.entries()) {
    const cells = new Cells(volume.map.virtualChunks, perVolume);
    ofVolumes.push(cells);
    await new Walk(volume, index, cells, rows).run(pace);
  }
  noteNewPlaces(rows);
  return {
    chunkSize: base.settings.chunkSize,
    components: Array.from(
      rows,
      ([{ device, evacuating }, { cells }]) =>
        cells.rowOf(device.path, evacuating),
    ),
    volumes: volumes.map(({ record }, index) =>
      (ofVolumes[index] ?? new Cells(0, 1)).rowOf(record.name, false)
    ),
    left: base.format.members.length + base.volumes.length - members.length -
      volumes.length,
  };
}

/** Chunks that are being moved have their new places already. */
function noteNewPlaces(rows: Rows): void {
  const byDevice = new Map(
    Array.from(rows, ([{ device }, { cells }]) => [device as unknown, cells]),
  );
  for (const { moves } of rows.keys()) {
    for (const { target, to } of moves?.moves ?? []) {
      byDevice.get(target.device)?.note(to, -1, false, true);
    }
  }
}

/** The cells of one row. */
class Cells {
  readonly chunksPerCell: number;
  readonly count: number;
  readonly #chunks: number;
  readonly #mapped: Uint32Array;
  readonly #shared: Uint32Array;
  readonly #moving: Uint32Array;
  /** The candidates of a vote (after Boyer and Moore), and their lead. */
  readonly #owner: Int32Array;
  readonly #lead: Int32Array;

  constructor(chunks: number, most: number) {
    this.#chunks = chunks;
    this.chunksPerCell = Math.max(1, Math.ceil(chunks / Math.max(1, most)));
    const count = this.count = Math.ceil(chunks / this.chunksPerCell);
    this.#mapped = new Uint32Array(count);
    this.#shared = new Uint32Array(count);
    this.#moving = new Uint32Array(count);
    this.#owner = new Int32Array(count).fill(-1);
    this.#lead = new Int32Array(count);
  }

  note(
    chunk: number,
    owner: number,
    isShared: boolean,
    isMoving: boolean,
  ): void {
    const cell = Math.floor(chunk / this.chunksPerCell);
    add(this.#mapped, cell, 1);
    if (isShared) add(this.#shared, cell, 1);
    if (isMoving) add(this.#moving, cell, 1);
    if (this.#lead[cell] === 0) this.#owner[cell] = owner;
    add(this.#lead, cell, this.#owner[cell] === owner ? 1 : -1);
  }

  rowOf(name: string, isLeaving: boolean): ChunkRow {
    return {
      name,
      isLeaving,
      chunks: this.#chunks,
      chunksPerCell: this.chunksPerCell,
      mapped: Array.from(this.#mapped),
      shared: Array.from(this.#shared),
      moving: Array.from(this.#moving),
      owner: Array.from(this.#owner),
    };
  }
}

function add(counts: Uint32Array | Int32Array, at: number, more: number): void {
  counts[at] = (counts[at] ?? 0) + more;
}

type Rows = ReadonlyMap<
  Component,
  { readonly index: number; readonly cells: Cells }
>;

/** Looks at the chunks of one volume. */
class Walk {
  readonly #map: ForwardMap;
  readonly #index: number;
  readonly #cells: Cells;
  readonly #rows: Rows;

  constructor(
    { map }: VolumeParts,
    index: number,
    cells: Cells,
    rows: Rows,
  ) {
    this.#map = map;
    this.#index = index;
    this.#cells = cells;
    this.#rows = rows;
  }

  /** Goes through the chunks cell by cell: the volume may be mostly empty. */
  async run(pace: Pace): Promise<void> {
    const { count, chunksPerCell } = this.#cells;
    for (let cell = 0; cell < count && !pace.isOver; cell++) {
      const from = cell * chunksPerCell;
      const end = Math.min(from + chunksPerCell, this.#map.virtualChunks);
      let next = this.#map.view.nextMapped(from, end);
      while (next < end && !pace.isOver) {
        this.#see(next);
        if (pace.isDue(1)) await pace.rest();
        next = this.#map.view.nextMapped(next + 1, end);
      }
      // To pass empty pages takes time, too.
      if (pace.isDue(4 + chunksPerCell / 8192)) await pace.rest();
    }
  }

  #see(chunk: number): void {
    const map = this.#map;
    const own = map.component(chunk);
    // What a clone has of its parent is counted there.
    const component = own ?? map.view.component(chunk);
    const isShared = own === undefined || map.writable(chunk) === undefined;
    const isMoving = component?.evacuating === true;
    const row = component === undefined ? undefined : this.#rows.get(component);
    this.#cells.note(chunk, row?.index ?? -1, isShared, isMoving);
    if (own !== undefined) {
      row?.cells.note(map.chunk(chunk), this.#index, isShared, isMoving);
    }
    if (map.old.size === 0) return;
    for (const { component, chunk: place } of map.old.of(chunk)) {
      const { evacuating } = component;
      this.#rows.get(component)?.cells
        .note(place, this.#index, true, evacuating);
    }
  }
}

/** Works a little, and rests nine times as long. */
class Pace {
  readonly #signal: AbortSignal;
  #steps = 0;
  #since = performance.now();

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  get isOver(): boolean {
    return this.#signal.aborted;
  }

  isDue(steps: number): boolean {
    this.#steps += steps;
    if (this.#steps < CHUNKS_A_LOOK) return false;
    this.#steps = 0;
    return performance.now() - this.#since >= WORK_MS;
  }

  async rest(): Promise<void> {
    const worked = performance.now() - this.#since;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, PAUSE_FACTOR * worked);
    const end = () => resolve();
    this.#signal.addEventListener("abort", end);
    await promise;
    clearTimeout(timer);
    this.#signal.removeEventListener("abort", end);
    this.#since = performance.now();
  }
}
