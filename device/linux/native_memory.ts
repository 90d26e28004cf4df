/**
 * Giving memory back to the system, from the C library of Linux through Deno's
 * FFI. Without it everything works, and the process keeps for itself what it
 * needed once.
 *
 * @module
 */

import { openLibrary } from "./native_library.ts";

const SYMBOLS = {
  mallopt: { parameters: ["i32", "i32"], result: "i32" },
  // It may take tens of milliseconds.
  malloc_trim: { parameters: ["usize"], result: "i32", nonblocking: true },
} as const;

/** From `malloc.h`: what is larger is mapped, and unmapped when it is freed. */
const M_MMAP_THRESHOLD = -3;
/** Below the size of a reply buffer, above what short requests allocate. */
const LARGE_BYTES = 1 << 20;

let library: Deno.DynamicLibrary<typeof SYMBOLS> | null | undefined;

/** The allocator, opened at the first use; null if it is another one. */
function allocator(): Deno.DynamicLibrary<typeof SYMBOLS> | null {
  if (library === undefined) library = openLibrary(["libc.so.6"], SYMBOLS);
  return library;
}

/**
 * From now on blocks of 1 MiB and more go back to the system when they are
 * freed. Unless told, the allocator keeps blocks of any size that came often.
 */
export function returnLargeBlocks(): void {
  allocator()?.symbols.mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
}

/**
 * Gives the system back what the allocator keeps of freed blocks.
 *
 * @returns Done when it has; another thread does it.
 */
export async function trimMemory(): Promise<void> {
  await allocator()?.symbols.malloc_trim(0n);
}
