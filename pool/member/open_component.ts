/**
 * What a path leads to: a component that is open and locked, or a reason why
 * there is none.
 *
 * @module
 */

import type { VirstorError } from "../../errors.ts";
import type { ComponentDevice } from "../core/mod.ts";
import type { ComponentLabel } from "./component_label.ts";

/** A component that is open and locked, with its label. */
export interface OpenComponent<Label = ComponentLabel> {
  /** Where it is. */
  readonly path: string;
  /** What it is kept on. */
  readonly device: ComponentDevice;
  /** Its label. */
  readonly label: Label;
}

/** A path that leads to no component of the pool. */
export interface Fault {
  /** The path. */
  readonly path: string;
  /** Why not. */
  readonly error: VirstorError;
  /** Bytes of what is there, if it could be opened. */
  readonly size?: number;
}
