/**
 * Names of files that the runtime cannot pass to the system unchanged.
 *
 * @module
 */

/**
 * Tells whether a name survives the runtime. The runtime replaces bytes that
 * are not UTF-8 by U+FFFD, and would then open or create another file.
 *
 * @param name A path, or a part of one.
 * @returns False if the name contains U+FFFD or a lone surrogate.
 */
export function isFaithfulName(name: string): boolean {
  return name.isWellFormed() && !name.includes("\ufffd");
}
