/**
 * Our own server over a raw image: `own_server.ts IMAGE SOCKET`.
 *
 * @module
 */

import { FileDevice } from "../../device/mod.ts";
import { NbdServer } from "../../nbd/mod.ts";

const [image = "", path = ""] = Deno.args;
const device = new FileDevice(image);
const server = new NbdServer({
  exports: [{ name: "disk", description: "", device, readOnly: false }],
});
server.serve(Deno.listen({ transport: "unix", path }));
