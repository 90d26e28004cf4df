/**
 * Registers pools that `taste` has found, and keeps what the registry knows of
 * them.
 *
 * @module
 */

import { fileIdentity } from "../../device/file/mod.ts";
import { isUri, VirstorError } from "../../errors.ts";
import type { ComponentLabel } from "../../pool/member/mod.ts";
import {
  findLabel,
  type RemoteComponents,
  taste,
  type TastedComponent,
  type TastedPool,
} from "../../pool/mod.ts";
import {
  registeredSize,
  type RegistryEntry,
  remoteComponents,
  updatePool,
} from "../state/mod.ts";
import type { PassedOver } from "./passed_over.ts";

/** A pool that was registered. */
export interface RegisteredPool {
  /** The pool, with the components that the registry knew. */
  readonly pool: TastedPool;
  /** Copies of its components. */
  readonly copies: readonly PassedOver[];
}

/**
 * Registers a pool. As long as components are missing, their last known paths
 * stay registered: the files may be absent for a moment. Of copies of a
 * component it takes the newest, and of equally new ones the registered one.
 *
 * @param stateDirectory The state directory.
 * @param found The pool with the components that were found.
 * @returns The registered pool, and the copies that were left out.
 * @throws {VirstorError} `io` if the registry cannot be written.
 */
export async function registerTasted(
  stateDirectory: string,
  found: TastedPool,
): Promise<RegisteredPool> {
  let registered: RegisteredPool = { pool: found, copies: [] };
  const remote = remoteComponents(stateDirectory);
  await updatePool(stateDirectory, found.name, async (entry) => {
    const known = entry?.id === found.id ? entry : undefined;
    registered = withoutCopies(
      await withKnown(found, known, remote),
      known,
    );
    const { pool } = registered;
    const away: string[] = [];
    for (const path of known?.components ?? []) {
      const isMissing = pool.missing.length > 0;
      if (isMissing && await isAway(path, remote)) away.push(path);
    }
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

/** Adds components at registered paths that `taste` did not find elsewhere. */
async function withKnown(
  found: TastedPool,
  entry: RegistryEntry | undefined,
  remote: RemoteComponents,
): Promise<TastedPool> {
  if (entry === undefined) return found;
  const taken = new Set(found.components.map(({ label }) => keyOf(label)));
  const paths = found.components.map(({ path }) => path);
  const more: string[] = [];
  for (const path of entry.components) {
    if (paths.includes(path)) continue;
    const label = await labelOf(path, remote);
    if (label !== undefined && !taken.has(keyOf(label))) more.push(path);
  }
  if (more.length === 0) return found;
  const { pools } = await taste([...paths, ...more], { remote });
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
    const distinct = [...Map.groupBy(claimants, identityOf).values()].map(
      (links) => {
        const one = links.find((link) => isKnown(link, entry)) ?? links[0];
        for (const { path } of links) {
          if (path === one?.path) continue;
          copies.push({
            path,
            reason: `it is the same file as "${one?.path}"`,
          });
        }
        return one;
      },
    ).filter((one) => one !== undefined);
    const one = bestOf(distinct, entry);
    if (one === undefined) return distinct;
    for (const { path } of distinct) {
      if (path === one.path) continue;
      copies.push({ path, reason: `it is a copy of "${one.path}"` });
    }
    return [one];
  });
  return { pool: { ...pool, components }, copies };
}

/** Equal for two paths of one file, through links or a bind mount. */
function identityOf({ path }: TastedComponent): string {
  try {
    return isUri(path) ? path : fileIdentity(path);
  } catch {
    // The file was removed since.
    return path;
  }
}

function isKnown(
  { path }: TastedComponent,
  entry: RegistryEntry | undefined,
): boolean {
  return entry?.components.includes(path) === true;
}

/** Chooses one of the files that claim one place; `undefined` if in doubt. */
function bestOf(
  claimants: readonly TastedComponent[],
  entry: RegistryEntry | undefined,
): TastedComponent | undefined {
  const newest = Math.max(...claimants.map(({ label }) => ageOf(label)));
  const fresh = claimants.filter(({ label }) => ageOf(label) === newest);
  const [one, other] = fresh;
  if (other === undefined) return one;
  const [known, second] = fresh.filter((each) => isKnown(each, entry));
  return second === undefined ? known : undefined;
}

/** The age of a label: higher is newer; always 0 in format 1. */
function ageOf(label: ComponentLabel): number {
  return label.format === "native" ? label.generation : 0;
}

/** A key that is equal for two labels if they claim the same place. */
function keyOf(label: ComponentLabel): string {
  return label.format === "native" ? label.componentUuid : String(label.index);
}

/** Tells whether the file at a path cannot be read, or is absent. */
async function isAway(
  path: string,
  remote: RemoteComponents,
): Promise<boolean> {
  try {
    await findLabel(path, { remote });
    return false;
  } catch (error) {
    if (!(error instanceof VirstorError)) throw error;
    return isUri(path) || error.code === "io" || !isThere(path);
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

async function labelOf(
  path: string,
  remote: RemoteComponents,
): Promise<ComponentLabel | undefined> {
  try {
    return await findLabel(path, { remote });
  } catch (error) {
    if (error instanceof VirstorError) return undefined;
    throw error;
  }
}
