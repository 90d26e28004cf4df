/**
 * Paths of the state directory, as `node:path` computes them on POSIX systems.
 * Loading `node:path` takes the runtime half as long as starting does, and a
 * command that asks a server needs no more than this.
 *
 * @module
 */

/**
 * Makes a path absolute and normal: without `.`, `..`, empty parts and a slash
 * at the end.
 *
 * @param path A path, relative to the working directory or absolute.
 * @returns The absolute path.
 */
export function absolutePath(path: string): string {
  const whole = path.startsWith("/") ? path : `${Deno.cwd()}/${path}`;
  const parts: string[] = [];
  for (const part of whole.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}`;
}

/**
 * The directory that a path is in.
 *
 * @param path An absolute, normal path.
 * @returns The directory; that of `/` is `/`.
 */
export function parentPath(path: string): string {
  return path.slice(0, path.lastIndexOf("/")) || "/";
}
