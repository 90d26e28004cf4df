/**
 * Paths of the state directory, as `node:path` computes them on POSIX systems.
 * Loading `node:path` takes the runtime half as long as starting does, and a
 * command that asks a server needs no more than this.
 *
 * @module
 */

import { isUri, shownPath } from "../../errors.ts";

/**
 * Makes a path absolute and normal: without `.`, `..`, empty parts and a slash
 * at the end. In a URI it makes the paths absolute that parameters name, and
 * hides the password, which NBD does not use.
 *
 * @param path A path, relative to the working directory or absolute; or a URI.
 * @returns The absolute path, or the URI.
 */
export function absolutePath(path: string): string {
  if (isUri(path)) return shownPath(absoluteUri(path));
  const whole = path.startsWith("/") ? path : `${Deno.cwd()}/${path}`;
  const parts: string[] = [];
  for (const part of whole.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}`;
}

/** The parameters whose values are paths. */
const PATH_PARAMETER = /([?&](?:socket|tls-certificates)=)([^&#,]+)/g;

function absoluteUri(uri: string): string {
  return uri.replace(PATH_PARAMETER, (_, name: string, value: string) => {
    const path = encodeURIComponent(absolutePath(decoded(value)));
    return name + path.replaceAll("%2F", "/");
  });
}

/** A value with a stray "%" is refused where the URI is parsed. */
function decoded(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
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
