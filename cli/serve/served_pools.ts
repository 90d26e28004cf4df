/**
 * The pools of a server: opened together, stopped one by one or all at once.
 *
 * @module
 */

import { VirstorError } from "../../errors.ts";
import type { NbdExport } from "../../nbd/server/export/mod.ts";
import type { PoolOptions } from "../../pool/mod.ts";
import { printError } from "../terminal/mod.ts";
import type { StartWait } from "./wait_for_components.ts";
import { ServedPool, type ServerCalls } from "./served_pool.ts";
import type { PoolSource } from "./pool_source.ts";

/** Open pools; closed pools keep their places. */
export class ServedPools {
  readonly #all: ServedPool[] = [];
  /** Pools that are served; stopped pools stay in `#all` only. */
  readonly #live = new Set<ServedPool>();
  /** Closed pools of which not everything is durable, in order of closing. */
  readonly #failures = new Map<ServedPool, VirstorError>();

  /** All pools, in the order of their opening. */
  get all(): readonly ServedPool[] {
    return this.#all;
  }

  /** The pools that are served now, in the same order. */
  get live(): readonly ServedPool[] {
    return this.#all.filter((served) => this.#live.has(served));
  }

  /**
   * The exports: those of the first volumes in the order of the pools, so that
   * the first is the default export, then the others. Of a name that two pools
   * claim, `a/b` for instance, the pool that has it gets it.
   */
  get exports(): NbdExport[] {
    const all = [
      ...this.#all.flatMap(({ exports }) => exports.slice(0, 1)),
      ...this.#all.flatMap(({ exports }) => exports.slice(1)),
    ];
    const names = new Set<string>();
    return all.filter(({ name }) => {
      const isNew = !names.has(name);
      names.add(name);
      return isNew;
    });
  }

  /**
   * Finds the pool of an export, also by a name that the pool had before: a
   * client keeps the name that it has asked for.
   *
   * @param exportName The name of the export, which may be one of before.
   * @returns The pool.
   */
  ownerOf(exportName: string): ServedPool | undefined {
    const now = this.#all.map((served) => ({ name: served.name, served }));
    const before = this.#all.flatMap((served) =>
      served.formerNames.map((name) => ({ name, served }))
    );
    return ownerAmong(now, exportName) ?? ownerAmong(before, exportName);
  }

  /**
   * The name of an export as new clients have to ask for it.
   *
   * @param exportName The name that a client has asked for.
   * @returns The name with the present name of its pool.
   */
  presentName(exportName: string): string {
    const owner = this.ownerOf(exportName);
    const former = owner?.formerNames.find((name) => leads(name, exportName));
    if (owner === undefined || former === undefined) return exportName;
    return leads(owner.name, exportName)
      ? exportName
      : owner.name + exportName.slice(former.length);
  }

  /**
   * Refuses a name that another pool of the server has or had: clients may
   * still be connected to it by that name. Refuses a pool that has another name
   * than the request means.
   *
   * @param served The pool that is to be renamed.
   * @param to Its new name.
   * @param meant The name that it is meant to have; default: any.
   * @throws {VirstorError} `exists`; `not-found` if it has another name.
   */
  admitName(served: ServedPool, to: string, meant = served.name): void {
    if (meant !== served.name) {
      throw new VirstorError(
        "not-found",
        `Cannot rename pool "${meant}" to "${to}": it has been renamed to ` +
          `"${served.name}" meanwhile; use that name`,
      );
    }
    const other = this.#all.find((one) =>
      one !== served && [one.name, ...one.formerNames].includes(to)
    );
    if (other === undefined) return;
    throw new VirstorError(
      "exists",
      `Cannot rename pool "${served.name}" to "${to}": it is the name of ` +
        "another pool of this server, or was it; choose another name",
    );
  }

  /** The first pool that was closed and is not durable: why it is not. */
  get firstFailure(): VirstorError | undefined {
    const [failure] = this.#failures.values();
    return failure;
  }

  /**
   * Opens pools, one after the other.
   *
   * @param sources The pools.
   * @param stateDirectory The state directory.
   * @param options The options of `openPool`, for each pool.
   * @param calls The calls that concern the whole server.
   * @param wait How long to wait for components.
   * @throws {VirstorError} As `ServedPool.open`; the pools before stay open.
   */
  async open(
    sources: readonly PoolSource[],
    stateDirectory: string,
    options: PoolOptions,
    calls: ServerCalls,
    wait: StartWait,
  ): Promise<void> {
    for (const source of sources) {
      const open = () =>
        ServedPool.open(source, stateDirectory, options, calls);
      const served = await wait.open(source, open);
      this.#all.push(served);
      this.#live.add(served);
    }
  }

  /**
   * Counts a pool as stopped, before it is closed.
   *
   * @param served The pool.
   * @returns Whether other pools are still served.
   */
  retire(served: ServedPool): boolean {
    this.#live.delete(served);
    return this.#live.size > 0;
  }

  /**
   * Closes a pool, and prints an error if not everything is durable.
   *
   * @param served The pool; it may be closed already.
   */
  async close(served: ServedPool): Promise<void> {
    try {
      await served.close();
    } catch (error) {
      if (!(error instanceof VirstorError)) throw error;
      if (this.#failures.has(served)) return;
      this.#failures.set(served, error);
      printError(`virstor: ${error.message}`);
    }
  }

  /** Closes all pools, at the same time. */
  async closeAll(): Promise<void> {
    await Promise.all(this.#all.map((served) => this.close(served)));
  }

  /**
   * Why a closed pool is not durable.
   *
   * @param served The pool.
   * @returns The error; undefined if everything is durable.
   */
  failureOf(served: ServedPool): VirstorError | undefined {
    return this.#failures.get(served);
  }
}

/** Whether an export is that of a pool, of its volumes or its snapshots. */
function leads(pool: string, exportName: string): boolean {
  return exportName === pool || exportName.startsWith(`${pool}/`) ||
    exportName.startsWith(`${pool}@`);
}

/** The pool of exactly this name, else that of the longest one that leads. */
function ownerAmong(
  pools: readonly { readonly name: string; readonly served: ServedPool }[],
  exportName: string,
): ServedPool | undefined {
  const owner = pools.find(({ name }) => name === exportName) ??
    pools.filter(({ name }) => leads(name, exportName))
      .toSorted((a, b) => b.name.length - a.name.length)[0];
  return owner?.served;
}
