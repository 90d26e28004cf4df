/**
 * Requests and replies on one connection.
 *
 * @module
 */

export { Command } from "./command.ts";
export type { CommandFields } from "./command.ts";
export { Link, SilentServer } from "./link.ts";
export type { LinkOptions } from "./link.ts";
export { commandText } from "./server_error.ts";
export { DEPTH_MAX } from "./tag_table.ts";
