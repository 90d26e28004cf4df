/**
 * Serves the metrics of pools over HTTP.
 *
 * @module
 */

import {
  type Address,
  isLocal,
  type SocketRights,
} from "../../nbd/listen/mod.ts";
import { HttpServer, localGuard, metricsPage } from "../http/mod.ts";
import { log, printInternalError, printNotices } from "../terminal/mod.ts";
import { openHttpListener, urlOf } from "./http_listener.ts";
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
  const { listener, address: found } = await openHttpListener(
    address,
    rights,
    "--metrics",
  );
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
    // Others may have given this machine any name.
    ...("hostname" in address && isLocal(address)
      ? { refusalOf: localGuard(address.hostname) }
      : {}),
    // Pools can be used without their metrics, so the process goes on.
    onBug: (error) => {
      if (!isBugPrinted) printInternalError(error);
      isBugPrinted = true;
    },
  });
  log("metrics", `Serves metrics on ${urlOf(found ?? address, PATH)}`);
  if (!isLocal(address)) {
    printNotices([
      "Any client that reaches the address of the metrics can read them: " +
      "there is no encryption and no password",
    ]);
  }
  return server;
}
