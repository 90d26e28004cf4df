/**
 * Which pool to serve.
 *
 * @module
 */

/** A pool to serve. */
export interface PoolSource {
  /** The pool's name, which is also the name of its export. */
  readonly name: string;
  /** Paths of components that the user gave, absolute. */
  readonly named?: readonly string[] | undefined;
  /** Makes the pool. Called once it is certain that no process serves it. */
  readonly prepare?: () => Promise<void>;
}
