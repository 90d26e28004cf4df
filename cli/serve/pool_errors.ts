/**
 * The errors of a served pool.
 *
 * @module
 */

import { counted, messageOf, VirstorError } from "../../errors.ts";

/**
 * Makes the error for a pool that another process serves.
 *
 * @param name The name of the pool.
 * @param server That process, and the URI of the pool, or an empty string.
 * @returns The error, `busy`.
 */
export function servedError(
  name: string,
  { pid, uri }: { readonly pid: number; readonly uri: string },
): VirstorError {
  return new VirstorError(
    "busy",
    `Cannot serve pool "${name}": process ${pid} serves it already` +
      (uri === "" ? "" : `, on ${uri}`),
  );
}

/**
 * Makes the error for a stop of a pool that has clients.
 *
 * @param name The name of the pool.
 * @param count How many clients there are.
 * @returns The error, `busy`.
 */
export function connectedError(name: string, count: number): VirstorError {
  return new VirstorError(
    "busy",
    `Cannot stop pool "${name}": ` +
      counted(count, "client is", "clients are") +
      " connected; disconnect, or use -f",
  );
}

/**
 * Makes the error for a rollback of a volume that has clients.
 *
 * @param name The name of the snapshot, as users write it.
 * @param count How many clients there are.
 * @returns The error, `busy`.
 */
export function usedError(name: string, count: number): VirstorError {
  return new VirstorError(
    "busy",
    `Cannot roll back to "${name}": ` +
      counted(count, "client is", "clients are") +
      " connected to the volume; disconnect, or use -f",
  );
}

/**
 * Makes the error for a pool that was stopped, but not durably.
 *
 * @param name The name of the pool.
 * @param cause Why not.
 * @returns The error, with the code of its cause.
 */
export function notDurableError(
  name: string,
  cause: VirstorError,
): VirstorError {
  return new VirstorError(
    cause.code,
    `Stopped pool "${name}", but not everything could be made ` +
      `durable: ${messageOf(cause)}; look at the disk below, then run ` +
      `"virstor check"`,
    { cause },
  );
}
