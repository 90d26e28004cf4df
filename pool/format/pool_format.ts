/**
 * What a pool asks of its on-disk format. One implementation a format; the
 * pool does not know which it has.
 *
 * @module
 */

import type { Component, Finding, ForwardMap } from "../core/mod.ts";
import type { ComponentLayout } from "../member/mod.ts";

/** The formats there are. */
export type FormatName =
  | "native" // format 2: every component describes itself
  | "freebsd"; // format 1: that of FreeBSD's gvirstor

/** How the pool's own state reaches its components. */
export interface PoolFormat {
  /** Which format this is. */
  readonly name: FormatName;
  /** The components, in their order on disk. */
  readonly members: readonly Component[];
  /** What new components have to be like. */
  readonly layout: ComponentLayout;
  /**
   * Whether components are filled in their order, and no chunk is ever given
   * back. Else any free chunk will do.
   */
  readonly isDense: boolean;

  /**
   * Makes it known, in the page cache, that a virtual chunk has a place.
   * Called after its data are there and before the write is acknowledged.
   *
   * @param virtualChunk The virtual chunk.
   * @param component Where it is.
   * @param chunk The chunk on that component.
   * @throws {VirstorError} `io`: what is on disk is then unknown.
   */
  recordMapping(
    virtualChunk: number,
    component: Component,
    chunk: number,
  ): void;

  /**
   * Makes it known, in the page cache, that chunks are nobody's any more. Not
   * for dense formats.
   *
   * @param component Where they are.
   * @param chunks Their numbers on it, best in ascending order.
   * @throws {VirstorError} `io`: what is on disk is then unknown.
   */
  recordRelease(component: Component, chunks: readonly number[]): void;

  /**
   * Makes it known, in the page cache, that from now on chunks are allocated
   * on another component. Called before the first of them.
   *
   * @param full The component that has no free chunk left.
   * @param next The component that is next.
   * @throws {VirstorError} `io`.
   */
  recordSwitch(full: Component, next: Component): void;

  /**
   * Brings what is on disk up to date, durably, at a clean stop. Everything
   * that was written before is durable already.
   *
   * @throws {VirstorError} `io`.
   */
  stop(): Promise<void>;

  /**
   * Makes components members, durably and in one atomic step.
   *
   * @param added New components, their indexes set.
   * @param onCommit Called when it is done and chunks may be allocated there.
   * @throws {VirstorError} `failed` if it is unknown what is on disk; with
   *   any other code the members are as they were.
   */
  addMembers(
    added: readonly Component[],
    onCommit: () => void,
  ): Promise<void>;

  /**
   * Ends the membership of components that hold no chunk, durably and in one
   * atomic step, and takes their labels away.
   *
   * @param removed Members.
   * @param onCommit Called right after the step is done on disk.
   * @throws {VirstorError} `failed` if it is unknown what is on disk.
   */
  removeMembers(
    removed: readonly Component[],
    onCommit: () => void,
  ): Promise<void>;

  /**
   * Says of components, durably and in one atomic step, that they are to
   * leave, or that they stay. Not for dense formats.
   *
   * @param evacuating Which members are to leave: these and no others.
   * @throws {VirstorError} `failed` if it is unknown what is on disk.
   */
  setEvacuating(evacuating: ReadonlySet<Component>): Promise<void>;

  /**
   * Gives the virtual disk another size, durably and in one atomic step.
   *
   * @param virtualSize Bytes, checked by the caller: whole chunks, nothing
   *   mapped beyond.
   * @throws {VirstorError} `unsupported`; `failed` if it is unknown what is on
   *   disk.
   */
  resize(virtualSize: number): Promise<void>;

  /**
   * Compares what is on disk with what is in memory.
   *
   * @param map The forward map in memory.
   * @returns What does not agree.
   */
  check(map: ForwardMap): Promise<Finding[]>;
}
