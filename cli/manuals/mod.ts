/**
 * Completion scripts, made from the tables of commands.
 *
 * @module
 */

export { completionScript, isShell } from "./completion_script.ts";
export type { Shell } from "./completion_script.ts";
