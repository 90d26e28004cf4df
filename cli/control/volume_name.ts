/**
 * The names of volumes and snapshots as users know them.
 *
 * @module
 */

/**
 * The name under which users know a volume.
 *
 * @param pool The name of the pool.
 * @param volume The name of the volume; empty for the first one.
 * @param snapshot The name of a snapshot of it; the volume itself by default.
 * @returns `POOL`, `POOL/VOLUME`, and with a snapshot `@SNAPSHOT` behind it.
 */
export function nameOf(pool: string, volume: string, snapshot = ""): string {
  const name = volume === "" || volume === pool ? pool : `${pool}/${volume}`;
  return snapshot === "" ? name : `${name}@${snapshot}`;
}
