/**
 * Tells which native calls this process can make.
 *
 * @module
 */

import { LIBC_NAMES, openLibrary } from "./native_library.ts";
import { NativeConnections } from "./native_connections.ts";
import { NativeIo } from "./native_io.ts";
import { NativeSockets } from "./native_sockets.ts";

const NOTHING = { parameters: [], result: "void" } as const;

/** Which native calls a process can make. */
export interface NativeCalls {
  /** Holes in files, sizes of block devices, locks. */
  readonly files: boolean;
  /** What threads need that serve a client each. */
  readonly threads: boolean;
  /** Freed memory returns to the system. */
  readonly memory: boolean;
  /** libblkid, which recognises file systems and partitions. */
  readonly blkid: boolean;
}

/**
 * Finds out which native calls this process can make, by trying to open the
 * libraries.
 *
 * @returns All false on another system, or without permission (`--allow-ffi`).
 */
export function nativeCalls(): NativeCalls {
  return {
    files: has(LIBC_NAMES, "fallocate", "lseek", "posix_fadvise", "flock"),
    threads: hasThreads(),
    memory: has(["libc.so.6"], "mallopt", "malloc_trim"),
    blkid: has(["libblkid.so.1"], "blkid_do_probe"),
  };
}

function has(names: readonly string[], ...functions: string[]): boolean {
  const symbols = Object.fromEntries(functions.map((name) => [name, NOTHING]));
  const library = openLibrary(names, symbols);
  library?.close();
  return library !== null;
}

function hasThreads(): boolean {
  if (Deno.build.os !== "linux") return false;
  try {
    new NativeIo();
    new NativeSockets();
    new NativeConnections();
    return true;
  } catch {
    return false;
  }
}
