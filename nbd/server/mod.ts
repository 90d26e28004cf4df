/**
 * The NBD server.
 *
 * @module
 */

export { NbdServer } from "./server.ts";
export type {
  NbdClientInfo,
  NbdCloseOptions,
  NbdLoad,
  NbdServerOptions,
} from "./server.ts";
