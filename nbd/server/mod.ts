/**
 * The NBD server.
 *
 * @module
 */

export { NbdServer } from "./server.ts";
export type {
  NbdClientInfo,
  NbdCloseOptions,
  NbdServerOptions,
} from "./server.ts";
