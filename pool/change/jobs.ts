/**
 * What changes of volumes leave to do beside the requests, and how far it is.
 *
 * @module
 */

/** What a job does. */
export type JobKind =
  | "flatten" // copies what a clone shares with its parent
  | "free" // frees chunks that a removed volume or snapshot has left
  | "rollback"; // makes a volume what a snapshot sees

/** How far a job is. */
export interface JobStatus {
  /** What it does. */
  readonly kind: JobKind;
  /** The volumes and snapshots, as `VOLUME` and `VOLUME@SNAPSHOT`. */
  readonly names: readonly string[];
  /** Chunks that it has looked at. */
  readonly doneChunks: number;
  /** Chunks to look at. */
  readonly allChunks: number;
  /** Chunks that it has freed so far, free or being freed. */
  readonly freedChunks: number;
}

/** A job that is under way. */
export class Job {
  /** What it does. */
  readonly kind: JobKind;
  /** The volumes and snapshots. */
  readonly names: readonly string[];
  /** Chunks that it has looked at. */
  done = 0;
  /** Chunks that it has freed. */
  freed = 0;
  readonly #all: () => number;

  /**
   * Begins with nothing done.
   *
   * @param kind What it does.
   * @param names The volumes and snapshots.
   * @param all Returns how many chunks there are to look at.
   */
  constructor(kind: JobKind, names: readonly string[], all: () => number) {
    this.kind = kind;
    this.names = names;
    this.#all = all;
  }

  /** How far it is. */
  get status(): JobStatus {
    const { kind, names, done, freed } = this;
    const allChunks = Math.max(done, this.#all());
    return {
      kind,
      names,
      doneChunks: done,
      allChunks,
      freedChunks: freed,
    };
  }
}

/** The jobs of a pool. */
export class Jobs {
  readonly #jobs = new Set<Job>();

  /** How far each job is, the oldest first. */
  get status(): JobStatus[] {
    return Array.from(this.#jobs, (job) => job.status);
  }

  /**
   * Shows a job in the status until it ends.
   *
   * @param job The job.
   * @param act Does it.
   * @returns What `act` returns.
   */
  async show<T>(job: Job, act: (job: Job) => Promise<T>): Promise<T> {
    this.#jobs.add(job);
    try {
      return await act(job);
    } finally {
      this.#jobs.delete(job);
    }
  }
}
