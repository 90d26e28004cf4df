/**
 * Registering pools that `taste` has found, without forgetting what is known of
 * them.
 *
 * @module
 */

import { VirstorError } from "../../errors.ts";
import type { ComponentLabel } from "../../pool/member/mod.ts";
import {
  readLabel,
  taste,
  type TastedComponent,
  type TastedPool,
} from "../../pool/mod.ts";
import {
  registeredSize,
  type RegistryEntry,
  updatePool,
} from "../state/mod.ts";

/** A file that is not registered. */
export interface PassedOver {
  /** Where it is. */
  readonly path: string;
  /** Why it is no component. */
  readonly reason: string;
}

/** What was registered. */
export interface RegisteredPool {
  /** The pool, with what the registry knew of it. */
  readonly pool: TastedPool;
  /** Copies of its components. */
  readonly copies: readonly PassedOver[];
}

/**
 * Registers a pool. As long as components are missing, the files where the
 * registry saw them last stay registered: they may be away for a moment. Of
 * copies of a component the registered one is taken, or else the newest one.
 *
 * @param stateDirectory The state directory.
 * @param found The pool, as far as it was found.
 * @returns The pool with what was known of it, and what was left out.
 * @throws {VirstorError} `io` if the registry cannot be written.
 */
export async function registerTasted(
  stateDirectory: string,
  found: TastedPool,
): Promise<RegisteredPool> {
  let registered: RegisteredPool = { pool: found, copies: [] };
  await updatePool(stateDirectory, found.name, async (entry) => {
    const known = entry?.id === found.id ? entry : undefined;
    registered = withoutCopies(await withKnown(found, known), known);
    const { pool } = registered;
    const away = pool.missing.length === 0
      ? []
      : (known?.components ?? []).filter(isAway);
    const components = [
      ...pool.components,
      ...away.map((path) => ({
        path,
        size: known === undefined ? 0 : registeredSize(known, path),
      })),
    ];
    return { name: pool.name, id: pool.id, components };
  });
  return registered;
}

/** Adds components at known paths that were not found elsewhere. */
async function withKnown(
  found: TastedPool,
  entry: RegistryEntry | undefined,
): Promise<TastedPool> {
  if (entry === undefined) return found;
  const taken = new Set(found.components.map(({ label }) => keyOf(label)));
  const paths = found.components.map(({ path }) => path);
  const more = entry.components.filter((path) => {
    const label = paths.includes(path) ? undefined : labelOf(path);
    return label !== undefined && !taken.has(keyOf(label));
  });
  if (more.length === 0) return found;
  const { pools } = await taste([...paths, ...more]);
  return pools.find(({ name, id }) => name === found.name && id === found.id) ??
    found;
}

function withoutCopies(
  pool: TastedPool,
  entry: RegistryEntry | undefined,
): RegisteredPool {
  const copies: PassedOver[] = [];
  const groups = Map.groupBy(pool.components, ({ label }) => keyOf(label));
  const components = [...groups.values()].flatMap((claimants) => {
    const one = bestOf(claimants, entry);
    if (one === undefined) return claimants;
    for (const { path } of claimants) {
      if (path === one.path) continue;
      copies.push({ path, reason: `it is a copy of "${one.path}"` });
    }
    return [one];
  });
  return { pool: { ...pool, components }, copies };
}

/** Which of the files that claim one place is right, if that can be told. */
function bestOf(
  claimants: readonly TastedComponent[],
  entry: RegistryEntry | undefined,
): TastedComponent | undefined {
  const newest = Math.max(...claimants.map(({ label }) => ageOf(label)));
  const fresh = claimants.filter(({ label }) => ageOf(label) === newest);
  const [one, other] = fresh;
  if (other === undefined) return one;
  const [known, second] = fresh.filter(({ path }) =>
    entry?.components.includes(path)
  );
  return second === undefined ? known : undefined;
}

/** The higher, the newer; labels of format 1 do not tell. */
function ageOf(label: ComponentLabel): number {
  return label.format === "native" ? label.generation : 0;
}

/** The same for two labels if and only if they claim the same place. */
function keyOf(label: ComponentLabel): string {
  return label.format === "native" ? label.componentUuid : String(label.index);
}

/** Whether it cannot be told what is at a path. */
function isAway(path: string): boolean {
  try {
    readLabel(path);
    return false;
  } catch (error) {
    if (!(error instanceof VirstorError)) throw error;
    return error.code === "io" || !isThere(path);
  }
}

function isThere(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

function labelOf(path: string): ComponentLabel | undefined {
  try {
    return readLabel(path);
  } catch (error) {
    if (error instanceof VirstorError) return undefined;
    throw error;
  }
}
