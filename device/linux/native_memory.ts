/**
 * Returns freed memory to the system: calls the C library of Linux through
 * Deno's FFI. Without these calls the process keeps the memory that it once
 * needed.
 *
 * @module
 */

import { openLibrary } from "./native_library.ts";

const SYMBOLS = {
  mallopt: { parameters: ["i32", "i32"], result: "i32" },
  // This call may take tens of milliseconds, so it runs off the event loop.
  malloc_trim: { parameters: ["usize"], result: "i32", nonblocking: true },
} as const;

/**
 * From `malloc.h`: the allocator maps each block of this size or more, and
 * unmaps it when it is freed.
 */
const M_MMAP_THRESHOLD = -3;
/** Smaller than a reply buffer, larger than blocks of short requests; bytes. */
const LARGE_BYTES = 1 << 20;

let library: Deno.DynamicLibrary<typeof SYMBOLS> | null | undefined;

/** The GNU C library, opened at the first use; null if there is another one. */
function allocator(): Deno.DynamicLibrary<typeof SYMBOLS> | null {
  if (library === undefined) library = openLibrary(["libc.so.6"], SYMBOLS);
  return library;
}

/**
 * Makes the allocator return blocks of 1 MiB and more to the system when they
 * are freed. By default it raises that limit and keeps large freed blocks.
 */
export function returnLargeBlocks(): void {
  allocator()?.symbols.mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
}

/**
 * Returns the freed blocks that the allocator keeps to the system, off the
 * event loop.
 *
 * @returns Fulfilled when the memory is returned.
 */
export async function trimMemory(): Promise<void> {
  await allocator()?.symbols.malloc_trim(0n);
}
