/**
 * Changes an open pool and its registry entry. After a stop in the middle the
 * registry still leads to all components.
 *
 * @module
 */

import { messageOf, nameOf, VirstorError } from "../../errors.ts";
import type { Pool } from "../../pool/mod.ts";
import type { GrowResult, RemoveResult } from "../../pool/change/mod.ts";
import type {
  AddAnswer,
  AddRequest,
  GrowRequest,
  RemoveRequest,
  ResizeRequest,
  ResizeResult,
} from "../control/mod.ts";
import { registeredSize, rememberRate, updatePool } from "../state/mod.ts";
import { printNotices } from "../terminal/mod.ts";
import { volumeOf } from "./change_volumes.ts";

/**
 * The default rate of an evacuation of a served pool, bytes a second: slow
 * enough that clients keep most of the disk's throughput.
 */
export const SERVED_EVACUATION_RATE: number = 64 * 1024 ** 2;

/** Components that are being added: each registration lists them, too. */
const joining = new Map<object, readonly [Pool, readonly string[]]>();

/** Registrations run one after the other, so that the latest state wins. */
let registering: Promise<void> = Promise.resolve();

/**
 * Adds components. Registers them before they are members, so that the next
 * open finds all of them, wherever a stop interrupts.
 *
 * @param stateDirectory The state directory.
 * @param pool The open pool.
 * @param request The components to add, and how.
 * @returns The added components, and a warning if the registry could not be
 *   written.
 * @throws {VirstorError} As `Pool.add`.
 */
export async function addComponents(
  stateDirectory: string,
  pool: Pool,
  { paths, ...options }: AddRequest,
): Promise<AddAnswer> {
  const adding = {};
  joining.set(adding, [pool, paths]);
  try {
    await register(stateDirectory, pool);
    const added = await pool.add(paths, options);
    joining.delete(adding);
    const warning = await register(stateDirectory, pool);
    return { ...added, warnings: warning === "" ? [] : [warning] };
  } catch (error) {
    joining.delete(adding);
    await register(stateDirectory, pool);
    throw error;
  }
}

/**
 * Removes components from the pool, and from the registry those that are no
 * longer members.
 *
 * @param stateDirectory The state directory.
 * @param pool The open pool.
 * @param request The components to remove, and the rate.
 * @returns The removed components, and those that are evacuated first.
 * @throws {VirstorError} As `Pool.remove`.
 */
export async function removeComponents(
  stateDirectory: string,
  pool: Pool,
  { paths, bytesPerSecond = SERVED_EVACUATION_RATE, mayLose = 0 }:
    RemoveRequest,
): Promise<RemoveResult> {
  const result = await pool.remove(paths, { bytesPerSecond, mayLose });
  if (result.evacuating.length > 0) {
    await rememberRate(stateDirectory, pool.name, bytesPerSecond);
  }
  await registerOpenPool(stateDirectory, pool);
  return result;
}

/**
 * Takes in what a component got, and registers its new size.
 *
 * @param stateDirectory The state directory.
 * @param pool The open pool.
 * @param request The component.
 * @returns What it got.
 * @throws {VirstorError} As `Pool.grow`.
 */
export async function growComponent(
  stateDirectory: string,
  pool: Pool,
  { path }: GrowRequest,
): Promise<GrowResult> {
  const result = await pool.grow(path);
  await registerOpenPool(stateDirectory, pool);
  return result;
}

/**
 * Gives a volume of a pool another size.
 *
 * @param pool The open pool.
 * @param request The volume, its new size, and whether it may become smaller.
 * @returns The size before and after.
 * @throws {VirstorError} As `Pool.resize`.
 */
export async function resizeDisk(
  pool: Pool,
  { volume: named, virtualSize, sign, force }: ResizeRequest,
): Promise<ResizeResult> {
  const { name: volume, size: before } = volumeOf(pool, named);
  const options = { volume, force, isRelative: sign !== undefined };
  return { before, ...await pool.resize((sign ?? 1) * virtualSize, options) };
}

/**
 * Registers the components of an open pool. Missing components stay registered
 * at their last place. A failure becomes a notice, since the registry is only a
 * hint.
 *
 * @param stateDirectory The state directory.
 * @param pool The open pool.
 * @returns A promise that resolves when the entry is durable.
 */
export async function registerOpenPool(
  stateDirectory: string,
  pool: Pool,
): Promise<void> {
  const warning = await register(stateDirectory, pool);
  if (warning !== "") printNotices([warning]);
}

/**
 * Runs an action of the registry between two registrations of open pools.
 *
 * @param action The action.
 * @returns Settles as the action does.
 */
export function whileUnregistered(action: () => Promise<void>): Promise<void> {
  const done = registering.then(action);
  registering = done.catch(() => {});
  return done;
}

/** Registers components; returns the reason of a failure, or "". */
function register(stateDirectory: string, pool: Pool): Promise<string> {
  const done = registering.then(async () => {
    try {
      await updatePool(stateDirectory, pool.name, (entry) => {
        const { name, id, components, missing, volumes } = pool.status();
        if (entry !== undefined && entry.id !== id) throw takenError(name);
        const sizes = new Map(components.map(({ path, size }) => [path, size]));
        for (const path of joiningOf(pool)) {
          sizes.set(path, sizes.get(path) ?? 0);
        }
        if (missing.length > 0 && entry?.id === id) {
          for (const path of entry.components) {
            sizes.set(path, sizes.get(path) ?? registeredSize(entry, path));
          }
        }
        const all = [...sizes].map(([path, size]) => ({ path, size }));
        const volumeNames = volumes.flatMap((volume) => [
          ...volume.name === name ? [] : [nameOf(name, volume.name)],
          ...volume.snapshots.map((one) => nameOf(name, volume.name, one.name)),
        ]);
        return Promise.resolve({ name, id, components: all, volumeNames });
      });
      return "";
    } catch (error) {
      return messageOf(error);
    }
  });
  registering = done.then(() => {});
  return done;
}

/** The name has been given to another pool, by `label -f` or `taste`. */
function takenError(name: string): VirstorError {
  return new VirstorError(
    "exists",
    `Cannot register pool "${name}": the registry has another pool of this ` +
      "name by now; rename one of them",
  );
}

/** The components that are being added to a pool. */
function joiningOf(pool: Pool): string[] {
  return [...joining.values()].flatMap(([to, paths]) =>
    to === pool ? paths : []
  );
}
