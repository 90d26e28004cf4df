/**
 * Which requests a volume takes: all, those that do not write, or none.
 *
 * @module
 */

import type { DeviceCapabilities } from "../device/block/mod.ts";
import { nameOf } from "../errors.ts";
import type { Health } from "./core/mod.ts";
import type { VolumeParts } from "./io/mod.ts";

/** The access to a volume. */
export class VolumeAccess {
  readonly #poolHealth: Health;
  readonly #isPoolReadOnly: boolean;
  readonly #name: () => string;
  /**
   * Admits requests: the health of the pool, unless the volume is read-only or
   * closed. So each request asks one object.
   */
  #health: Health;
  #capabilities: DeviceCapabilities;
  #isClosed = false;

  /**
   * Begins with what the superblock says of the volume.
   *
   * @param parts The parts of the volume.
   * @param poolHealth Whether the pool takes requests.
   */
  constructor(parts: VolumeParts, poolHealth: Health) {
    const { record, base: { settings } } = parts;
    this.#poolHealth = poolHealth;
    this.#isPoolReadOnly = settings.readOnly;
    this.#name = () => nameOf(settings.name, parts.record.name);
    this.#health = record.isReadOnly
      ? poolHealth.readOnlyVolume(this.#name)
      : poolHealth;
    this.#capabilities = capabilitiesOf(parts);
  }

  /** Admits requests. */
  get health(): Health {
    return this.#health;
  }

  /** What the volume can do now. */
  get capabilities(): DeviceCapabilities {
    return this.#capabilities;
  }

  /**
   * Refuses writes from now on, or takes them again.
   *
   * @param isReadOnly Whether writes are refused.
   * @returns Whether that is new.
   */
  setReadOnly(isReadOnly: boolean): boolean {
    const isNow = this.#health !== this.#poolHealth;
    if (this.#isClosed || isReadOnly === isNow) return false;
    this.#poolHealth.release(this.#health);
    this.#health = isReadOnly
      ? this.#poolHealth.readOnlyVolume(this.#name)
      : this.#poolHealth;
    this.#capabilities = {
      ...this.#capabilities,
      readOnly: isReadOnly || this.#isPoolReadOnly,
    };
    return true;
  }

  /** Refuses all requests from now on. */
  close(): void {
    this.#isClosed = true;
    this.#poolHealth.release(this.#health);
    this.#health = this.#health.closedVolume(() => `Volume "${this.#name()}"`);
  }
}

function capabilitiesOf({ record, base }: VolumeParts): DeviceCapabilities {
  const { settings: { readOnly }, format: { isDense, members } } = base;
  const all = members.map(({ device }) => device.capabilities);
  return {
    readOnly: readOnly || record.isReadOnly,
    discard: !isDense || all.some(({ discard }) => discard),
    fastZeroes: all.every(({ fastZeroes }) => fastZeroes),
  };
}
