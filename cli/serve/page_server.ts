/**
 * Serves the page of a server of pools, for a browser: `serve --http`. The page
 * changes nothing without `--http-control`. All that it shows is made for all
 * viewers together, at most so often, so that viewers do not slow data down.
 *
 * @module
 */

import {
  type Address,
  isLocal,
  type SocketRights,
} from "../../nbd/listen/mod.ts";
import {
  HttpServer,
  jsonPage,
  LoadHistory,
  type MakePage,
  PAGE_FIELDS,
  pageFiles,
  pageGuard,
  pageStatus,
  sharedPage,
} from "../http/mod.ts";
import { log, printInternalError, printNotices } from "../terminal/mod.ts";
import { openHttpListener, urlOf } from "./http_listener.ts";
import { type FigureSources, gatherFigures, lookAtHosts } from "./figures.ts";
import { PageControl } from "./page_control.ts";
import { LatestMap } from "./latest_map.ts";
import { RecentEvents } from "./recent_events.ts";
import type { ServedPool } from "./served_pool.ts";

/** The beginning of the paths that show figures. */
const API = "/api/";
/** The pauses between two makings, milliseconds. */
const [STATUS_PAUSE_MS, HISTORY_PAUSE_MS] = [500, 1000];
/** The pause between two looks at the host's file systems, milliseconds. */
const HOSTS_PAUSE_MS = 5000;
/** Time between two samples of the load, milliseconds. */
const SAMPLE_MS = 2000;

/** How the page is served. */
export interface PageOptions extends SocketRights {
  /** The address to listen on. */
  readonly address: Address;
  /** The token that requests for figures need; none unless given. */
  readonly pageToken?: string;
  /** Whether viewers may change pools; no unless given. */
  readonly pageControl?: boolean;
  /** The state directory. */
  readonly stateDirectory: string;
  /** When the server started, ISO 8601. */
  readonly startedAt: string;
}

/** The page of a server. */
export class PageServer {
  readonly #sources: FigureSources;
  readonly #options: PageOptions;
  readonly #history = new LoadHistory();
  readonly #events = new RecentEvents();
  readonly #ended = new AbortController();
  readonly #maps = new WeakMap<ServedPool, LatestMap>();
  readonly #http: HttpServer;
  readonly #timer: ReturnType<typeof setInterval>;
  #isBugPrinted = false;
  #looksAgainAt = -Infinity;

  private constructor(
    listener: Deno.Listener,
    sources: FigureSources,
    options: PageOptions,
  ) {
    this.#sources = sources;
    this.#options = options;
    const { address, pageToken, pageControl = false } = options;
    const { stateDirectory } = options;
    const control = new PageControl({ pools: sources.pools, stateDirectory });
    for (const { pool } of sources.pools.live) this.#events.follow(pool);
    this.#http = new HttpServer(listener, {
      name: "page",
      pages: new Map([...pageFiles(), ...this.#apiPages()]),
      actions: pageControl
        ? new Map([[`${API}change`, control.act.bind(control)]])
        : new Map(),
      fields: PAGE_FIELDS,
      refusalOf: pageGuard({
        hostname: "path" in address ? undefined : address.hostname,
        token: pageToken,
        guarded: API,
      }),
      onBug: (error) => this.#onBug(error),
    });
    this.#timer = setInterval(() => this.#sample(), SAMPLE_MS);
  }

  /**
   * Starts to serve the page, and logs where.
   *
   * @param sources Where the figures are.
   * @param options How the page is served.
   * @returns The server.
   * @throws {VirstorError} `busy`, `exists`, `invalid`, `io` if it cannot
   *   listen.
   */
  static async open(
    sources: FigureSources,
    options: PageOptions,
  ): Promise<PageServer> {
    const { address } = options;
    const { listener, address: found } = await openHttpListener(
      address,
      options,
      "--http",
    );
    const server = new PageServer(listener, sources, options);
    log("page", `Shows its page on ${urlOf(found ?? address, "/")}`);
    if (!isLocal(address)) {
      printNotices([
        "The page is sent without encryption, and so is its token: use it in " +
        "a network you trust, or through a proxy with TLS",
      ]);
    }
    return server;
  }

  /** Closes the listener and all connections. */
  close(): void {
    clearInterval(this.#timer);
    this.#ended.abort();
    this.#http.close();
  }

  #apiPages(): Map<string, MakePage> {
    const status = sharedPage(() => this.#status(), STATUS_PAUSE_MS);
    const history = sharedPage(
      () => Promise.resolve(jsonPage(this.#history.samples)),
      HISTORY_PAUSE_MS,
    );
    return new Map<string, MakePage>([
      [`${API}status`, status],
      [`${API}history`, history],
      [`${API}map`, async ({ query }) => await this.#map(query.get("pool"))],
    ]);
  }

  async #status(): Promise<ReturnType<typeof jsonPage>> {
    // Each file system is a call that a thread waits for.
    if (performance.now() >= this.#looksAgainAt) {
      this.#looksAgainAt = performance.now() + HOSTS_PAUSE_MS;
      await lookAtHosts(this.#sources);
    }
    return jsonPage(pageStatus({
      figures: gatherFigures(this.#sources),
      events: this.#events.newest,
      startedAt: this.#options.startedAt,
      mayChange: this.#options.pageControl === true,
    }));
  }

  #map(name: string | null): ReturnType<MakePage> {
    const served = this.#sources.pools.live.find((one) => one.name === name);
    if (served === undefined) return Promise.resolve(undefined);
    let map = this.#maps.get(served);
    if (map === undefined) {
      map = new LatestMap(served.pool.view, this.#ended.signal);
      this.#maps.set(served, map);
    }
    return map.page();
  }

  /** Never throws. */
  #sample(): void {
    try {
      this.#history.take(gatherFigures(this.#sources));
    } catch (error) {
      this.#onBug(error);
    }
  }

  /** Pools can be used without their page, so the process goes on. */
  #onBug(error: unknown): void {
    if (!this.#isBugPrinted) printInternalError(error);
    this.#isBugPrinted = true;
  }
}
