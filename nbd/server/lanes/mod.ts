/**
 * Connections that threads of their own serve.
 *
 * @module
 */

export { Lanes } from "./lanes.ts";
