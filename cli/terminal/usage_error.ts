/**
 * The error of a wrong command line.
 *
 * @module
 */

/** An unknown command or option, a missing or malformed argument. */
export class UsageError extends Error {
  override readonly name = "UsageError";
  /** What to do, one line, which the program prints below the message. */
  readonly hint: string;

  /**
   * Creates an error.
   *
   * @param message What is wrong, one line.
   * @param hint What to do, one line.
   */
  constructor(message: string, hint: string = 'Try "virstor --help"') {
    super(message);
    this.hint = hint;
  }
}
