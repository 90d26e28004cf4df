/**
 * How a pool reaches components on other machines: the user of the library gives
 * the connections, this room does the rest.
 *
 * @module
 */

import type { FarDisk } from "./far_disk.ts";

/** A disk on another machine, connected. */
export type ConnectedDisk = FarDisk & {
  /** What the far side can do. */
  readonly capabilities: {
    /** Whether it refuses writes. */
    readonly readOnly: boolean;
  };
  /**
   * Changes how long requests wait for a connection. Absent where they never
   * fail.
   *
   * @param ms Milliseconds; 0: for ever.
   */
  stallAfter?(ms: number): void;
};

/** An event of a connection. */
export interface FarEvent {
  /** What happened: `connected`, `lost`, `retry`, ... */
  readonly kind: string;
  /** One line, without passwords. */
  readonly message: string;
}

/** How to connect. */
export interface FarConnectOptions {
  /** Whether the disk refuses writes. */
  readonly readOnly: boolean;
  /** Milliseconds after which stalled requests fail; 0, never. */
  readonly stallTimeoutMs: number;
  /** Ends the attempts to connect; it does nothing once it is connected. */
  readonly signal?: AbortSignal;
  /**
   * Identifies the disk behind a new connection: if the result is another than
   * the first, nothing must be written there.
   *
   * @param read Reads from the new connection.
   * @returns The identity.
   * @throws {VirstorError} `busy` if the disk must write nothing more at all.
   */
  readonly identify: (
    read: (offset: number, length: number) => Promise<Uint8Array>,
  ) => Promise<string>;
  /**
   * Called for each event of the connection.
   *
   * @param event The event.
   */
  readonly onEvent: (event: FarEvent) => void;
}

/**
 * How components on other machines are reached, and where their journals lie.
 * `connect` of {@linkcode NbdDisk} is made for it.
 */
export interface RemoteComponents {
  /**
   * Connects to a disk.
   *
   * @param uris URIs of the same disk, in the order in which to try them.
   * @param options How.
   * @returns The disk; it keeps connected, and loses no acknowledged write.
   */
  connect(
    uris: readonly string[],
    options: FarConnectOptions,
  ): Promise<ConnectedDisk>;
  /**
   * The directory of the journals, which exists. A pool must always be opened
   * with the same directory.
   */
  readonly journals: string;
  /** Bytes of a journal that is made. Default: 1 GiB. */
  readonly journalSize?: number;
  /** The name of this host, for messages elsewhere; the system's by default. */
  readonly host?: string;
  /**
   * Milliseconds in which the owner of a component rewrites its block twice.
   * Default: 12000.
   */
  readonly intervalMs?: number;
  /**
   * Whether to go on without a journal that is elsewhere, or lost: what was
   * written to the component and not flushed is lost then. Default: false.
   */
  readonly withoutJournal?: boolean;
  /**
   * Called for what the user should know, in one line.
   *
   * @param message The line.
   */
  readonly onNotice?: (message: string) => void;
}
