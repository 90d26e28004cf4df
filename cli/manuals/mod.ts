/**
 * Completion scripts and manual pages, made from the tables of commands.
 *
 * @module
 */

export { completionScript, isShell } from "./completion_script.ts";
export type { Shell } from "./completion_script.ts";
export { manualPages } from "./man_pages.ts";
export { systemdUnits, USUAL_PATHS } from "./systemd_units.ts";
export type { UnitPaths } from "./systemd_units.ts";
export { manualPage } from "./roff.ts";
export type { Section } from "./roff.ts";
