/**
 * virstor: thin-provisioned storage pools in user space, served over NBD.
 *
 * ```ts ignore
 * import { labelPool, openPool } from "@virstor/virstor";
 *
 * await labelPool({ name: "demo", paths: ["a.img"], createSize: 2 ** 26 });
 * await using pool = await openPool(["a.img"]);
 * ```
 *
 * @module
 */

export * from "./errors.ts";
export * from "./device/mod.ts";
export * from "./pool/mod.ts";
export * from "./nbd/mod.ts";
