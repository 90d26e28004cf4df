/**
 * Serves the metrics of pools over HTTP.
 *
 * @module
 */

import { VirstorError } from "../../errors.ts";
import {
  type Address,
  isLocal,
  type OpenListener,
  openListener,
  type SocketRights,
} from "../../nbd/listen/mod.ts";
import { HttpServer, metricsPage } from "../http/mod.ts";
import { log, printInternalError, printNotices } from "../terminal/mod.ts";
import { type FigureSources, gatherFigures, lookAtHosts } from "./figures.ts";

/** The path of the page. */
const PATH = "/metrics";

/**
 * Starts to serve metrics, and logs where.
 *
 * @param address The address to listen on.
 * @param rights The permissions of a Unix socket.
 * @param parts Where the figures are.
 * @returns The server.
 * @throws {VirstorError} `busy`, `exists`, `invalid`, `io` if it cannot listen.
 */
export async function serveMetrics(
  address: Address,
  rights: SocketRights,
  parts: FigureSources,
): Promise<HttpServer> {
  const { listener, address: found } = await open(address, rights);
  let isBugPrinted = false;
  const server = new HttpServer(listener, {
    name: "metrics",
    pages: new Map([[
      PATH,
      metricsPage(async () => {
        await lookAtHosts(parts);
        return gatherFigures(parts);
      }),
    ]]),
    // Pools can be used without their metrics, so the process goes on.
    onBug: (error) => {
      if (!isBugPrinted) printInternalError(error);
      isBugPrinted = true;
    },
  });
  log("metrics", `Serves metrics on ${urlOf(found ?? address)}`);
  if (!isLocal(address)) {
    printNotices([
      "Any client that reaches the address of the metrics can read them: " +
      "there is no encryption and no password",
    ]);
  }
  return server;
}

/** Opens the listener. Names the option that chooses another port. */
async function open(
  address: Address,
  rights: SocketRights,
): Promise<OpenListener> {
  try {
    return await openListener(address, rights);
  } catch (error) {
    if ("path" in address || !(error instanceof VirstorError)) throw error;
    if (error.code !== "busy") throw error;
    const message = `${error.message} with --metrics HOST:PORT`;
    throw new VirstorError("busy", message, { cause: error });
  }
}

function urlOf(address: Address): string {
  if ("path" in address) return `${address.path} (a Unix socket)`;
  const { hostname, port } = address;
  const host = hostname.includes(":") ? `[${hostname}]` : hostname;
  return `http://${host}:${port}${PATH}`;
}
