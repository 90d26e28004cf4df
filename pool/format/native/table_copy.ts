/**
 * Copying the chunk table of an open component into another table, while
 * entries change.
 *
 * @module
 */

import { Slice } from "../../../device/block/mod.ts";
import type { FlushObserver } from "../../../device/file/mod.ts";
import type { NativeGeometry } from "../../../metadata/native/mod.ts";
import { type ComponentDevice, turn } from "../../core/mod.ts";

/** What a copy needs of a table. */
interface CopiedTable extends FlushObserver {
  readonly device: ComponentDevice;
  readonly geometry: NativeGeometry;
  pageAt(page: number): Uint8Array | undefined;
  adopt(page: number, bytes: Uint8Array): void;
}

/** A copy of a table that is kept up to date. */
export class TableCopy {
  readonly #table: CopiedTable;
  readonly #next: CopiedTable;
  /** The pages below this number are in `#next`. */
  #copied = 0;

  /**
   * Begins without pages. Flushes count for both tables from now on.
   *
   * @param table The table; its changes are to be passed to
   *   {@linkcode changed}.
   * @param next A blank table of the same component, with as many pages or more.
   */
  constructor(table: CopiedTable, next: CopiedTable) {
    this.#table = table;
    this.#next = next;
    table.device.observer = {
      flushBegins: () => [table, next].forEach((one) => one.flushBegins()),
      flushEnds: () => [table, next].forEach((one) => one.flushEnds()),
    };
  }

  /**
   * Copies all pages, in the page cache, a slice at a time.
   *
   * @throws {VirstorError} `io`, `corrupt` if a page on disk is damaged.
   */
  async run(): Promise<void> {
    const slice = new Slice(1);
    slice.begin();
    for (let page = 0; page < this.#table.geometry.tablePages; page++) {
      const bytes = this.#table.pageAt(page);
      if (bytes !== undefined) this.#next.adopt(page, bytes);
      this.#copied = page + 1;
      if (!slice.spend(1)) continue;
      await turn();
      slice.begin();
    }
  }

  /**
   * Takes over a page that has changed, unless it is yet to be copied.
   *
   * @param page The page, from 0.
   * @param bytes Its content.
   */
  changed(page: number, bytes: Uint8Array): void {
    if (page < this.#copied) this.#next.adopt(page, bytes);
  }
}

/**
 * Describes damage of a table.
 *
 * @param path The path of the component.
 * @param position Where it is, bytes.
 * @param fault What it is.
 * @returns The text of an error.
 */
export function damageText(
  path: string,
  position: number,
  fault: string,
): string {
  return `Cannot use the chunk table of "${path}" at byte ${position}: ${fault}`;
}
