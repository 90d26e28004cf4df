/**
 * From a URI to a connection in the transmission phase.
 *
 * @module
 */

export { ByteReader } from "./byte_reader.ts";
export type { NbdClientTls } from "./client_tls.ts";
export { listContexts, listExports } from "./discover.ts";
export type { ListedExport } from "./discover.ts";
export { inTime, noAnswer, ProtocolFault, uriError } from "./export_info.ts";
export type { HandshakeStyle, NbdExportInfo } from "./export_info.ts";
export { negotiate } from "./negotiate.ts";
export type { Negotiated } from "./negotiate.ts";
export { UnknownExport } from "./option_channel.ts";
export type { ConnectionOptions } from "./option_channel.ts";
export { sendAll } from "./stream.ts";
export type { ClientStream } from "./stream.ts";
export { isNbdUri, parseNbdUri } from "./uri.ts";
export type { NbdUri } from "./uri.ts";
