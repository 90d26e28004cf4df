/**
 * The result of opening a path: an open, locked component, or the reason why
 * the path leads to none.
 *
 * @module
 */

import type { VirstorError } from "../../errors.ts";
import type { ComponentDevice } from "../core/mod.ts";
import type { ComponentLabel } from "./component_label.ts";

/** An open, locked component, with its label. */
export interface OpenComponent<Label = ComponentLabel> {
  /** The path that the caller gave. */
  readonly path: string;
  /** The open file. */
  readonly device: ComponentDevice;
  /** The component's label. */
  readonly label: Label;
}

/** A path that leads to no component of the pool. */
export interface Fault {
  /** The path. */
  readonly path: string;
  /** Why the path leads to no component of the pool. */
  readonly error: VirstorError;
  /** Size of the file in bytes, if it could be opened. */
  readonly size?: number;
}
