/**
 * What is answered to each option of the handshake: a table from its number to
 * a function. An option that is not in it is refused politely.
 *
 * Source: NBD `doc/proto.md`, sections "Option types" and "Metadata querying".
 *
 * @module
 */

import { inBytes, VirstorError } from "../../../errors.ts";
import {
  allContexts,
  decodeContextQuery,
  decodeInfoQuery,
  decodeString,
  type Dialect,
  findContexts,
  INFO_DESCRIPTION,
  INFO_NAME,
  OPTION_ABORT,
  OPTION_EXPORT_NAME,
  OPTION_EXTENDED_HEADERS,
  OPTION_GO,
  OPTION_INFO,
  OPTION_LIST,
  OPTION_LIST_META_CONTEXT,
  OPTION_SET_META_CONTEXT,
  OPTION_STARTTLS,
  OPTION_STRUCTURED_REPLY,
  REPLY_ACK,
  REPLY_ERROR_EXTENDED_HEADERS_REQUIRED,
  REPLY_ERROR_INVALID,
  REPLY_ERROR_POLICY,
  REPLY_ERROR_TLS_REQUIRED,
  REPLY_ERROR_TOO_BIG,
  REPLY_ERROR_UNKNOWN,
  REPLY_ERROR_UNSUPPORTED,
  type SelectedContext,
} from "../../wire/mod.ts";
import {
  type ExportFacts,
  factsOf,
  findExport,
  type NbdExport,
  quotedName,
} from "../export/mod.ts";
import {
  encodeExportName,
  encodeInfoBlockSize,
  encodeInfoExport,
  encodeInfoText,
  encodeMetaContext,
  encodeOptionReply,
  encodeServer,
} from "./option_reply.ts";

/**
 * How safe the way to the client is:
 *
 * - `plain`: it is not encrypted, and cannot be
 * - `optional`: not encrypted, the client may ask for it
 * - `required`: not encrypted, and the client has to ask for it
 * - `encrypted`: it is
 */
export type Security = "plain" | "optional" | "required" | "encrypted";

/** What was agreed on so far. */
export interface Session {
  /** How safe the way to the client is. */
  readonly security: Security;
  /** All exports; the first is the default one. */
  readonly exports: readonly NbdExport[];
  /**
   * Tells whether an export is not served any more.
   *
   * @param name Its name.
   */
  isDismissed(name: string): boolean;
  /** The client wants zeroes after the answer to EXPORT_NAME. */
  readonly zeroes: boolean;
  /** How both will talk. */
  dialect: Dialect;
  /** The metadata contexts of an export, by the name that was used for it. */
  selection:
    | { readonly name: string; readonly contexts: readonly SelectedContext[] }
    | undefined;
  /**
   * Told of the name of an export that there is not.
   *
   * @param name The name in quotes, on one line.
   */
  readonly onUnknownExport: (name: string) => void;
  /** The next number for a context: none stands for two in one handshake. */
  nextContextId: number;
}

/** An option as it arrived. */
export interface Option {
  /** Its number. */
  readonly number: number;
  /** What came with it; empty if it was too long to be looked at. */
  readonly data: Uint8Array;
  /** Bytes that came with it. */
  readonly length: number;
}

/** What the client uses from now on. */
export interface Choice {
  /** The export. */
  readonly served: NbdExport;
  /** What was told to the client of it. */
  readonly facts: ExportFacts;
}

/** The answer to an option, and what happens then. */
export interface Answer {
  /** What is sent, in order. */
  readonly messages: readonly Uint8Array[];
  /** The end of the connection, encryption, or the start of the transmission. */
  readonly then?: "end" | "encrypt" | Choice;
}

type Answering = (option: Option, session: Session) => Answer;

const ANSWERS: ReadonlyMap<number, Answering> = new Map([
  [OPTION_EXPORT_NAME, answerExportName],
  [OPTION_ABORT, answerAbort],
  [OPTION_LIST, answerList],
  [OPTION_STARTTLS, answerStartTls],
  [OPTION_INFO, answerInfo],
  [OPTION_GO, answerInfo],
  [OPTION_STRUCTURED_REPLY, answerStructuredReply],
  [OPTION_LIST_META_CONTEXT, answerMetaContext],
  [OPTION_SET_META_CONTEXT, answerMetaContext],
  [OPTION_EXTENDED_HEADERS, answerExtendedHeaders],
]);

/** What is answered where encryption is required, and not there yet. */
const BEFORE_TLS: ReadonlySet<number> = new Set([
  OPTION_ABORT,
  OPTION_STARTTLS,
]);

/** The options whose data is looked at. */
const WITH_DATA: ReadonlySet<number> = new Set([
  OPTION_EXPORT_NAME,
  OPTION_INFO,
  OPTION_GO,
  OPTION_LIST_META_CONTEXT,
  OPTION_SET_META_CONTEXT,
]);

/**
 * Answers an option.
 *
 * @param option The option.
 * @param session What was agreed on; changed by what is agreed on now.
 * @returns The answer.
 * @throws {VirstorError} `not-found`, `invalid`, if there is no way to answer.
 */
export function answerOption(option: Option, session: Session): Answer {
  if (session.security === "required" && !BEFORE_TLS.has(option.number)) {
    return refuseUnencrypted(option);
  }
  // A selection does not outlive the attempt to replace it.
  if (option.number === OPTION_SET_META_CONTEXT) session.selection = undefined;
  const answer = ANSWERS.get(option.number);
  if (answer === undefined) {
    return refusal(
      option,
      REPLY_ERROR_UNSUPPORTED,
      "This option is not supported",
    );
  }
  if (option.data.length < option.length && WITH_DATA.has(option.number)) {
    return refusal(
      option,
      REPLY_ERROR_TOO_BIG,
      `The option's data is ${inBytes(option.length)}, which is too long`,
    );
  }
  return answer(option, session);
}

/**
 * Refuses an option.
 *
 * @param option The option.
 * @param type One of the `REPLY_ERROR_` numbers.
 * @param text One line for people, at most 4096 bytes.
 * @returns The answer.
 */
export function refusal(option: Option, type: number, text: string): Answer {
  return { messages: [encodeOptionReply(option.number, type, text)] };
}

function refuseUnencrypted(option: Option): Answer {
  const text = "This server talks over TLS only";
  if (option.number === OPTION_EXPORT_NAME) {
    throw new VirstorError("invalid", `Cannot negotiate: ${text}`);
  }
  return refusal(option, REPLY_ERROR_TLS_REQUIRED, text);
}

function answerStartTls(option: Option, { security }: Session): Answer {
  if (option.length !== 0) return refuseData(option);
  if (security === "plain") {
    return refusal(option, REPLY_ERROR_POLICY, "TLS is not configured");
  }
  if (security === "encrypted") {
    const text = "The connection is encrypted already";
    return refusal(option, REPLY_ERROR_INVALID, text);
  }
  return {
    messages: [encodeOptionReply(option.number, REPLY_ACK)],
    then: "encrypt",
  };
}

function answerExportName(option: Option, session: Session): Answer {
  if (session.dialect === "extended") {
    throw new VirstorError(
      "invalid",
      "Cannot negotiate: EXPORT_NAME was sent after EXTENDED_HEADERS",
    );
  }
  const name = decodeString(option.data);
  const served = name === undefined
    ? undefined
    : findExport(session.exports, name);
  if (name === undefined || served === undefined) {
    throw new VirstorError(
      "not-found",
      `There is no export ${quotedName(name)}, for which the client asked`,
    );
  }
  if (session.isDismissed(served.name)) {
    throw new VirstorError("shutdown", dismissedText(served));
  }
  const choice = choose(served, name, session);
  return {
    messages: [encodeExportName(choice.facts, session.zeroes)],
    then: choice,
  };
}

function answerAbort(option: Option): Answer {
  return {
    messages: [encodeOptionReply(option.number, REPLY_ACK)],
    then: "end",
  };
}

function answerList(option: Option, session: Session): Answer {
  if (option.length !== 0) return refuseData(option);
  const messages = session.exports
    .filter(({ name }) => !session.isDismissed(name))
    .map((served) => encodeServer(option.number, served));
  messages.push(encodeOptionReply(option.number, REPLY_ACK));
  return { messages };
}

function answerInfo(option: Option, session: Session): Answer {
  const { number } = option;
  const query = decodeInfoQuery(option.data);
  if (query === undefined) return refuseNonsense(option);
  const served = findExport(session.exports, query.name);
  if (served === undefined) return refuseName(option, query.name, session);
  if (session.isDismissed(served.name)) return refuseDismissed(option, served);
  const choice = choose(served, query.name, session);
  const { facts } = choice;
  // Block sizes are told to everybody: who did not ask may ignore them.
  const messages = [
    encodeInfoExport(number, facts),
    encodeInfoBlockSize(number, facts),
  ];
  if (query.types.has(INFO_NAME)) {
    messages.push(encodeInfoText(number, INFO_NAME, served.name));
  }
  if (query.types.has(INFO_DESCRIPTION)) {
    messages.push(
      encodeInfoText(number, INFO_DESCRIPTION, served.description),
    );
  }
  messages.push(encodeOptionReply(number, REPLY_ACK));
  return number === OPTION_GO ? { messages, then: choice } : { messages };
}

function answerStructuredReply(option: Option, session: Session): Answer {
  if (option.length !== 0) return refuseData(option);
  if (session.dialect === "extended") {
    return refusal(
      option,
      REPLY_ERROR_EXTENDED_HEADERS_REQUIRED,
      "Extended headers were agreed on already",
    );
  }
  session.dialect = "structured";
  return { messages: [encodeOptionReply(option.number, REPLY_ACK)] };
}

function answerExtendedHeaders(option: Option, session: Session): Answer {
  if (option.length !== 0) return refuseData(option);
  session.dialect = "extended";
  return { messages: [encodeOptionReply(option.number, REPLY_ACK)] };
}

/** LIST_META_CONTEXT and SET_META_CONTEXT. */
function answerMetaContext(option: Option, session: Session): Answer {
  const { number } = option;
  if (session.dialect === "simple") {
    return refusal(
      option,
      REPLY_ERROR_INVALID,
      "Metadata contexts need structured replies or extended headers",
    );
  }
  const query = decodeContextQuery(option.data);
  if (query === undefined) return refuseNonsense(option);
  const { name, queries } = query;
  const served = findExport(session.exports, name);
  if (served === undefined) return refuseName(option, name, session);
  if (session.isDismissed(served.name)) return refuseDismissed(option, served);
  const all = allContexts(served.device, served.contexts);
  const selects = number === OPTION_SET_META_CONTEXT;
  const found = !selects && queries.length === 0
    ? all
    : findContexts(all, queries, !selects);
  const contexts = found.map((context) => ({
    id: selects ? session.nextContextId++ : 0,
    context,
  }));
  if (selects) session.selection = { name, contexts };
  const messages = contexts.map(({ id, context }) =>
    encodeMetaContext(number, id, context.name)
  );
  messages.push(encodeOptionReply(number, REPLY_ACK));
  return { messages };
}

/** What a client would use that asked for an export by this name now. */
function choose(served: NbdExport, name: string, session: Session): Choice {
  const { dialect, selection } = session;
  // A selection made under another name does not count, as the protocol says.
  const contexts = selection?.name === name ? selection.contexts : [];
  return { served, facts: factsOf(served, dialect, contexts) };
}

function refuseData(option: Option): Answer {
  return refusal(option, REPLY_ERROR_INVALID, "This option takes no data");
}

function refuseNonsense(option: Option): Answer {
  return refusal(
    option,
    REPLY_ERROR_INVALID,
    "A name or a length inside the option makes no sense",
  );
}

function refuseDismissed(option: Option, served: NbdExport): Answer {
  return refusal(option, REPLY_ERROR_UNKNOWN, dismissedText(served));
}

function dismissedText({ name }: NbdExport): string {
  return `Export "${name}" is not served any more`;
}

function refuseName(option: Option, name: string, session: Session): Answer {
  session.onUnknownExport(quotedName(name));
  return refusal(
    option,
    REPLY_ERROR_UNKNOWN,
    "There is no export of this name, ask for a list",
  );
}
