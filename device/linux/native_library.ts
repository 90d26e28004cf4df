/**
 * Opens native libraries through Deno's FFI.
 *
 * @module
 */

/** File names of the C library, the usual one first. */
export const LIBC_NAMES = ["libc.so.6", "libc.so"] as const;

/** The call `statx`, which older C libraries lack. */
export const STATX = {
  parameters: ["i32", "buffer", "i32", "u32", "buffer"],
  result: "i32",
  optional: true,
} as const;

/** From `linux/stat.h`: bytes of a `struct statx`. */
export const STATX_BYTES = 256;

/**
 * Opens a library of Linux. Callers must also work without it.
 *
 * @param names File names of the library; the first that can be opened is used.
 * @param symbols The functions to load. A library that lacks one that is not
 *   `optional` is not opened.
 * @returns The library; null on another system, without permission
 *   (`--allow-ffi`), or if no such library is installed.
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
      // Try the next name.
    }
  }
  return null;
}
