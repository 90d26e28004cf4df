/**
 * What the page shows of the server and its pools, bounded in length whatever
 * the pools have.
 *
 * @module
 */

import config from "../../deno.json" with { type: "json" };
import { COMMAND_READ, COMMAND_WRITE } from "../../nbd/wire/mod.ts";
import type { PoolStatus } from "../../pool/mod.ts";
import type { Page } from "./http_server.ts";
import type { MetricsSource, PoolFigures } from "./metrics_source.ts";

/** The most components, volumes, clients, ... of a pool that are listed. */
const LISTED_MAX = 256;
/** The most warnings that are listed. */
const WARNINGS_MAX = 20;

/** Something that has happened. */
export interface PageEvent {
  /** When, milliseconds since 1970. */
  readonly time: number;
  /** The name of the pool. */
  readonly pool: string;
  /** The kind of event. */
  readonly kind: string;
  /** One line. */
  readonly message: string;
}

/** What the page is made of. */
export interface PageSource {
  /** The figures. */
  readonly figures: MetricsSource;
  /** The newest events, the newest first. */
  readonly events: readonly PageEvent[];
  /** When the server started, ISO 8601. */
  readonly startedAt: string;
  /** Whether viewers may change the pools. */
  readonly mayChange: boolean;
}

/**
 * Makes a page of JSON.
 *
 * @param value The value.
 * @returns The page.
 */
export function jsonPage(value: unknown): Page {
  const body = new TextEncoder().encode(JSON.stringify(value));
  return { type: "application/json", body };
}

/**
 * Describes the server and its pools.
 *
 * @param source What the page is made of.
 * @returns What the page shows; it can be written as JSON.
 */
export function pageStatus(
  { figures, events, startedAt, mayChange }: PageSource,
): unknown {
  const { clients } = figures;
  return {
    version: config.version,
    startedAt,
    mayChange,
    now: Date.now(),
    connections: clients.length,
    pools: figures.pools.map((pool) => poolOf(pool, figures)),
    clients: clients.slice(0, LISTED_MAX),
    clientsLeft: Math.max(0, clients.length - LISTED_MAX),
    events,
  };
}

function poolOf(figures: PoolFigures, { load }: MetricsSource): unknown {
  const { status, exports } = figures;
  const { components, volumes, warnings, missing, ...rest } = status;
  const listed = exports.slice(0, LISTED_MAX);
  return {
    ...rest,
    missing: missing.length,
    warnings: warnings.slice(0, WARNINGS_MAX),
    warningsLeft: Math.max(0, warnings.length - WARNINGS_MAX),
    components: components.slice(0, LISTED_MAX),
    componentsLeft: Math.max(0, components.length - LISTED_MAX),
    volumes: volumes.slice(0, LISTED_MAX).map(volumeOf),
    volumesLeft: Math.max(0, volumes.length - LISTED_MAX),
    exports: listed.map(({ name, connections }) => {
      const times = load.byExport.get(name);
      return {
        name,
        connections,
        inFlight: load.inFlight.get(name) ?? 0,
        reads: times?.of(COMMAND_READ).count ?? 0,
        writes: times?.of(COMMAND_WRITE).count ?? 0,
      };
    }),
  };
}

function volumeOf(
  { name, size, mappedChunks, snapshots }: PoolStatus["volumes"][number],
): unknown {
  return { name, size, mappedChunks, snapshots: snapshots.length };
}
