/**
 * Answers the options of the handshake: a table from option number to function.
 * The server refuses an option without an entry and negotiates on.
 *
 * Source: NBD `doc/proto.md`, sections "Option types" and "Metadata querying".
 *
 * @module
 */

import { inBytes, VirstorError } from "../../../errors.ts";
import {
  decodeContextQuery,
  decodeInfoQuery,
  decodeString,
  INFO_DESCRIPTION,
  INFO_NAME,
  listContexts,
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
  selectContexts,
  SELECTED_CONTEXTS_MAX,
} from "../../wire/mod.ts";
import {
  contextsOf,
  findExport,
  type NbdExport,
  propertiesOf,
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
import {
  type Answer,
  type Choice,
  type Option,
  refusal,
  type Session,
} from "./session.ts";

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

/** Options that a client may send before TLS where TLS is required. */
const BEFORE_TLS: ReadonlySet<number> = new Set([
  OPTION_ABORT,
  OPTION_STARTTLS,
]);

/** Options whose data the server decodes. */
const WITH_DATA: ReadonlySet<number> = new Set([
  OPTION_EXPORT_NAME,
  OPTION_INFO,
  OPTION_GO,
  OPTION_LIST_META_CONTEXT,
  OPTION_SET_META_CONTEXT,
]);

/**
 * Answers an option and updates the state of the handshake.
 *
 * @param option The option.
 * @param session The state of the handshake.
 * @returns The reply and the next phase.
 * @throws {VirstorError} If EXPORT_NAME, which has no error reply, is refused:
 *   `not-found`, `invalid`, or `shutdown` if the export is being stopped.
 */
export function answerOption(option: Option, session: Session): Answer {
  if (session.security === "required" && !BEFORE_TLS.has(option.number)) {
    return refuseUnencrypted(option);
  }
  // A failed SET_META_CONTEXT also clears the selection ("Metadata querying").
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

function refuseUnencrypted(option: Option): Answer {
  if (option.number === OPTION_EXPORT_NAME) {
    throw new VirstorError(
      "invalid",
      "Cannot negotiate: the server requires TLS, and the client sent " +
        "EXPORT_NAME without it",
    );
  }
  const text = "This server requires TLS, send STARTTLS first";
  return refusal(option, REPLY_ERROR_TLS_REQUIRED, text);
}

function answerStartTls(option: Option, { security }: Session): Answer {
  if (option.length !== 0) return refuseData(option);
  if (security === "plain") {
    return refusal(
      option,
      REPLY_ERROR_POLICY,
      "TLS is not configured on this server",
    );
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
  const nbdExport = name === undefined
    ? undefined
    : findExport(session.exports, name);
  if (name === undefined || nbdExport === undefined) {
    throw new VirstorError(
      "not-found",
      `There is no export ${quotedName(name)}, for which the client asked`,
    );
  }
  if (session.isDismissed(nbdExport.name)) {
    throw new VirstorError("shutdown", dismissedText(nbdExport));
  }
  const choice = choose(nbdExport, name, session);
  return {
    messages: [encodeExportName(choice.properties, session.zeroes)],
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
    .map((nbdExport) => encodeServer(option.number, nbdExport));
  messages.push(encodeOptionReply(option.number, REPLY_ACK));
  return { messages };
}

function answerInfo(option: Option, session: Session): Answer {
  const { number } = option;
  const query = decodeInfoQuery(option.data);
  if (query === undefined) return refuseNonsense(option);
  const nbdExport = findExport(session.exports, query.name);
  if (nbdExport === undefined) return refuseName(option, query.name, session);
  if (session.isDismissed(nbdExport.name)) {
    return refuseDismissed(option, nbdExport);
  }
  const choice = choose(nbdExport, query.name, session);
  const { properties } = choice;
  // The server may send INFO_BLOCK_SIZE unasked; a client may ignore it.
  const messages = [
    encodeInfoExport(number, properties),
    encodeInfoBlockSize(number, properties),
  ];
  if (query.types.has(INFO_NAME)) {
    messages.push(encodeInfoText(number, INFO_NAME, nbdExport.name));
  }
  if (query.types.has(INFO_DESCRIPTION)) {
    messages.push(
      encodeInfoText(number, INFO_DESCRIPTION, nbdExport.description),
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
      "Extended headers are negotiated already",
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

/** Answers LIST_META_CONTEXT and SET_META_CONTEXT. */
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
  const nbdExport = findExport(session.exports, name);
  if (nbdExport === undefined) return refuseName(option, name, session);
  if (session.isDismissed(nbdExport.name)) {
    return refuseDismissed(option, nbdExport);
  }
  const offered = contextsOf(nbdExport);
  const messages: Uint8Array[] = [];
  if (number === OPTION_LIST_META_CONTEXT) {
    for (const listed of listContexts(offered, queries)) {
      messages.push(encodeMetaContext(number, 0, listed));
    }
  } else {
    const found = selectContexts(offered, queries);
    if (found.length > SELECTED_CONTEXTS_MAX) return refuseSelection(option);
    const contexts = found.map((context) => ({
      id: session.nextContextId++,
      context,
    }));
    session.selection = { name, contexts };
    for (const { id, context } of contexts) {
      messages.push(encodeMetaContext(number, id, context.name));
    }
  }
  messages.push(encodeOptionReply(number, REPLY_ACK));
  return { messages };
}

/** The choice of a client that asks for an export by `name` now. */
function choose(nbdExport: NbdExport, name: string, session: Session): Choice {
  const { dialect, selection } = session;
  // A selection is valid only for the name under which it was made.
  const contexts = selection?.name === name ? selection.contexts : [];
  return { nbdExport, properties: propertiesOf(nbdExport, dialect, contexts) };
}

function refuseData(option: Option): Answer {
  return refusal(option, REPLY_ERROR_INVALID, "This option takes no data");
}

function refuseSelection(option: Option): Answer {
  return refusal(
    option,
    REPLY_ERROR_TOO_BIG,
    `At most ${SELECTED_CONTEXTS_MAX} contexts can be selected`,
  );
}

function refuseNonsense(option: Option): Answer {
  return refusal(
    option,
    REPLY_ERROR_INVALID,
    "A name or a length in the option's data is invalid",
  );
}

function refuseDismissed(option: Option, nbdExport: NbdExport): Answer {
  return refusal(option, REPLY_ERROR_UNKNOWN, dismissedText(nbdExport));
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
