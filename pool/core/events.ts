/**
 * The events of a pool. An event is plain data: it survives `JSON.stringify`,
 * and its message is one line for a log.
 *
 * @module
 */

/** A step of the recovery after a crash. */
export type RecoveryStep =
  | "chunks-freed" // chunks that nothing refers to are being freed
  | "gaps-closed" // chunks moved into gaps of the allocation (format 1)
  | "label-covered" // the last chunk covers the label: never used (format 1)
  | "label-updated" // the label had missed a change (format 1)
  | "label-wiped" // the component is no member: it left, or never joined
  | "left-out" // the component is no member, but keeps its label
  | "slot-wiped"; // a slot of the chunk table was unsound (format 2)

/** How the connection to a component on another machine has changed. */
export type RemoteChange =
  | "answers" // the far side answers again
  | "away" // requests fail until there is a connection
  | "connected" // there is a connection again
  | "failed" // nothing more is written there, until the pool is opened anew
  | "failed-over" // there is a connection again, by way of another URI
  | "lost" // the connection has ended; requests wait
  | "replayed" // what the far side may have lost is written again
  | "stalled"; // the far side leaves requests unanswered; they wait

/** What each kind of event carries, besides its kind and its message. */
export interface PoolEventData {
  /** Components joined. */
  readonly added: {
    /** Paths of the components. */
    readonly paths: readonly string[];
  };
  /** The first write waits for space. */
  readonly delayed: {
    /** How long a write waits at most, seconds; 0 for no limit. */
    readonly fullTimeoutSeconds: number;
  };
  /** A removal was cancelled. */
  readonly evacuation: {
    /** Paths of the components that stay. */
    readonly paths: readonly string[];
  };
  /** An error stopped the evacuation. */
  readonly "evacuation-failed": {
    /** Paths of the components that were being evacuated. */
    readonly paths: readonly string[];
    /** The error, in one line. */
    readonly reason: string;
  };
  /** The pool takes no more writes. */
  readonly failed: {
    /** Why, in one line; as in the status of the pool. */
    readonly reason: string;
  };
  /** A step of the recovery after a crash; only while the pool is opened. */
  readonly recovered: {
    /** Which step. */
    readonly step: RecoveryStep;
    /** Paths of the components that were repaired; [] if they are many. */
    readonly paths: readonly string[];
    /** Chunks that were moved or are being freed. */
    readonly chunks: number;
  };
  /** Components left. */
  readonly removed: {
    /** Paths of the components. */
    readonly paths: readonly string[];
  };
  /** What removed snapshots or a removed volume have left is free. */
  readonly freed: {
    /** What was removed, as `VOLUME` and `VOLUME@SNAPSHOT`. */
    readonly names: readonly string[];
    /** How many chunks. */
    readonly chunks: number;
  };
  /** The host's file system under a component is full. */
  readonly "host-full": {
    /** Path of the component. */
    readonly path: string;
  };
  /** A change has ended whose caller was refused, since a far side was silent. */
  readonly "late-change": {
    /** Path of the component that had held it up. */
    readonly path: string;
    /** Whether it is done; else it has failed. */
    readonly isDone: boolean;
  };
  /**
   * A component cannot be read, and its removal has accepted that: a range of
   * volumes and snapshots reads as zeroes.
   */
  readonly lost: {
    /** Path of the component. */
    readonly path: string;
    /** What has lost it, as `VOLUME` and `VOLUME@SNAPSHOT`. */
    readonly names: readonly string[];
    /** Where it is in each of them, bytes. */
    readonly offset: number;
    /** How long it is, bytes. */
    readonly length: number;
  };
  /** The connection to a component on another machine has changed. */
  readonly remote: {
    /** Path of the component: its URIs. */
    readonly path: string;
    /** How: see {@linkcode RemoteChange}. */
    readonly state: RemoteChange;
    /** The URI in use, or that was in use last. */
    readonly uri: string;
  };
  /** A volume has another size. */
  readonly resized: {
    /** The name of the volume; the first one has the pool's. */
    readonly volume: string;
    /** The new size, bytes. */
    readonly virtualSize: number;
  };
  /** No write waits for space any more. */
  readonly resumed: {
    /** Chunks that are free now. */
    readonly freeChunks: number;
  };
  /** Unmapped chunks could not be freed; the next open frees them. */
  readonly space: {
    /** Path of the component. */
    readonly path: string;
    /** How many chunks. */
    readonly chunks: number;
    /** The error, in one line. */
    readonly reason: string;
  };
  /** A watermark was passed. */
  readonly watermark: {
    /**
     * What is counted: free chunks (also as bytes or percent, or against the
     * used ones), components without mapped chunks, or free bytes of a host's
     * file system.
     */
    readonly mark: "chunks" | "components" | "space" | "used" | "host";
    /** How many there are. */
    readonly count: number;
    /** The minimum that `count` fell below. */
    readonly minimum: number;
    /** How many there would be in an empty pool, or file system. */
    readonly total: number;
    /** Paths of the components on the file system; [] for the other marks. */
    readonly paths: readonly string[];
  };
}

/** The kinds of events. */
export type PoolEventKind = keyof PoolEventData;

/** An event of a pool; `kind` tells which data it carries. */
export type PoolEvent<Kind extends PoolEventKind = PoolEventKind> = {
  [K in Kind]:
    & {
      /** The kind of event. */
      readonly kind: K;
      /** One line to show to users. */
      readonly message: string;
    }
    & PoolEventData[K];
}[Kind];

/** What a slow subscriber gets in place of events that were dropped. */
export interface MissedEvents {
  /** Distinguishes it from the events of the pool. */
  readonly kind: "missed";
  /** One line to show to users. */
  readonly message: string;
  /** How many events were dropped: the oldest that had not been read. */
  readonly count: number;
}
