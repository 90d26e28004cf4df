/**
 * The commands.
 *
 * @module
 */

export { COMMANDS } from "./command_table.ts";
export {
  commandsBelow,
  explainNotFound,
  findCommand,
  unknownCommand,
} from "./find_command.ts";
