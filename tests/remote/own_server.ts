/**
 * Our own server over a raw image: `own_server.ts IMAGE SOCKET [tls]`.
 *
 * @module
 */

import { FileDevice } from "../../device/mod.ts";
import { NbdServer } from "../../nbd/mod.ts";
import { tls } from "../helpers/tls_client.ts";

const [image = "", path = "", encrypted] = Deno.args;
const device = new FileDevice(image);
const server = new NbdServer({
  exports: [{ name: "disk", description: "", device, readOnly: false }],
  ...encrypted !== undefined && { tls: tls() },
});
server.serve(Deno.listen({ transport: "unix", path }));
