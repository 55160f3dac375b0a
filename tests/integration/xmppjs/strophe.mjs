// Somebody with strophe.js, by BOSH or WebSocket: says what happens to them, a JSON object on each
// line, and does what comes on standard input: {"to": …, "body": …}, {"stop": true}.
//
//     node strophe.mjs DIRECTORY-OF-NODE_MODULES SERVICE JID PASSWORD

import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [modules, service, jid, password] = process.argv.slice(2);
const load = (name) => import(pathToFileURL(`${modules}/${name}`));

// What browsers have, and node has not.
const { DOMParser } = await load("@xmldom/xmldom/lib/index.js");
const { default: PlainRequest } = await load("xhr2/lib/xhr2.js");
globalThis.XMLHttpRequest = class extends PlainRequest {
  get responseXML() {
    return new DOMParser().parseFromString(this.responseText, "text/xml");
  }
  set responseXML(document) {} // always null there
};
globalThis.WebSocket = (await load("ws/wrapper.mjs")).default;
const { Strophe, $build, $msg } = await load("strophe.js/dist/strophe.node.esm.js");

const print = console.log.bind(console);
console.log = console.info = console.debug = console.error; // what the library has to say
const tell = (event, what = {}) => print(JSON.stringify({ event, ...what }));

const connection = new Strophe.Connection(service);
connection.addHandler(
  (stanza) => {
    const body = stanza.getElementsByTagName("body")[0];
    if (body) tell("message", { from: stanza.getAttribute("from"), body: Strophe.getText(body) });
    return true;
  },
  null,
  "message",
);
connection.connect(jid, password, (status, condition) => {
  if (status === Strophe.Status.CONNECTED) {
    connection.send($build("presence"));
    tell("online", { jid: connection.jid });
  } else if (status === Strophe.Status.DISCONNECTED) {
    tell("offline");
    process.exit(0);
  } else if (condition && status !== Strophe.Status.DISCONNECTING) {
    tell("error", { status, text: String(condition) });
  }
});

for await (const line of createInterface({ input: process.stdin })) {
  const { to, body, stop } = JSON.parse(line);
  if (stop) connection.disconnect("bye");
  else connection.send($msg({ to, type: "chat" }).c("body").t(body));
}
