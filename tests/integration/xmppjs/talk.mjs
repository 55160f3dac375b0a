// Somebody with @xmpp/client: says what happens to them, a JSON object on each line, and does what
// comes on standard input: {"to": …, "body": …} sends a message, {"stop": true} leaves.
//
//     node talk.mjs DIRECTORY-OF-NODE_MODULES SERVICE DOMAIN USERNAME PASSWORD

import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [modules, service, domain, username, password] = process.argv.slice(2);
// What browsers have, and node of Debian 12 has not.
globalThis.WebSocket = (await import(pathToFileURL(`${modules}/ws/wrapper.mjs`))).default;
const { client, xml } = await import(pathToFileURL(`${modules}/@xmpp/client/index.js`));

const tell = (event, what = {}) => console.log(JSON.stringify({ event, ...what }));

const user = client({ service, domain, username, password, resource: "js" });
user.reconnect.delay = 50;
user.on("error", (error) => tell("error", { text: String(error) }));
user.on("online", (jid) => tell("online", { jid: String(jid) }));
user.on("disconnect", () => tell("disconnect"));
user.on("nonza", (element) => tell("nonza", { name: element.name }));
user.streamManagement.on("resumed", () => tell("resumed"));
user.streamManagement.on("fail", () => tell("fail"));
user.on("stanza", (stanza) => {
  if (stanza.is("message")) {
    tell("message", { from: stanza.attrs.from, body: stanza.getChildText("body") });
  }
});

await user.start();
await user.send(xml("presence"));
tell("available");

for await (const line of createInterface({ input: process.stdin })) {
  const { to, body, stop } = JSON.parse(line);
  if (stop) {
    await user.stop();
    tell("offline");
    process.exit(0);
  }
  await user.send(xml("message", { type: "chat", to }, xml("body", {}, body)));
}
