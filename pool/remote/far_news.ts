/**
 * What becomes of the connection to a component on another machine, as events of
 * its pool; without a pool, as notices.
 *
 * @module
 */

import { counted } from "../../errors.ts";
import type { PoolEvent } from "../core/mod.ts";
import type { FarDisk } from "./far_disk.ts";
import type { FarEvent } from "./remote_components.ts";
import { SILENT_MS } from "./watched_far.ts";

/**
 * Receives events of connections.
 *
 * @param event The event.
 */
export type OnRemoteEvent = (event: PoolEvent<"remote">) => void;

/** How a connection changes. */
type Change = PoolEvent<"remote">["state"];

/** Where the news go. */
export interface FarNewsOptions {
  /** The URIs of the component, without passwords. */
  readonly path: string;
  /** Receives the events, if there is a pool. */
  readonly onEvent: OnRemoteEvent | undefined;
  /** Receives their messages otherwise. */
  readonly onNotice: ((message: string) => void) | undefined;
}

/** The news of one connection. */
export class FarNews {
  /** The disk, once it is connected. */
  far: Pick<FarDisk, "status"> | undefined;
  readonly #options: FarNewsOptions;
  #isLost = false;
  #isSilent = false;
  /** The path to another disk that was reported since the disk was lost. */
  #passed = "";
  /** The URI that was in use last. */
  #uri = "";

  /**
   * Begins with the first connection.
   *
   * @param options Where the news go.
   */
  constructor(options: FarNewsOptions) {
    this.#options = options;
  }

  /**
   * Hears of an event of the disk. Attempts to connect are no news.
   *
   * @param event The event.
   */
  heard({ kind, message }: FarEvent): void {
    const { path } = this.#options;
    if (kind === "lost" || kind === "away" || kind === "failed") {
      if (!this.#isLost) this.#uri = this.#inUse;
      this.#isLost = true;
      this.#isSilent = false;
      this.#say(kind, message);
    } else if (kind === "connected" && this.#isLost) {
      this.#isLost = false;
      this.#passed = "";
      const before = this.#uri;
      this.#uri = this.#inUse;
      if (before === this.#uri) this.#say("connected", message);
      else this.#say("failed-over", `"${path}" uses "${this.#uri}" now`);
    } else if (kind === "replayed") this.#say(kind, message);
    else if (kind === "passed" && this.#isLost && this.#passed !== message) {
      // Once, not with each attempt to connect.
      this.#passed = message;
      this.#say("lost", message);
    }
  }

  /**
   * Hears that the far side has been silent for long, or answers again. That a
   * lost connection is silent is no news.
   *
   * @param isSilent Whether it is silent.
   */
  silent(isSilent: boolean): void {
    if (this.#isLost || this.#isSilent === isSilent) return;
    this.#isSilent = isSilent;
    const { path } = this.#options;
    if (!isSilent) this.#say("answers", `"${path}" answers again`);
    else {
      const seconds = counted(SILENT_MS / 1000, "second");
      this.#say("stalled", `"${path}" has not answered for ${seconds}`);
    }
  }

  get #inUse(): string {
    return this.far?.status?.().path ?? this.#options.path;
  }

  #say(state: Change, message: string): void {
    const { path, onEvent, onNotice } = this.#options;
    const uri = this.#uri === "" ? this.#inUse : this.#uri;
    // Without a pool, the command ends with what failed because of it.
    if (onEvent !== undefined) {
      onEvent({ kind: "remote", message, path, state, uri });
    } else if (state !== "away") onNotice?.(message);
  }
}
