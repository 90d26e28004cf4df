/**
 * Asks a server about its exports, without using one.
 *
 * @module
 */

import { viewOf } from "../../../device/block/mod.ts";
import { VirstorError } from "../../../errors.ts";
import {
  OPTION_ABORT,
  OPTION_LIST,
  OPTION_LIST_META_CONTEXT,
  REPLY_ACK,
  REPLY_META_CONTEXT,
  REPLY_SERVER,
} from "../../wire/mod.ts";
import { ProtocolFault } from "./export_info.ts";
import { agreeOnDialect } from "./negotiate.ts";
import {
  closedOnFailure,
  type ConnectionOptions,
  OptionChannel,
  refusal,
} from "./option_channel.ts";
import { encodeContextQuery, stringOf } from "./option_fields.ts";
import type { NbdUri } from "./uri.ts";

/** An export in a list. */
export interface ListedExport {
  /** Name of the export. */
  readonly name: string;
  /** Description of the export; "" if there is none. */
  readonly description: string;
}

/**
 * Lists the exports of a server.
 *
 * @param uri The URI; its export name does not matter.
 * @param options Certificates, and when to give up.
 * @returns The exports, in the server's order.
 * @throws {VirstorError} If the server cannot be reached, or does not list its
 *   exports.
 */
export function listExports(
  uri: NbdUri,
  options: ConnectionOptions,
): Promise<ListedExport[]> {
  return inOptionPhase(uri, options, async (channel) => {
    const answer = await channel.option(OPTION_LIST);
    if (answer.end !== REPLY_ACK) throw refusal(uri.exportName, answer);
    return answer.replies.map(({ type, data }) => {
      const length = data.length < 4 ? Infinity : viewOf(data).getUint32(0);
      if (type !== REPLY_SERVER || length > data.length - 4) {
        throw new ProtocolFault("the list of exports is malformed");
      }
      return {
        name: stringOf(data.subarray(4, 4 + length)),
        description: stringOf(data.subarray(4 + length)),
      };
    });
  });
}

/**
 * Lists the metadata contexts of an export.
 *
 * @param uri The URI.
 * @param options Certificates, and when to give up.
 * @returns Names of contexts; none if the server does not have any.
 * @throws {VirstorError} If the server cannot be reached.
 */
export function listContexts(
  uri: NbdUri,
  options: ConnectionOptions,
): Promise<string[]> {
  return inOptionPhase(uri, options, async (channel) => {
    const dialect = await agreeOnDialect(channel, uri.exportName);
    if (dialect === "simple") return [];
    const answer = await channel.option(
      OPTION_LIST_META_CONTEXT,
      encodeContextQuery(uri.exportName, []),
    );
    if (answer.end !== REPLY_ACK) return [];
    return answer.replies.map(({ type, data }) => {
      if (type !== REPLY_META_CONTEXT || data.length < 4) {
        throw new ProtocolFault("the list of contexts is malformed");
      }
      return stringOf(data.subarray(4));
    });
  });
}

/** Opens the option phase, asks, and leaves. */
async function inOptionPhase<T>(
  uri: NbdUri,
  options: ConnectionOptions,
  ask: (channel: OptionChannel) => Promise<T>,
): Promise<T> {
  const channel = await OptionChannel.open(uri, options);
  return await closedOnFailure(channel.stream, options.signal, async () => {
    if (channel.style !== "fixed newstyle") {
      throw new VirstorError(
        "unsupported",
        `The server cannot list exports: it speaks ${channel.style}`,
      );
    }
    const found = await ask(channel);
    try {
      await channel.option(OPTION_ABORT);
    } catch {
      // Some servers close the connection without an answer.
    }
    channel.stream.close();
    return found;
  });
}
