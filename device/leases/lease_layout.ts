/**
 * Where things are in the memory that the owner of a device and the threads
 * that use its leases share.
 *
 * @module
 */

/** Threads that may look at one table at once. */
export const LEASE_THREADS_MAX = 64;
/** Descriptors that one table can name; what lies on others is not leased. */
export const LEASE_SOURCES_MAX = 1024;

/** Entries; a chunk has its place by its number, and may have to share it. */
export const ENTRIES = 1 << 20;
/** Words of an entry: source (0: no lease), which chunk, its place, version. */
export const ENTRY_WORDS = 4;
/** The word of an entry that changes whenever a lease is withdrawn. */
export const VERSION = 3;
/** Words from one thread's or source's to the next: a cache line. */
export const LINE_WORDS = 16;
/** Numbers of 64 bits from what one thread counts to the next. */
export const WORK_STEP = 8;
/** Control block: the words of the threads, after a line for all of them. */
const HAZARDS = LINE_WORDS;
/** Control block: the words of the sources. */
export const SOURCES = HAZARDS + LEASE_THREADS_MAX * LINE_WORDS;
/** Words of the control block. */
export const CONTROL_WORDS = SOURCES + LEASE_SOURCES_MAX * LINE_WORDS;
/** Control block: whether there are leases at all. */
export const OPEN = 0;
/** Control block: whether threads may write. */
export const WRITABLE = 1;
/** Source: its descriptor. */
export const DESCRIPTOR = 0;
/** Source: whether threads have written to it. */
export const WRITTEN = 1;
/** Source: whether the system tells what is in the page cache. */
export const TELLS_CACHED = 2;
/** Of what a thread counts: its reads; their bytes are in the next one. */
export const READS = 0;
/** Of what a thread counts: its writes; their bytes are in the next one. */
export const WRITES = 2;

/** The shared memory; it can be sent to other threads. */
export interface LeaseMemory {
  /** Bytes of a chunk. */
  readonly chunkSize: number;
  /** The entries. */
  readonly entries: SharedArrayBuffer;
  /** What is common to all entries. */
  readonly control: SharedArrayBuffer;
  /** What the threads count. */
  readonly work: SharedArrayBuffer;
}

/**
 * The word of the control block in which a thread names the entry that it
 * writes under, plus 1; 0 if it does not write.
 *
 * @param thread The number of the thread.
 * @returns The index of the word.
 */
export function hazardOf(thread: number): number {
  return HAZARDS + thread * LINE_WORDS;
}

/**
 * The entry of a chunk.
 *
 * @param chunk Its number.
 * @returns The number of the entry.
 */
export function slotOf(chunk: number): number {
  return chunk % ENTRIES;
}

/**
 * Tells chunks apart that share an entry.
 *
 * @param chunk The number of the chunk.
 * @returns Below 2^31 for any chunk of a disk.
 */
export function tagOf(chunk: number): number {
  return Math.floor(chunk / ENTRIES);
}
