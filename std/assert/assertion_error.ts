/**
 * The error of a failed assertion.
 *
 * @module
 */

/** Thrown by every assertion that does not hold. */
export class AssertionError extends Error {
  /**
   * Creates an error.
   *
   * @param message What does not hold.
   * @param options The underlying error as `cause`, if there is one.
   */
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "AssertionError";
  }
}

/** Appends the caller's own words to a message. */
export function withNote(message: string, note?: string): string {
  return note ? `${message}: ${note}` : message;
}
