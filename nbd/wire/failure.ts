/**
 * Why a request fails, as its client is told.
 *
 * @module
 */

/** A number for the program, and a line for people. */
export interface Failure {
  /** A value of the protocol's section "Error values", never 0. */
  readonly errno: number;
  /**
   * Sent where replies have room for it. It names nothing that is only the
   * server's business, such as a path.
   */
  readonly text: string;
}
