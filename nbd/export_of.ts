/**
 * Exports made of block devices: what a device says of itself is what
 * clients learn.
 *
 * @module
 */

import type { BlockDevice } from "../device/block/mod.ts";
import { VirstorError } from "../errors.ts";
import type { NbdExport } from "./server/export/mod.ts";
import type { NbdContext, NbdContextFamily } from "./wire/mod.ts";

/** A block device that may describe itself, for instance a volume of a pool. */
export interface ExportSource extends BlockDevice {
  /** The name of the export, unless {@linkcode ExportOptions} give another. */
  readonly name?: string;
  /** What clients can ask of ranges. Default: nothing. */
  readonly contexts?: readonly NbdContext[];
  /** What may be too much to list with that. Default: nothing. */
  readonly contextFamilies?: readonly NbdContextFamily[];
  /** Whether the device is a rotating disk. Default: false. */
  readonly rotational?: boolean;
}

/** What an export tells that its device does not. */
export interface ExportOptions {
  /** Name of the export. Default: the name of the device. */
  readonly name?: string;
  /** One line for users. Default: `virstor volume NAME`. */
  readonly description?: string;
  /** Whether to refuse writes. Default: if the device is read-only. */
  readonly readOnly?: boolean;
  /** Preferred block size, bytes. Default: that of {@linkcode NbdExport}. */
  readonly preferredBlockSize?: number;
}

/**
 * Makes an export of a volume, or of any other block device.
 *
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { MemoryDevice } from "@virstor/virstor/device";
 * import { exportOf } from "@virstor/virstor/nbd";
 *
 * const device = new MemoryDevice(2 ** 20, { readOnly: true });
 * const { name, readOnly } = exportOf(device, { name: "ram" });
 * assertEquals({ name, readOnly }, { name: "ram", readOnly: true });
 * ```
 *
 * @param volume The device. The server that exports it never closes it.
 * @param options What the device does not tell.
 * @returns The export, for {@linkcode NbdServerOptions.exports}.
 * @throws {VirstorError} `invalid` if neither gives a name.
 */
export function exportOf(
  volume: ExportSource,
  options: ExportOptions = {},
): NbdExport & {
  readonly contexts: readonly NbdContext[];
  readonly contextFamilies: readonly NbdContextFamily[];
} {
  const { name = volume.name ?? "", preferredBlockSize } = options;
  if (name === "") {
    throw new VirstorError(
      "invalid",
      "Cannot export a device without a name: give one in the options",
    );
  }
  return {
    name,
    description: options.description ?? `virstor volume ${name}`,
    device: volume,
    // A volume may become read-only while it is exported.
    get readOnly() {
      return volume.capabilities.readOnly || (options.readOnly ?? false);
    },
    get contexts() {
      return volume.contexts ?? [];
    },
    // A volume has a context for each of its snapshots: they come and go.
    get contextFamilies() {
      return volume.contextFamilies ?? [];
    },
    rotational: volume.rotational ?? false,
    ...preferredBlockSize !== undefined && { preferredBlockSize },
  };
}
