/**
 * Taking in what a component got when its file or device grew.
 *
 * @module
 */

import { inBytes, VirstorError } from "../../errors.ts";
import type { Component } from "../core/mod.ts";
import type { PoolBase } from "../io/mod.ts";
import { memberAt } from "./membership.ts";

/** What a component got. */
export interface GrowResult {
  /** The component's path. */
  readonly path: string;
  /** Bytes that the pool used of it before. */
  readonly before: number;
  /** Bytes that the pool uses of it now. */
  readonly size: number;
  /** Chunks that it got. */
  readonly chunksAdded: number;
}

/**
 * Takes in what a component got.
 *
 * *Requires*: the evacuation is held, and no other change runs.
 *
 * @param parts The open pool's parts.
 * @param path The path of the component.
 * @param onCommit Called once chunks may be allocated there.
 * @returns What it got.
 * @throws {VirstorError} `invalid` if it is no member, has not grown, or not by
 *   enough; `unsupported` if it cannot grow while the pool is open: nothing has
 *   changed. `failed`: the state on disk is unknown.
 */
export async function growComponent(
  parts: PoolBase,
  path: string,
  onCommit: () => void,
): Promise<GrowResult> {
  const { format, space } = parts;
  const one = memberAt("grow", parts, path);
  const { device, geometry: before } = one;
  const { length } = device;
  if (length === undefined) {
    throw refused(one, "unsupported", "it is on another machine");
  }
  const fileSize = length.now();
  const size = format.layout.sizeOf(fileSize);
  const fault = growthFault(one, size);
  if (fault !== "") throw refused(one, "invalid", fault);
  const unused = device.size;
  length.use(fileSize);
  try {
    await format.growMember(one, size, () => {
      one.takeGrowth();
      space.recount();
      onCommit();
    });
  } catch (error) {
    const isClean = error instanceof VirstorError && error.code !== "failed";
    if (isClean) length.use(unused);
    throw error;
  }
  const chunksAdded = one.geometry.chunkCount - before.chunkCount;
  return { path: device.path, before: before.size, size, chunksAdded };
}

function growthFault(one: Component, size: number): string {
  const before = one.geometry.size;
  if (one.evacuating) return "it is being removed";
  if (size > before) return "";
  return size === before
    ? `it has ${inBytes(size)}, as its label says: enlarge the file or the ` +
      "device first"
    : "it was cut, give it its size again";
}

function refused(
  { device }: Component,
  code: "invalid" | "unsupported",
  reason: string,
): VirstorError {
  return new VirstorError(code, `Cannot grow "${device.path}": ${reason}`);
}
