/**
 * What a server does for one client: the handshake, then the choice of what
 * carries the connection, then its requests, until it ends.
 *
 * @module
 */

import type { BlockDevice } from "../../device/block/mod.ts";
import { messageOf } from "../../errors.ts";
import type { NbdLimits } from "../wire/mod.ts";
import { type Client, type Clients, cutOff } from "./clients.ts";
import {
  type ExportTimes,
  isExpected,
  type NbdCounters,
  type NbdExport,
  type ServerLog,
  soughtText,
} from "./export/mod.ts";
import { negotiate, type Negotiated } from "./handshake/mod.ts";
import type { Lanes } from "./lanes/mod.ts";
import { type Carrier, isTcp, LoopStream } from "./stream/mod.ts";
import type { NbdTls } from "./tls/mod.ts";
import { delay, Transmission } from "./transmission/mod.ts";

/** The server, as the service of a client sees it. */
export interface ServiceHost {
  /** What is served now. */
  readonly exports: () => readonly NbdExport[];
  /** Whether and how connections are encrypted. */
  readonly tls: NbdTls | undefined;
  /** What one connection may take. */
  readonly limits: NbdLimits;
  /** All connections. */
  readonly clients: Clients;
  /** Threads that serve clients. */
  readonly lanes: Lanes;
  /** Where requests are counted. */
  readonly counters: NbdCounters;
  /** Where the durations of requests are noted. */
  readonly times: ExportTimes;
  /** What happens. */
  readonly log: ServerLog;
  /** Whether the server stops. */
  readonly isStopping: () => boolean;
  /** Whether an export, by its name, is not served any more. */
  readonly isDismissed: (name: string) => boolean;
  /** Whether a device is not served any more. */
  readonly isRetired: (device: BlockDevice) => boolean;
  /** Receives an error that must stop the process. */
  readonly onPanic: (error: unknown) => void;
}

/**
 * Serves one client.
 *
 * @param client The client; just accepted.
 * @param host The server.
 * @returns Fulfilled when the connection is to be closed. Rejects only with
 *   errors that are not expected.
 */
export async function serveClient(
  client: Client,
  host: ServiceHost,
): Promise<void> {
  const negotiated = await shakeHands(client, host);
  if (negotiated === undefined) return;
  const refusal = refusalOf(client, host, negotiated.nbdExport);
  if (refusal !== undefined) return host.log.tell("refused", client, refusal);
  // From here to `run` nothing is awaited: the connection cannot be closed.
  const [carrier, early] = chooseCarrier(client, host, negotiated);
  const transmission = new Transmission(carrier, { ...negotiated, early }, {
    isAlone: () => host.clients.size === 1,
    counters: client.counters,
    times: host.times.of(negotiated.nbdExport.name),
    onError: (error) => host.log.deviceFailed(client, error),
    onPanic: host.onPanic,
  });
  client.exportName = negotiated.nbdExport.name;
  client.device = negotiated.nbdExport.device;
  client.transmission = transmission;
  const message = connectedText(client, negotiated, carrier);
  host.log.tell("connected", client, message);
  const { idleMs } = host.limits;
  const timer = idleMs === 0
    ? undefined
    : setInterval(() => transmission.endIfIdle(), delay(idleMs / 2));
  const reason = await transmission.run();
  clearInterval(timer);
  host.log.tell("disconnected", client, reason);
}

/** Why a client that has chosen an export is not served, if it is not. */
function refusalOf(
  client: Client,
  { isStopping, isDismissed, isRetired, clients, counters }: ServiceHost,
  { name, device }: NbdExport,
): string | undefined {
  // Closed as the handshake ended: its descriptor may be another's by now.
  if (client.cutBecause !== undefined) return client.cutBecause;
  // Things may have changed since the export was looked up.
  if (isStopping() || isDismissed(name) || isRetired(device)) {
    return `Export "${name}" is not served any more`;
  }
  if (!clients.isFull) return undefined;
  counters.connectionsRefused++;
  return clients.fullMessage;
}

/**
 * A client gets its lane now, or stays on the event loop for good.
 *
 * @returns What carries the connection, and the bytes that came with the
 *   handshake, unless the lane has them.
 */
function chooseCarrier(
  client: Client,
  { lanes }: ServiceHost,
  negotiated: Negotiated,
): [Carrier, Uint8Array] {
  const { connection } = client;
  const { encrypted, early } = negotiated;
  if (encrypted !== undefined) return [encrypted, early];
  const lane = lanes.take(connection, negotiated);
  const carrier = lane ?? new LoopStream(connection);
  client.stream = client.carrier = carrier;
  return [carrier, lane === undefined ? early : new Uint8Array()];
}

function connectedText(
  client: Client,
  { nbdExport: { name }, properties: { dialect, contexts } }: Negotiated,
  { manner }: Carrier,
): string {
  const names = contexts.map(({ context }) => ` ${context.name}`).join("");
  return `Uses export "${name}"${manner}, ${dialect} replies` +
    (names === "" ? "" : `, contexts${names}`) + soughtText(client.sought);
}

/** @returns What was agreed on, or undefined if the client is to be ended. */
/** Options that a client needs to learn all of an export. */
const OPTIONS_AN_EXPORT = 4;

async function shakeHands(
  client: Client,
  host: ServiceHost,
): Promise<Negotiated | undefined> {
  const { connection } = client;
  const { handshakeMs, options } = host.limits;
  const timer = setTimeout(
    () => cutOff(client, `The handshake took more than ${handshakeMs} ms`),
    handshakeMs,
  );
  try {
    if (isTcp(connection)) {
      // Replies must not wait for more data on their way.
      connection.setNoDelay(true);
      // A machine that has vanished must not keep its place for ever.
      connection.setKeepAlive(true);
    }
    const exports = host.exports();
    const negotiated = await negotiate(connection, {
      exports,
      // A client may ask of each export in one handshake.
      optionsMax: Math.max(options, OPTIONS_AN_EXPORT * exports.length),
      isStopping: host.isStopping,
      isDismissed: host.isDismissed,
      tls: host.tls,
      onUnknownExport: (name) => client.sought = name,
      onEncrypted: (inside) => client.stream = inside,
    });
    if (negotiated === undefined) {
      const message = "Left without choosing an export" +
        soughtText(client.sought);
      host.log.tell("left", client, message);
    }
    return negotiated;
  } catch (error) {
    if (!isExpected(error)) throw error;
    const reason = client.cutBecause ?? messageOf(error);
    host.log.tell("refused", client, reason + soughtText(client.sought));
    return undefined;
  } finally {
    clearTimeout(timer);
  }
}
