/**
 * Making pools of files, and clearing the labels of components.
 *
 * @module
 */

export { clearLabels } from "./clear.ts";
export type { ClearOptions } from "./clear.ts";
export { labelPool } from "./label.ts";
export type { LabelOptions, LabelResult } from "./label.ts";
