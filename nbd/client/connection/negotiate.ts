/**
 * From a URI to a connection in the transmission phase: the best dialect that
 * both sides have, block sizes, one metadata context.
 *
 * Source: NBD `doc/proto.md`, section "Handshake".
 *
 * @module
 */

import { viewOf } from "../../../device/block/mod.ts";
import { VirstorError } from "../../../errors.ts";
import {
  type Dialect,
  EXPORT_NAME_ZEROES,
  getUint64,
  OPTION_EXPORT_NAME,
  OPTION_EXTENDED_HEADERS,
  OPTION_GO,
  OPTION_SET_META_CONTEXT,
  OPTION_STRUCTURED_REPLY,
  REPLY_ACK,
  REPLY_ERROR_TLS_REQUIRED,
  REPLY_ERROR_UNSUPPORTED,
  REPLY_INFO,
  REPLY_META_CONTEXT,
} from "../../wire/mod.ts";
import type { ByteReader } from "./byte_reader.ts";
import { type NbdExportInfo, ProtocolFault } from "./export_info.ts";
import {
  closedOnFailure,
  type ConnectionOptions,
  OptionChannel,
  refusal,
} from "./option_channel.ts";
import {
  checkSize,
  createInfoFields,
  decodeInfo,
  encodeContextQuery,
  encodeInfoQuery,
  type InfoFields,
  stringOf,
} from "./option_fields.ts";
import type { ClientStream } from "./stream.ts";
import type { NbdUri } from "./uri.ts";

/** The context that tells data from holes. */
const ALLOCATION = "base:allocation";

/** A connection in the transmission phase. */
export interface Negotiated {
  /** The export. */
  readonly info: NbdExportInfo;
  /** Id of the selected context; `undefined` if the server does not have it. */
  readonly contextId: number | undefined;
  /** The connection. */
  readonly stream: ClientStream;
  /** Receives from the connection. */
  readonly reader: ByteReader;
}

/**
 * Connects, and negotiates down to what the server has.
 *
 * @param uri The URI.
 * @param options Certificates, and when to give up.
 * @returns The connection.
 * @throws {VirstorError} If the server cannot be reached, speaks no NBD, cannot
 *   be trusted, or does not have the export.
 */
export async function negotiate(
  uri: NbdUri,
  options: ConnectionOptions,
): Promise<Negotiated> {
  const channel = await OptionChannel.open(uri, options);
  return await closedOnFailure(channel.stream, options.signal, async () => {
    if (channel.style === "oldstyle") {
      const { size, flags } = channel.oldstyleExport;
      const fields = createInfoFields();
      Object.assign(fields, { size: checkSize(size), flags });
      return finish(channel, uri, "simple", fields);
    }
    if (channel.style === "newstyle") {
      const fields = await openByName(channel, uri.exportName);
      return finish(channel, uri, "simple", fields);
    }
    const dialect = options.isSimple === true
      ? "simple"
      : await agreeOnDialect(channel, uri.exportName);
    const { context = ALLOCATION } = options;
    const id = dialect === "simple"
      ? undefined
      : await selectContext(channel, uri.exportName, context);
    const fields = await openExport(channel, uri.exportName, dialect);
    const selected = id === undefined ? undefined : { name: context, id };
    return finish(channel, uri, dialect, fields, selected);
  });
}

/**
 * Negotiates the best dialect that both sides have.
 *
 * @param channel The connection.
 * @param name Name of the export, for messages.
 * @returns The dialect.
 */
export async function agreeOnDialect(
  channel: OptionChannel,
  name: string,
): Promise<Dialect> {
  const extended = await channel.option(OPTION_EXTENDED_HEADERS);
  if (extended.end === REPLY_ACK) return "extended";
  if (extended.end === REPLY_ERROR_TLS_REQUIRED) throw refusal(name, extended);
  const structured = await channel.option(OPTION_STRUCTURED_REPLY);
  return structured.end === REPLY_ACK ? "structured" : "simple";
}

async function selectContext(
  channel: OptionChannel,
  name: string,
  context: string,
): Promise<number | undefined> {
  const answer = await channel.option(
    OPTION_SET_META_CONTEXT,
    encodeContextQuery(name, [context]),
  );
  // GO tells what is wrong with the export.
  if (answer.end !== REPLY_ACK || answer.replies.length === 0) return undefined;
  const [first, second] = answer.replies;
  if (
    first === undefined || second !== undefined ||
    first.type !== REPLY_META_CONTEXT || first.data.length < 4 ||
    stringOf(first.data.subarray(4)) !== context
  ) {
    throw new ProtocolFault(
      "the server selects contexts that were not requested",
    );
  }
  return viewOf(first.data).getUint32(0);
}

async function openExport(
  channel: OptionChannel,
  name: string,
  dialect: Dialect,
): Promise<InfoFields> {
  const answer = await channel.option(OPTION_GO, encodeInfoQuery(name));
  if (answer.end === REPLY_ERROR_UNSUPPORTED && dialect !== "extended") {
    return await openByName(channel, name);
  }
  if (answer.end !== REPLY_ACK) throw refusal(name, answer);
  const fields = createInfoFields();
  for (const { type, data } of answer.replies) {
    if (type !== REPLY_INFO) {
      throw new ProtocolFault(`GO is answered with a reply of type ${type}`);
    }
    decodeInfo(data, fields);
  }
  return fields;
}

/** Opens an export with the oldest option, which has no error reply. */
async function openByName(
  channel: OptionChannel,
  name: string,
): Promise<InfoFields> {
  await channel.sendOption(OPTION_EXPORT_NAME, new TextEncoder().encode(name));
  const { reader } = channel;
  try {
    await reader.need(10);
  } catch (error) {
    throw new VirstorError(
      "not-found",
      `The server closed the connection; it may have no export "${name}"`,
      { cause: error },
    );
  }
  const at = reader.take(10);
  const fields = createInfoFields();
  fields.size = checkSize(getUint64(reader.view, at));
  fields.flags = reader.view.getUint16(at + 8);
  if (channel.hasZeroes) await reader.skip(EXPORT_NAME_ZEROES);
  return fields;
}

function finish(
  channel: OptionChannel,
  uri: NbdUri,
  dialect: Dialect,
  fields: InfoFields,
  selected?: { readonly name: string; readonly id: number },
): Negotiated {
  const { size, ...rest } = fields;
  if (size === undefined) {
    throw new ProtocolFault("the server does not tell the size of the export");
  }
  const info = {
    uri: uri.text,
    name: uri.exportName,
    ...rest,
    // What is left of a block cannot be addressed.
    size: size - size % fields.minimumBlock,
    style: channel.style,
    dialect,
    tls: uri.tls,
    contexts: selected === undefined ? [] : [selected.name],
  };
  const { stream, reader } = channel;
  return { info, contextId: selected?.id, stream, reader };
}
