/**
 * Variables of the environment, where the runtime may read them.
 *
 * @module
 */

/**
 * Reads a variable of the environment.
 *
 * @param variable Its name.
 * @returns Its value; undefined also if the runtime may not read it.
 */
export function readVariable(variable: string): string | undefined {
  const { state } = Deno.permissions.querySync({ name: "env", variable });
  return state === "granted" ? Deno.env.get(variable) : undefined;
}
