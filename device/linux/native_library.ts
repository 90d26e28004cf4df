/**
 * Opening libraries of the system through Deno's FFI.
 *
 * @module
 */

/** The names of the C library, the usual one first. */
export const LIBC_NAMES = ["libc.so.6", "libc.so"] as const;

/**
 * Opens a library of Linux.
 *
 * @param names Its file names; the first one that can be opened counts.
 * @param symbols The functions that are wanted. Those that are not optional
 *   must all be there.
 * @returns The library; null on another system, without permission, or where
 *   no such library is installed. The caller has a portable way then.
 */
export function openLibrary<
  const Symbols extends Deno.ForeignLibraryInterface,
>(
  names: readonly string[],
  symbols: Symbols,
): Deno.DynamicLibrary<Symbols> | null {
  if (Deno.build.os !== "linux") return null;
  for (const name of names) {
    try {
      return Deno.dlopen(name, symbols);
    } catch {
      // The next one, or none.
    }
  }
  return null;
}
