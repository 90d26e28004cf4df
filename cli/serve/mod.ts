/**
 * The process that serves pools.
 *
 * @module
 */

export { conductOf, logStyleOf, poolOptionsOf } from "./serve_options.ts";
export { plainConduct, servePools } from "./service.ts";
