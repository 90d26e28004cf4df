/**
 * The failure of a request as its client receives it.
 *
 * @module
 */

/** An error value for the client program, and a text for its user. */
export interface Failure {
  /** A value of NBD `doc/proto.md`, section "Error values"; never 0. */
  readonly errno: number;
  /**
   * One line. ERROR chunks carry it; simple replies do not. It names nothing
   * that is internal to the server, such as a path.
   */
  readonly text: string;
}
