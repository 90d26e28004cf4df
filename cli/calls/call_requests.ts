/**
 * Checks the requests of the calls of a control socket.
 *
 * @module
 */

import type {
  ControlCall,
  ControlCalls,
  EventsRequest,
} from "../control/mod.ts";
import {
  booleanOf,
  type Fields,
  numberOf,
  objectOf,
  parseFields,
  pathsOf,
  textOf,
} from "./request_fields.ts";
import { settingsIn } from "./setting_values.ts";
import { VOLUME_REQUEST_CHECKS } from "./volume_requests.ts";

/** Checks and converts the request of each call. */
const REQUEST_CHECKS: {
  readonly [Call in ControlCall]: (
    fields: Record<string, unknown>,
  ) => ControlCalls[Call]["request"];
} = {
  ...VOLUME_REQUEST_CHECKS,
  status: () => null,
  check: () => null,
  add: (fields) => ({
    paths: pathsOf(fields),
    force: booleanOf(fields, "force"),
    hardcode: booleanOf(fields, "hardcode"),
    preallocate: booleanOf(fields, "preallocate"),
    ...typeof fields["createSize"] === "number" &&
      { createSize: fields["createSize"] },
  }),
  remove: (fields) => ({
    paths: pathsOf(fields),
    ...fields["bytesPerSecond"] !== undefined &&
      { bytesPerSecond: numberOf(fields, "bytesPerSecond") },
    ...fields["mayLose"] !== undefined &&
      { mayLose: numberOf(fields, "mayLose") },
  }),
  set: (fields) => ({ settings: settingsIn(objectOf(fields, "settings")) }),
  grow: (fields) => ({ path: textOf(fields, "path") }),
  planRemove: (fields) => ({ paths: pathsOf(fields) }),
  cancelRemove: (fields) => ({ paths: pathsOf(fields) }),
  resize: (fields) => ({
    volume: textOf(fields, "volume"),
    virtualSize: numberOf(fields, "virtualSize"),
    ...fields["sign"] === 1 && { sign: 1 },
    ...fields["sign"] === -1 && { sign: -1 },
    force: booleanOf(fields, "force"),
  }),
  renamePool: (fields) => ({
    to: textOf(fields, "to"),
    ...fields["from"] !== undefined && { from: textOf(fields, "from") },
  }),
  stop: (fields) => ({ force: booleanOf(fields, "force") }),
};

/**
 * Tells whether a call exists.
 *
 * @param name The name of the call.
 * @returns True if it exists.
 */
export function isControlCall(name: string): name is ControlCall {
  return Object.hasOwn(REQUEST_CHECKS, name);
}

/**
 * Decodes and checks a request from the socket.
 *
 * @param call The name of the call.
 * @param text The request's body, JSON.
 * @returns The request.
 * @throws {VirstorError} `invalid` if the body is not a request of this call.
 */
export function parseControlRequest<Call extends ControlCall>(
  call: Call,
  text: string,
): ControlCalls[Call]["request"] {
  return REQUEST_CHECKS[call](parseFields(text));
}

/**
 * Reads a request for events.
 *
 * @param fields The request.
 * @returns The request.
 * @throws {VirstorError} `invalid` if a field is missing or something else.
 */
export function eventsRequestOf(fields: Fields): EventsRequest {
  return {
    last: numberOf(fields, "last"),
    follow: booleanOf(fields, "follow"),
  };
}
