// A client in JavaScript, tested with a server of its own:
//
//     npm install @xmpp/client
//     node --test romeo.test.mjs

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import tls from "node:tls";

import { client, xml } from "@xmpp/client";

const PASSWORD = "moon";
let server;
const clients = [];

/** The next event of a name, whatever errors there are before: a lost connection is one. */
const event = (emitter, name) => new Promise((resolve) => emitter.once(name, resolve));

/** Have a server that ends with this process, and wait until it is ready. */
async function startServer(...options) {
  const child = spawn("xmppd", ["temporary", ...options], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const line = await event(createInterface({ input: child.stdout }), "line");
  return { ...JSON.parse(line), child };
}

/** Give the server a command, such as "fault cut"; returns the rows of its answer. */
async function tell(command, values = {}) {
  const socket = connect(server.control);
  socket.write(`${JSON.stringify({ command, arguments: values })}\n`);
  const rows = [];
  for await (const line of createInterface({ input: socket })) {
    const answer = JSON.parse(line);
    if (answer.error) throw new Error(answer.error);
    if (answer.row) rows.push(answer.row);
    if (answer.done) break;
  }
  socket.destroy();
  return rows;
}

/** Somebody's client, which comes back by itself when its connection is lost. */
async function online(username) {
  const xmpp = client({
    service: `xmpp://${server.host}:${server.port}`,
    domain: server.domain,
    resource: "test",
    username,
    password: PASSWORD,
  });
  xmpp.on("error", () => {}); // each lost connection is one
  xmpp.reconnect.on("reconnecting", () => {
    // It gives up when it overlooks an answer; disconnecting makes it try again.
    setTimeout(() => xmpp.status !== "online" && xmpp.disconnect().catch(() => {}), 10_000).unref();
  });
  try {
    await xmpp.start();
  } catch {
    await leave(xmpp); // a login that takes longer than it waits for an answer it overlooked
    return online(username);
  }
  clients.push(xmpp);
  await xmpp.send(xml("presence"));
  return xmpp;
}

/** Have a client log out, and not come back. */
async function leave(xmpp) {
  xmpp.reconnect.stop();
  await xmpp.stop();
}

const seen = (address, more) => tell("seen wait", { address, seconds: "20", ...more });
const message = (to, body) => xml("message", { to, type: "chat" }, xml("body", {}, body));

before(async () => {
  server = await startServer("--accounts", `romeo:${PASSWORD},juliet:${PASSWORD}`);
  const authority = readFileSync(server.certificate);
  const { createSecureContext } = tls; // newer versions of node have tls.setDefaultCACertificates
  tls.createSecureContext = (options) => createSecureContext({ ...options, ca: authority });
});

after(async () => {
  await Promise.all(clients.map(leave));
  server.child.kill();
});

test("a message arrives", async () => {
  const romeo = await online("romeo");
  const juliet = await online("juliet");
  const heard = new Promise((resolve) => {
    juliet.on("stanza", (stanza) => stanza.is("message") && resolve(stanza.getChildText("body")));
  });
  await romeo.send(message("juliet@localhost", "wherefore?"));
  assert.equal(await heard, "wherefore?");
});

test("a session is resumed when the connection was cut, and nothing is lost", async () => {
  const [romeo, juliet] = clients;
  const resumed = event(romeo.streamManagement, "resumed");
  await tell("fault cut", { address: "romeo", at: "before", element: "message" });
  await juliet.send(message("romeo@localhost", "are you there?"));
  await resumed;
  await seen("romeo", { element: "message", containing: "are you there?" });
});

test("clients come back when the server was killed and has started again", async () => {
  const [romeo] = clients;
  const back = Promise.all(clients.map((xmpp) => event(xmpp, "online")));
  await tell("server kill");
  await tell("server start");
  await back;
  await romeo.send(xml("presence"));
  await seen("romeo", { element: "presence", direction: "sent" });
});

test("a fault that there is not is refused by its name", async () => {
  await assert.rejects(tell("fault nap", { address: "romeo" }), /fault nap/);
});
