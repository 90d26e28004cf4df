/**
 * What a server tells about an export.
 *
 * @module
 */

import { counted, messageOf, VirstorError } from "../../../errors.ts";
import type { Dialect } from "../../wire/mod.ts";

/** The form of the handshake, the oldest first. */
export type HandshakeStyle = "oldstyle" | "newstyle" | "fixed newstyle";

/** An export, as its server describes it. */
export interface NbdExportInfo {
  /** The URI, without a password. */
  readonly uri: string;
  /** Name that the client asked for. */
  readonly name: string;
  /** Name that the server uses; "" if it does not say. */
  readonly canonicalName: string;
  /** Description for people; "" if there is none. */
  readonly description: string;
  /** Size of the export, bytes. */
  readonly size: number;
  /** Transmission flags, 16 bits. */
  readonly flags: number;
  /** Form of the handshake. */
  readonly style: HandshakeStyle;
  /** Dialect of the transmission phase. */
  readonly dialect: Dialect;
  /** Whether the connection is encrypted. */
  readonly tls: boolean;
  /** Whether the server tells block sizes; the protocol's defaults if not. */
  readonly tellsBlockSizes: boolean;
  /** Smallest unit of a request, bytes, a power of two. */
  readonly minimumBlock: number;
  /** Unit that the server handles best, bytes. */
  readonly preferredBlock: number;
  /** Longest payload of a request, bytes. */
  readonly maximumPayload: number;
  /** Metadata contexts: the selected ones, or all if that was asked. */
  readonly contexts: readonly string[];
}

/** The server sent what the protocol does not allow. */
export class ProtocolFault extends VirstorError {
  /**
   * Creates an error.
   *
   * @param fault What the server sent, one clause.
   */
  constructor(fault: string) {
    super("io", `The server broke the protocol: ${fault}`);
  }
}

/**
 * The error for a server that does not answer while it is connected to.
 *
 * @param ms How long it was waited for, milliseconds.
 * @returns The error; the caller adds which server.
 */
export function noAnswer(ms: number): Error {
  return new Error(
    `no answer within ${inTime(ms)}, look whether the server and the network ` +
      "work",
  );
}

/**
 * A time in words.
 *
 * @param ms Milliseconds.
 * @returns Seconds if they are whole, else milliseconds.
 */
export function inTime(ms: number): string {
  return ms % 1000 === 0 ? counted(ms / 1000, "second") : `${ms} ms`;
}

/**
 * Prefixes an error with the URI it is about.
 *
 * @param action What was being done, for instance `open`.
 * @param uri The URI, without a password.
 * @param error The error.
 * @returns An error of the same code; `io` for an error of the system.
 */
export function uriError(
  action: string,
  uri: string,
  error: unknown,
): VirstorError {
  const code = error instanceof VirstorError ? error.code : "io";
  return new VirstorError(
    code,
    `Cannot ${action} "${uri}": ${messageOf(error)}`,
    { cause: error },
  );
}
