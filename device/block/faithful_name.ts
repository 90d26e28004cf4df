/**
 * Names of files that the runtime cannot pass on as they are.
 *
 * @module
 */

/**
 * Whether a name leads to the file that is meant. The runtime takes what is not
 * UTF-8 for U+FFFD, and would open, or make, a file of another name.
 *
 * @param name A path, or a part of one.
 * @returns False if it holds U+FFFD or half a surrogate pair.
 */
export function isFaithfulName(name: string): boolean {
  return name.isWellFormed() && !name.includes("\ufffd");
}
