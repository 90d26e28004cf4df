/**
 * The fields of a request from a control socket, checked.
 *
 * @module
 */

import { isUri, VirstorError } from "../../errors.ts";

/** The fields of a request. */
export type Fields = Record<string, unknown>;

/**
 * Reads the fields of a request.
 *
 * @param text The request, JSON.
 * @returns Its fields; none if it is no object.
 * @throws {VirstorError} `invalid` if it is no JSON.
 */
export function parseFields(text: string): Fields {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new VirstorError(
      "invalid",
      "Cannot read the request: it is no JSON",
      { cause: error },
    );
  }
  return typeof value === "object" && value !== null ? { ...value } : {};
}

/**
 * Reads absolute paths and URIs.
 *
 * @param fields The request.
 * @returns The field `paths`.
 * @throws {VirstorError} `invalid` if it is missing or something else.
 */
export function pathsOf(fields: Fields): string[] {
  const { paths }: { paths?: unknown } = fields;
  if (
    Array.isArray(paths) && paths.length > 0 &&
    paths.every((path) =>
      typeof path === "string" && (path.startsWith("/") || isUri(path))
    )
  ) {
    return paths;
  }
  throw new VirstorError(
    "invalid",
    "Cannot use the request: it names no absolute paths",
  );
}

/**
 * Reads a number.
 *
 * @param fields The request.
 * @param name The name of the field.
 * @returns Its value, 0 or more.
 * @throws {VirstorError} `invalid` if it is missing or something else.
 */
export function numberOf(fields: Fields, name: string): number {
  const value = fields[name];
  if (typeof value === "number" && value >= 0) return value;
  return refuseField(name, "number");
}

/**
 * Reads a text.
 *
 * @param fields The request.
 * @param name The name of the field.
 * @returns Its value.
 * @throws {VirstorError} `invalid` if it is missing or something else.
 */
export function textOf(fields: Fields, name: string): string {
  const value = fields[name];
  return typeof value === "string" ? value : refuseField(name, "text");
}

/**
 * Reads a switch.
 *
 * @param fields The request.
 * @param name The name of the field.
 * @returns Whether it is true.
 */
export function booleanOf(fields: Fields, name: string): boolean {
  return fields[name] === true;
}

/**
 * Reads an object.
 *
 * @param fields The request.
 * @param name The name of the field.
 * @returns Its fields.
 * @throws {VirstorError} `invalid` if it is missing or something else.
 */
export function objectOf(fields: Fields, name: string): Fields {
  const value = fields[name];
  return typeof value === "object" && value !== null
    ? { ...value }
    : refuseField(name, "object");
}

/**
 * Refuses a request without a field that it needs.
 *
 * @param name The name of the field.
 * @param kind What it should be, as in `number`.
 * @throws {VirstorError} Always, `invalid`.
 */
export function refuseField(name: string, kind: string): never {
  throw new VirstorError(
    "invalid",
    `Cannot use the request: it gives no ${kind} as ${name}`,
  );
}
