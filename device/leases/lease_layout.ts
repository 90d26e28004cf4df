/**
 * The layout of the memory that the owner of a device shares with the threads
 * that use its leases. Words are 32 bits.
 *
 * - entries: `ENTRIES` entries of `ENTRY_WORDS` words; one entry can lease one
 *   chunk
 * - control block: a line of flags, a line for each thread (its hazard word),
 *   a line for each source
 * - work: `WORK_STEP` float64 numbers for each thread
 *
 * @module
 */

/** Threads that may use one table at once. */
export const LEASE_THREADS_MAX = 64;
/**
 * Limit of source numbers: a source is a file whose descriptor is lent. Chunks
 * on a source with this number or a higher one are not leased.
 */
export const LEASE_SOURCES_MAX = 1024;

/**
 * Number of entries. The number of a chunk selects its entry; chunks whose
 * numbers are congruent share one, and only one of them can have a lease.
 */
export const ENTRIES = 1 << 20;
/**
 * Words of an entry: source (0: no lease) with {@linkcode READ_ONLY} and
 * {@linkcode UNWRITTEN}, tag of the chunk, chunk number on the source, version.
 */
export const ENTRY_WORDS = 4;
/** Bit of an entry's source: the lease allows reads only. */
export const READ_ONLY: number = 1 << 16;
/**
 * Bit of an entry's source: no thread has written under the lease yet. The owner
 * sets it for chunks that it maps ahead; the first write clears it.
 */
export const UNWRITTEN: number = 1 << 17;
/** Bits of an entry's source that hold the number of the source. */
export const SOURCE_BITS: number = READ_ONLY - 1;
/** Entry: the version, which changes whenever a lease is withdrawn. */
export const VERSION = 3;
/** Words of a line of the control block: one cache line. */
export const LINE_WORDS = 16;
/** Float64 numbers of one thread's counters: one cache line. */
export const WORK_STEP = 8;
/** Control block: first word of the threads' lines. */
const HAZARDS = LINE_WORDS;
/** Control block: first word of the sources' lines. */
export const SOURCES = HAZARDS + LEASE_THREADS_MAX * LINE_WORDS;
/** Words of the control block. */
export const CONTROL_WORDS = SOURCES + LEASE_SOURCES_MAX * LINE_WORDS;
/** Control block: 1 while leases are valid, 0 after the end of the table. */
export const OPEN = 0;
/** Control block: 1 while threads may write, else 0. */
export const WRITABLE = 1;
/** Line of a source: its descriptor. */
export const DESCRIPTOR = 0;
/** Line of a source: 1 if threads wrote since the owner took the mark. */
export const WRITTEN = 1;
/** Line of a source: 1 if `preadv2` with RWF_NOWAIT may work on it. */
export const TELLS_CACHED = 2;
/** Counters of a thread: its reads; their bytes are the next number. */
export const READS = 0;
/** Counters of a thread: its writes; their bytes are the next number. */
export const WRITES = 2;
/** Counter of a thread: its flushes. */
export const FLUSHES = 4;

/** The shared memory of a lease table; it can be posted to other threads. */
export interface LeaseMemory {
  /** Bytes of a chunk. */
  readonly chunkSize: number;
  /** The entries. */
  readonly entries: SharedArrayBuffer;
  /** The control block. */
  readonly control: SharedArrayBuffer;
  /** The counters of the threads. */
  readonly work: SharedArrayBuffer;
  /** What makes files durable, shared with the tables of other volumes. */
  readonly syncs: SharedArrayBuffer;
  /** Number of the first thread among the threads of all tables. */
  readonly firstThread: number;
}

/**
 * Locates the hazard word of a thread: the entry that the thread writes under,
 * plus 1; 0 while it does not write.
 *
 * @param thread Number of the thread, from 0.
 * @returns Index of the word in the control block.
 */
export function hazardOf(thread: number): number {
  return HAZARDS + thread * LINE_WORDS;
}

/**
 * Selects the entry of a chunk.
 *
 * @param chunk Number of the chunk, from 0.
 * @returns Index of the entry.
 */
export function slotOf(chunk: number): number {
  return chunk % ENTRIES;
}

/**
 * Distinguishes chunks that share an entry.
 *
 * @param chunk Number of the chunk, from 0.
 * @returns The tag, below 2^31 for any chunk of a disk.
 */
export function tagOf(chunk: number): number {
  return Math.floor(chunk / ENTRIES);
}
