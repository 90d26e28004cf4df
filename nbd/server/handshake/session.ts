/**
 * The state of a handshake, and the shape of an answer to an option.
 *
 * @module
 */

import type { Dialect, SelectedContext } from "../../wire/mod.ts";
import type { ExportProperties, NbdExport } from "../export/mod.ts";
import { encodeOptionReply } from "./option_reply.ts";

/**
 * Encryption of a connection:
 *
 * - `plain`: plain; the server is not configured for TLS
 * - `optional`: plain; the client may send STARTTLS
 * - `required`: plain; the client must send STARTTLS
 * - `encrypted`: TLS
 */
export type Security = "plain" | "optional" | "required" | "encrypted";

/** The state of a handshake. */
export interface Session {
  /** Encryption of the connection. */
  readonly security: Security;
  /** All exports; the first is the default one. */
  readonly exports: readonly NbdExport[];
  /**
   * Tells whether the server no longer serves an export and refuses it.
   *
   * @param name Name of the export.
   */
  isDismissed(name: string): boolean;
  /** Whether the client expects zeroes after the EXPORT_NAME reply. */
  readonly zeroes: boolean;
  /** The dialect that is negotiated so far. */
  dialect: Dialect;
  /**
   * The selected metadata contexts, with the export's name as the client sent
   * it; `undefined` if the client has selected none.
   */
  selection:
    | { readonly name: string; readonly contexts: readonly SelectedContext[] }
    | undefined;
  /**
   * Called when the client asks for an export that does not exist.
   *
   * @param name Name that the client sent, in quotes, on one line.
   */
  readonly onUnknownExport: (name: string) => void;
  /** Id for the next selected context; ids are unique in a handshake. */
  nextContextId: number;
}

/** An option that a client sent. */
export interface Option {
  /** Number of the option, 32 bits. */
  readonly number: number;
  /** Data of the option; empty if the server dropped it as too long. */
  readonly data: Uint8Array;
  /** Length of the data that the client sent, bytes. */
  readonly length: number;
}

/** What a client has chosen for the transmission phase. */
export interface Choice {
  /** The chosen export. */
  readonly nbdExport: NbdExport;
  /** The export's properties, and what was negotiated for this connection. */
  readonly properties: ExportProperties;
}

/** The reply to an option, and the next phase of the connection. */
export interface Answer {
  /** The messages to send, in order. */
  readonly messages: readonly Uint8Array[];
  /**
   * What follows the messages: the end of the connection, the TLS handshake, or
   * the transmission phase; by default the next option.
   */
  readonly then?: "end" | "encrypt" | Choice;
}

/**
 * Refuses an option with an error reply.
 *
 * @param option The option.
 * @param type One of the `REPLY_ERROR_` constants.
 * @param text One line for the user of the client, at most 4096 bytes.
 * @returns The reply; the handshake continues.
 */
export function refusal(option: Option, type: number, text: string): Answer {
  return { messages: [encodeOptionReply(option.number, type, text)] };
}
