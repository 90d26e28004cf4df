/**
 * The commands.
 *
 * @module
 */

export { COMMANDS, findCommand } from "./command_table.ts";
